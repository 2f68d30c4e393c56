import pytest

from streams.contract.codec import format_time_ms
from streams.domain.dates import NO_DATE, read_date, read_receipt

_MOMENT = 1_474_276_614_000  # 2016-09-19T09:16:54Z


@pytest.mark.parametrize(
    ("given", "ms"),
    [
        ("2016-09-19T09:16:54Z", _MOMENT),
        ("2016-09-19T09:16:54.5Z", _MOMENT + 500),
        ("2016-09-19T09:16:54.95Z", _MOMENT + 950),
        ("2016-09-19T09:16:54.344Z", _MOMENT + 344),
        ("2016-09-19T09:16:54.344999Z", _MOMENT + 344),
        ("2016-09-19T09:16:54.34499912Z", _MOMENT + 344),
        ("2016-09-19T12:16:54+03:00", _MOMENT),
        ("2016-09-19T12:16:54+0300", _MOMENT),
        ("2016-09-19t09:16:54z", _MOMENT),
        (" 2016-09-19T09:16:54Z ", _MOMENT),
        (1474276614, _MOMENT),
        (1474276614.5, _MOMENT + 500),
        (1474276614500, _MOMENT + 500),
        ("1474276614", _MOMENT),
        ("1474276614500", _MOMENT + 500),
        ("1970-01-02T00:00:00Z", 86_400_000),
        ("2106-02-07T06:28:15.999Z", 2**32 * 1000 - 1),
        (2**32 - 1, (2**32 - 1) * 1000),
    ],
)
def test_every_form_seen_in_routees_material_is_read(given: object, ms: int) -> None:
    assert read_date(given) == ms


@pytest.mark.parametrize("given", [None, "", "  "])
def test_an_absent_date_is_no_error(given: object) -> None:
    assert read_date(given) == NO_DATE


@pytest.mark.parametrize(
    "given",
    [
        "2016-09-19T09:16:54",
        "2016-09-19",
        "yesterday",
        "2016-13-19T09:16:54Z",
        "1960-01-01T00:00:00Z",
        True,
        [],
        {},
        "1970-01-01T23:59:59.999Z",
        1,
        -5,
        1e300,
        "9" * 16,
        "2106-02-07T06:28:16Z",
        "9999-12-31T23:59:59Z",
        2**32,
        2**32 * 1000,
        "12345678901234567890",
    ],
)
def test_a_value_that_names_no_moment_is_not_understood(given: object) -> None:
    assert read_date(given) is None


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("2026-11-22T12:00:00.500Z", "2026-11-22T12:00:00.500Z"),
        ("1999-01-01T00:00:00.000Z", "1999-01-01T00:00:00.000Z"),
        ("1970-01-01T00:00:00.000Z", "1970-01-02T00:00:00.000Z"),
        ("1970-01-01T12:00:00.000Z", "1970-01-02T00:00:00.000Z"),
        ("1969-12-31T23:59:59.999Z", "1970-01-02T00:00:00.000Z"),
        ("0001-01-01T00:00:00.000Z", "1970-01-02T00:00:00.000Z"),
        ("2106-02-07T06:28:16.000Z", "2106-02-07T06:28:15.999Z"),
        ("9999-12-31T23:59:59.999Z", "2106-02-07T06:28:15.999Z"),
    ],
)
def test_a_time_of_receipt_of_any_clock_is_read_as_the_nearest_date(given: str, written: str) -> None:
    assert format_time_ms(read_receipt(given) or 0) == written


@pytest.mark.parametrize("given", [None, "", " ", "soon", "2026-11-22T12:00:00", "9999-12-31T23:59:59", [], {}, True])
def test_a_value_that_is_no_time_is_no_time_of_receipt(given: object) -> None:
    assert read_receipt(given) is None


def test_dates_are_written_with_milliseconds() -> None:
    assert format_time_ms(_MOMENT + 50) == "2016-09-19T09:16:54.050Z"
