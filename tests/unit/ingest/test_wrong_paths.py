"""The log line for posts to a wrong path."""

import logging

import pytest

from ingest.http.admission import RequestHead, Rules
from ingest.http.wrong_paths import WrongPaths
from tests.support.clock import FakeClock

SECRET = "0123456789abcdef"  # noqa: S105 - of the tests


def request(target: str, method: bytes = b"POST") -> RequestHead:
    head = RequestHead()
    head.method, head.target = method, target.encode()
    return head


def test_posts_to_a_wrong_path_are_told_once_a_minute_with_the_right_one(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    wrong = WrongPaths(Rules([SECRET], 1), clock)
    for _ in range(3):
        wrong.note(request(f"/{SECRET}/callbacks"))
        clock.advance(29.0)
    (told,) = (record.getMessage() for record in caplog.records)
    assert told == (
        "a POST was answered 404: its path does not begin with /callbacks. "
        "Callbacks are taken at /callbacks/*** (a secret of INGEST_SECRETS in place of ***)"
    )
    clock.advance(4.0)
    wrong.note(request("/callbacks"))
    assert [(record.levelno, vars(record)["posts"]) for record in caplog.records] == [
        (logging.WARNING, 1),
        (logging.WARNING, 3),
    ]
    assert "has no secret behind /callbacks" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"OPTIONS"])
def test_only_a_post_may_have_been_a_callback(caplog: pytest.LogCaptureFixture, method: bytes) -> None:
    """A port on the internet is asked for all kinds of pages, all day."""
    WrongPaths(Rules([], 1), FakeClock()).note(request("/admin", method))
    assert not caplog.records
