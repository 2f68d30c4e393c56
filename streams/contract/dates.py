"""
Routee's dates, in every form seen so far, read as milliseconds since 1970-01-01 UTC.
"""

import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

from streams.contract.remembered import remembered
from streams.contract.visible import visible

NO_DATE: Final = 0
"""Stands for a date that Routee did not give."""

_NUMBER: Final = re.compile(r"\d{1,16}(?:\.\d{1,15})?(?:[eE]\+?\d{1,2})?", re.ASCII)
_EPOCH_YEAR: Final = 1970
# Both are 2001-09-09. Smaller numbers are dates in digits (`20261129`, `202611291000`), which name no moment.
_FIRST_SECOND: Final = 1_000_000_000
_FIRST_MS: Final = 1_000_000_000_000
_DAY_MS: Final = 86_400_000
_BEGIN: Final = _DAY_MS
"""The first moment that is a date: 1970-01-02. 0 stands for no date, and in tables for a column that was left out."""
_END: Final = 2**32 * 1000
"""
The first moment after all dates: 2106-02-07T06:28:16Z. Seconds since 1970 end there in 32 bits, and so do the hours of
ClickHouse, to which views round; its tables hold dates up to 2299, files any date.
"""

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FRACTION: Final = r"(?:[.,](?P<fraction>\d{1,9})\d*+)?"
_TIME: Final = rf"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d){_FRACTION})?"
# A plus sign that went through a form unencoded is a space now. Names of other zones mean several offsets each.
_ZONE: Final = (
    r"\s*(?:(?:utc?|gmt)?(?P<sign>[+-]|(?<=[\d,.])\s|\s+[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?|z|utc?|gmt)"
)
_COMMENT: Final = r"(?:\s+\([\w ]+\))?"
_MONTH: Final = rf"(?P<month>{'|'.join(_MONTHS)})"
_WEEKDAY: Final = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*+,?\s+)?"
_FORMS: Final = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        # ISO 8601, with the region as Java writes it, or the name as Go does
        rf"(?P<year>\d{{4}})([-/])(?P<month>\d\d)\2(?P<day>\d\d)(?:t|\s+){_TIME}{_ZONE}(?:\[[\w/+-]+\]|(?<=0000)\s+utc)?",
        # The same in digits alone
        rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d)t?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d){_FRACTION}{_ZONE}",
        # HTTP and mail: RFC 1123, 850, 5322
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})[ -]{_MONTH}[ -](?P<year>\d{{4}}|\d\d)\s+{_TIME}{_ZONE}{_COMMENT}",
        # Java's Date and JavaScript's Date as text
        rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})\s+{_TIME}{_ZONE}\s+(?P<year>\d{{4}})",
        rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})\s+(?P<year>\d{{4}})\s+{_TIME}{_ZONE}{_COMMENT}",
    )
)
# `fromisoformat` takes any character between day and time, also a digit of the time, and offsets that no zone has.
_QUICK: Final = re.compile(r".{10}[ T]\d\d(?::\d\d){0,2}(?:[.,]\d*)?(?:Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)", re.ASCII)
_DOT_NET: Final = re.compile(r"/Date\((\d{1,15})(?:[+-]\d{4})?\)/", re.ASCII)
TEXT_MAX_CHARS: Final = 128
"""No date is longer; the texts that were read last are kept in memory."""
_MOST_OFFSET_HOURS: Final = 14
_CENTURY: Final = 100
_FIRST_YEAR: Final = 70  # of a year in two digits: 1970 to 2069


def read_date(value: object) -> int | None:
    """
    Return the moment in ms, NO_DATE for an absent one (null, empty), None for a value that is not understood.

    Understood are ISO 8601 with `Z`, `UTC`, `GMT` or an offset and any number of fraction digits (Routee trims zeros),
    dates of HTTP, mail, Java, JavaScript and .NET with such a zone, and epoch seconds or milliseconds as a number or
    its text. A time without a zone is not: it names no moment. Nor is a moment before 1970-01-02 or after 2106-02-07,
    which not every column and view could hold.
    """
    if value.__class__ is str:
        return read_text(value) if len(value) <= TEXT_MAX_CHARS else None
    if value is None:
        return NO_DATE
    if value.__class__ is int or value.__class__ is float:
        return _within_range(_from_epoch(float(value)))
    return None


# Routee's dates have a resolution of one second, so callbacks of the same moment share their texts.
@remembered(16_384)
def read_text(text: str) -> int | None:
    """Return the same as `read_date` for a text of at most TEXT_MAX_CHARS."""
    text = text.strip()
    upper = text.upper()
    if not _QUICK.fullmatch(upper):
        # Percent codes of a form that was never decoded, quote marks of a text that was written as JSON twice.
        return _read_other(visible(unquote(text).strip("\"'")))
    try:
        moment = datetime.fromisoformat(upper)
    except ValueError:
        return _read_other(text)
    return _within_range(int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000)


def _read_other(text: str) -> int | None:
    """Read a date in a form that is not quite ISO 8601."""
    if not text:
        return NO_DATE
    if _NUMBER.fullmatch(text):
        return _within_range(_from_epoch(float(text)))
    if dot_net := _DOT_NET.fullmatch(text):
        return _within_range(int(dot_net[1]))
    for form in _FORMS:
        if found := form.fullmatch(text):
            return _assembled(found.groupdict())
    return None


def _assembled(given: dict[str, str | None]) -> int | None:
    """Return the moment of a date in pieces; None when a piece is out of its range."""
    hour, minute, second = int(given["hour"] or 0), int(given["minute"] or 0), int(given["second"] or 0)
    hours, minutes = int(given["hours"] or 0), int(given["minutes"] or 0)
    fraction_ms = int(f"{given['fraction'] or '':0<3.3}")
    in_day_ms = ((hour * 60 + minute) * 60 + second) * 1000 + fraction_ms
    # A leap second is the second after the 59th, and midnight may be written 24:00.
    is_in_day = hour < 24 or (hour == 24 and in_day_ms == _DAY_MS)  # noqa: PLR2004
    if not is_in_day or minute > 59 or second > 60 or hours > _MOST_OFFSET_HOURS or minutes > 59:  # noqa: PLR2004
        return None
    try:
        day = datetime(_year(given["year"] or ""), _month(given["month"] or ""), int(given["day"] or 0), tzinfo=UTC)
    except ValueError:
        return None
    offset_ms = (hours * 60 + minutes) * 60_000
    behind = (given["sign"] or "").strip() == "-"
    return _within_range(int(day.timestamp()) * 1000 + in_day_ms + (offset_ms if behind else -offset_ms))


def _year(text: str) -> int:
    year = int(text)
    if len(text) > 2:  # noqa: PLR2004 - RFC 850 writes two digits
        return year
    return year + 2000 - (_CENTURY if year >= _FIRST_YEAR else 0)


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _MONTHS.index(text.lower()) + 1


def read_receipt(value: object) -> int | None:
    """
    Return a time of receipt in ms, None for a value that is no time.

    Our own clock may be years wrong, and its time is written everywhere: a time that is no date becomes the nearest.
    """
    read = read_date(value)
    if read or value.__class__ is not str:
        return read or None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return _BEGIN if moment.year <= _EPOCH_YEAR else _END - 1


def _from_epoch(number: float) -> int:
    """Return ms for seconds or milliseconds since 1970, NO_DATE for a number that is neither."""
    if _FIRST_SECOND <= number < _END // 1000:
        return round(number * 1000)
    return int(number) if _FIRST_MS <= number < _END else NO_DATE


def _within_range(ms: int) -> int | None:
    return ms if _BEGIN <= ms < _END else None
