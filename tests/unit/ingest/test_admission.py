"""Admission of requests."""

from typing import Any

import pytest

from ingest.causes import Cause
from ingest.http.admission import Refused, RequestHead, Route, Rules, admit, path_of

OPEN = Rules([], max_body_bytes=100)
GUARDED = Rules(["new-secret", "old-secret"], max_body_bytes=100)


def head(method: bytes = b"POST", target: bytes = b"/callbacks/new-secret", **facts: Any) -> RequestHead:  # noqa: ANN401 - facts differ in type
    made = RequestHead()
    made.method, made.target, made.minor, made.hosts, made.content_length = method, target, 1, 1, 10
    for name, fact in facts.items():
        setattr(made, name, fact)
    return made


def status(made: RequestHead, rules: Rules = GUARDED, *, address_allowed: bool = True) -> int:
    admitted = admit(made, rules, address_allowed=address_allowed)
    return admitted.status if isinstance(admitted, Refused) else 200


@pytest.mark.parametrize("secret", [b"new-secret", b"old-secret"])
def test_either_of_two_secrets_opens(secret: bytes) -> None:
    assert admit(head(target=b"/callbacks/" + secret), GUARDED, address_allowed=True) is Route.CALLBACK


@pytest.mark.parametrize(
    "target",
    [
        b"/callbacks",
        b"/callbacks/",
        b"/callbacks/wrong",
        b"/callbacks/new-secre",
        b"/callbacks/new-secrett",
        b"/callbacks/new-secret/",
        b"/callbacks//new-secret",
        b"/callbacks/./new-secret",
        b"/Callbacks/new-secret",
        b"/callbacks/NEW-SECRET",
        b"/callbacks/new%2Dsecret",
        b"/callbacks/%6eew-secret",
        b"/callbacks%2Fnew-secret",
        b"/callbacks?secret=new-secret",
        b"/callbacks/?new-secret",
        b"/callbacks;/new-secret",
        b"callbacks/new-secret",
        b"*",
        b"",
    ],
)
def test_every_other_path_is_not_found(target: bytes) -> None:
    assert status(head(target=target)) == 404


@pytest.mark.parametrize(
    "target",
    [
        b"/callbacks/new-secret?x=1",
        b"http://ingest.example/callbacks/new-secret",
        b"HTTPS://ingest.example:8443/callbacks/new-secret?x=1",
    ],
)
def test_a_query_and_an_absolute_form_are_no_part_of_the_path(target: bytes) -> None:
    assert status(head(target=target)) == 200


def test_without_secrets_only_the_bare_path_takes_callbacks() -> None:
    assert status(head(target=b"/callbacks"), OPEN) == 200
    assert status(head(target=b"/callbacks/anything"), OPEN) == 404


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"])
def test_callbacks_are_posted_and_nothing_else(method: bytes) -> None:
    refused = admit(head(method=method), GUARDED, address_allowed=True)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.cause, refused.fields) == (405, Cause.METHOD, b"allow: POST\r\n")


def test_a_wrong_secret_does_not_reveal_which_methods_work() -> None:
    assert status(head(method=b"GET", target=b"/callbacks/wrong")) == 404


@pytest.mark.parametrize("page", [Route.LIVEZ, Route.READYZ, Route.METRICS])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_pages_are_for_every_address(page: Route, method: bytes) -> None:
    made = head(method=method, target=page.value.encode(), content_length=None)
    assert admit(made, GUARDED, address_allowed=False) is page


def test_pages_take_neither_posts_nor_bodies() -> None:
    assert status(head(target=b"/livez")) == 405
    assert status(head(method=b"GET", target=b"/livez", content_length=1)) == 413
    assert status(head(method=b"GET", target=b"/livez", content_length=None, chunked=True)) == 413


@pytest.mark.parametrize("target", [b"/callbacks/new-secret", b"/callbacks/wrong"])
def test_an_address_that_is_not_allowed_learns_nothing_about_the_secret(target: bytes) -> None:
    assert status(head(target=target), address_allowed=False) == 403


def test_the_longest_body_is_taken_and_one_byte_more_is_not() -> None:
    assert status(head(content_length=100)) == 200
    assert status(head(content_length=101)) == 413


def test_a_body_without_a_length_is_an_empty_one() -> None:
    assert status(head(content_length=None)) == 200


@pytest.mark.parametrize(
    ("encodings", "expected"),
    [(b"", 200), (b"identity", 200), (b"gzip", 200), (b"x-gzip", 200), (b"br", 415), (b"gzip,gzip", 415)],
)
def test_bodies_are_plain_or_gzip(encodings: bytes, expected: int) -> None:
    assert status(head(encodings=encodings)) == expected


def test_the_only_expectation_is_100_continue() -> None:
    assert status(head(expect=b"100-continue")) == 200
    assert status(head(expect=b"tea")) == 417


@pytest.mark.parametrize(
    "facts",
    [
        {"minor": None},
        {"hosts": 0},
        {"hosts": 2},
        {"minor": 0, "hosts": 2},
        {"chunked": True, "content_length": 10},
        {"chunked": True, "content_length": None, "minor": 0},
    ],
)
def test_a_head_that_proxies_read_differently_is_malformed(facts: dict[str, Any]) -> None:
    assert status(head(**facts)) == 400


def test_http_1_0_needs_no_host() -> None:
    assert status(head(minor=0, hosts=0)) == 200


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"/a?b", b"/a"), (b"http://h", b"/"), (b"http://h/a?b", b"/a"), (b"ftp://h/a", b""), (b"h:80", b"")],
)
def test_a_path_ends_before_the_query(target: bytes, path: bytes) -> None:
    assert path_of(target) == path
