from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract.codec import decode, encode, format_time, format_time_ms

MOMENT = datetime(2026, 11, 22, 9, 16, 54, 500_000, UTC)


def test_times_are_written_in_utc_with_milliseconds_and_z() -> None:
    assert format_time(MOMENT) == "2026-11-22T09:16:54.500Z"
    assert format_time(MOMENT.astimezone(timezone(timedelta(hours=2)))) == "2026-11-22T09:16:54.500Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        format_time(MOMENT.replace(tzinfo=None))


@given(st.integers(min_value=0, max_value=4_102_444_800_000))
def test_epoch_milliseconds_are_written_as_the_same_moment(epoch_ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)
    assert format_time_ms(epoch_ms) == format_time(moment)
    assert datetime.fromisoformat(format_time_ms(epoch_ms)) == moment


def test_records_are_utf8_json_without_escapes() -> None:
    assert encode({"message": "Γειά σου 👋"}) == '{"message":"Γειά σου 👋"}'.encode()


def test_a_body_that_is_not_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="unexpected"):
        decode(b"{nope")
