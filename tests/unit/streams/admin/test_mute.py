"""
`routee-streams alarms mute`: what people write becomes a subject and a minute, or one answer that names every fault.
"""

import io
from contextlib import redirect_stderr
from datetime import UTC, datetime

import pytest

from streams.admin.mute import mute_end, unmuted
from streams.cli import main
from streams.errors import UsageError

NOW = datetime(2026, 11, 29, 12, 0, 30, tzinfo=UTC)
MINUTE = int(NOW.timestamp()) // 60


@pytest.mark.parametrize(
    ("hours", "until", "minutes"),
    [
        ("2", None, 121),
        ("0.5", None, 31),
        ("2160", None, 129_601),
        (None, "2026-11-29T13:00:00Z", 60),
        (None, "2026-11-29T15:00:00+02:00", 60),
    ],
)
def test_the_end_is_a_minute_that_is_not_before_the_wanted_one(
    hours: str | None, until: str | None, minutes: int
) -> None:
    assert mute_end('["GR", "Cosmote"]', hours, until, NOW) == ('["GR","Cosmote"]', MINUTE + minutes)


@pytest.mark.parametrize(
    ("hours", "until", "why"),
    [
        ("soon", None, "--hours: a number is expected"),
        ("1e999", None, "--hours: a number is expected"),
        ("nan", None, "--hours: a number is expected"),
        ("-1", None, "the end of a mute lies in the future"),
        ("0", None, "the end of a mute lies in the future"),
        ("2160.1", None, "a mute ends within 90 days"),
        (None, "tomorrow", "--until: a time with its zone is expected, as 2026-12-01T06:00:00Z"),
        (None, "2026-12-01T06:00:00", "--until: a time with its zone is expected, as 2026-12-01T06:00:00Z"),
        (None, "2026-11-29T12:00:00Z", "the end of a mute lies in the future"),
        (None, "9999-12-31T23:59:59-12:00", "--until: a time with its zone is expected, as 2026-12-01T06:00:00Z"),
    ],
)
def test_every_fault_is_told_at_once(hours: str | None, until: str | None, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        mute_end("Cosmote", hours, until, NOW)
    subject, end = str(refused.value).splitlines()
    assert subject.startswith("SUBJECT: `account` or JSON as the alarm has it is expected")
    assert end == why
    with pytest.raises(UsageError) as refused:
        mute_end("account", hours, until, NOW)
    assert str(refused.value) == why


def test_a_wrong_subject_cannot_be_unmuted() -> None:
    with pytest.raises(UsageError, match=r"^SUBJECT: `account` or JSON"):
        unmuted("GR")


@pytest.mark.parametrize(
    "given", [["mute", "account"], ["mute", "account", "--hours", "1", "--until", "x"], ["mute"], []]
)
def test_a_mute_has_one_subject_and_one_end(given: list[str]) -> None:
    with redirect_stderr(io.StringIO()) as told, pytest.raises(SystemExit) as ended:
        main(["alarms", *given])
    assert ended.value.code == 2
    assert "usage: routee-streams alarms" in told.getvalue()
