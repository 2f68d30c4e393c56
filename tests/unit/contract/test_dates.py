from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given as hypothetically
from hypothesis import strategies as st

from streams.contract import dates
from streams.contract.codec import format_time_ms
from streams.contract.dates import NO_DATE, read_date, read_receipt

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


_LATER = 1_795_946_400_000  # 2026-11-29T10:00:00Z


@pytest.mark.parametrize(
    "given",
    [
        "2026-11-29 10:00:00 UTC",
        "2026-11-29 10:00:00 utc",
        "2026-11-29T10:00:00 GMT",
        "2026-11-29T10:00:00UTC",
        "2026-11-29 10:00:00Z",
        "2026-11-29T10:00 UTC",
        "2026-11-29T10:00:00Z[UTC]",
        "2026-11-29T12:00:00+02:00[Europe/Athens]",
        "2026-11-29T12:00:00.000+02:00[Europe/Athens]",
        "2026-11-29T10:00:00 00:00",
        "2026-11-29T10:00:00 0000",
        "2026-11-29T10:00:00 00",
        "2026-11-29T12:00:00%2B02:00",
        "2026-11-29T12%3a00%3a00%2b02%3a00",
        "2026-11-29%2010:00:00%20UTC",
        '"2026-11-29T10:00:00Z"',
        "'2026-11-29T12:00:00+02:00'",
        '"1795946400000"',
        "2026-11-29T12:00:00 02:00",
        "2026-11-29 12:00:00.0 02:00",
        "2026-11-29 10:00:00 +0000",
        "2026-11-29 05:00:00 -0500",
        "2026-11-29T10:00:00+0000",
        "2026-11-29T10:00:00+00",
        "2026-11-29T10:00:00,000Z",
        "2026-11-29T10:00:00.0000000Z",
        "2026-11-29 10:00:00.000000000 +0000 UTC",
        "2026/11/29 10:00:00 UTC",
        "Sun, 29 Nov 2026 10:00:00 GMT",
        "sun, 29 nov 2026 10:00:00 gmt",
        "Sunday, 29-Nov-26 10:00:00 GMT",
        "29 Nov 2026 10:00:00 UT",
        "Sun, 29 Nov 2026 12:00:00 +0200",
        "Sun Nov 29 10:00:00 UTC 2026",
        "Sun Nov 29 10:00:00 GMT 2026",
        "Sun Nov 29 2026 12:00:00 GMT+0200 (Eastern European Standard Time)",
        "2026-11-29T09:59:60Z",
        "2026-11-28T24:00:00-10:00",
        "2026-11-28T23:59:60-10:00",
        "2026-11-29\u00a010:00:00\u202fUTC",
        "\ufeff2026-11-29T10:00:00Z\u200b",
        "2026-11-29T10:00:00Z\0",
        "20261129T100000Z",
        "20261129100000Z",
        "20261129120000+0200",
        "20261129100000.0 UTC",
        "Sun, 29 Nov 2026 12:00:00 +0200 (EET)",
        "/Date(1795946400000)/",
        "/Date(1795946400000+0200)/",
        1_795_946_400,
        "1795946400.000",
        "1.7959464E9",
        "1.7959464E12",
    ],
)
def test_every_form_that_names_one_moment_is_read(given: object) -> None:
    assert read_date(given) == _LATER


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
        "12/11/2026 10:00:00 UTC",
        "29.11.2026 10:00:00 UTC",
        "2026-11-29 10:00:00 PST",
        "2026-11-29 10:00:00 EET",
        "2026-11-29 10:00:00 AM UTC",
        "Sun Nov 29 10:00:00 2026",
        "Sun Nov 29 10:00:00 EET 2026",
        "Sun, 29 Nov 2026 10:00:00",
        "Sun, 29 Foo 2026 10:00:00 GMT",
        "2026-02-30T10:00:00 UTC",
        "2026-11-29T25:00:00 UTC",
        "2026-11-29T24:00:01Z",
        "2026-11-29T10:60:00 UTC",
        "2026-11-29T10:00:61Z",
        "2026-11-29T10:00:00 15:00",
        "2026-11-29T10:00:00 02:60",
        "2026-11-29T10:00:00 1",
        "2026-11-29T10:00:00+02:00 UTC",
        "2026-11-29T10:00:00+00:00Z",
        "2026-11-29T10:00:00Z+02:00",
        "2026-11-29T10:00:00+15:00",
        "2026-11-29T10:00:00+02:60",
        "2026-11-29110:00:00Z",
        "20261129",
        20261129,
        "202611291000",
        202611291000,
        float("inf"),
        float("nan"),
        "0001-01-01T00:00:00Z",
        "0000-00-00 00:00:00",
        "/Date(-1)/",
        "٢٠٢٦-11-29T10:00:00 UTC",
        1_795_946_400_000_000,
        0,
        False,
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


@hypothetically(st.text(max_size=40) | st.from_regex(r"[A-Za-z0-9 :,.+/\[\]()-]{0,60}"))
def test_no_text_raises(given: str) -> None:
    read = read_date(given)
    assert read is None or 0 <= read < 2**32 * 1000


@hypothetically(st.integers(86_400, 2**32 - 1), st.sampled_from(["%Y-%m-%dT%H:%M:%S UTC", "%Y-%m-%d %H:%M:%S 00:00"]))
def test_every_moment_comes_back(second: int, form: str) -> None:
    moment = datetime.fromtimestamp(second, UTC)
    assert read_date(moment.strftime(form)) == second * 1000


@pytest.mark.parametrize("given", ["9" * 10**6, "2026-11-29T10:00:00." + "0" * 10**6 + "Z", " " * 10**6, "x" * 10**6])
def test_a_long_text_is_no_date_and_is_not_kept_in_memory(given: str) -> None:
    results: Any = getattr(dates.read_text, "__self__")  # noqa: B009 - a function, as far as its type tells
    assert read_date("2026-11-29T10:00:00Z") == results["2026-11-29T10:00:00Z"]
    before = {**results}
    assert read_date(given) is None
    assert results == before


def test_a_leap_second_may_have_a_fraction() -> None:
    assert read_date("2026-11-28T23:59:60.5-10:00") == _LATER + 500
    assert read_date("2026-11-28T24:00:00.5-10:00") is None
