"""
Routee's dates, in every form seen so far, read as milliseconds since 1970-01-01 UTC.
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

NO_DATE: Final = 0
"""Stands for a date that Routee did not give."""

_NUMBER: Final = re.compile(r"\d{1,16}(\.\d{1,9})?", re.ASCII)
_EPOCH_YEAR: Final = 1970
# Epoch seconds reach this number in the year 5138, epoch milliseconds passed it in 1973.
_FIRST_MS: Final = 100_000_000_000
_BEGIN: Final = 86_400_000
"""The first moment that is a date: 1970-01-02. 0 stands for no date, and in tables for a column that was left out."""
_END: Final = 2**32 * 1000
"""
The first moment after all dates: 2106-02-07T06:28:16Z. Seconds since 1970 end there in 32 bits, and so do the hours of
ClickHouse, to which views round; its tables hold dates up to 2299, files any date.
"""


def read_date(value: object) -> int | None:
    """
    Return the moment in ms, NO_DATE for an absent one (null, empty), None for a value that is not understood.

    ISO 8601 with `Z` or an offset and any number of fraction digits (Routee trims zeros) is understood, as are epoch
    seconds or milliseconds as a number or its text. A time without a zone is not: it names no moment. Nor is a moment
    before 1970-01-02 or after 2106-02-07, which not every column and view could hold.
    """
    if value.__class__ is str:
        return _read_text(value)
    if value is None:
        return NO_DATE
    if value.__class__ is int or value.__class__ is float:
        return _within_range(_from_epoch(float(value)))
    return None


# Routee's dates have a resolution of one second, so callbacks of the same moment share their texts.
@lru_cache(maxsize=16_384)
def _read_text(text: str) -> int | None:
    text = text.strip()
    if not text:
        return NO_DATE
    if _NUMBER.fullmatch(text):
        return _within_range(_from_epoch(float(text)))
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return _within_range(int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000)


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
    return int(number) if abs(number) >= _FIRST_MS else round(number * 1000)


def _within_range(ms: int) -> int | None:
    return ms if _BEGIN <= ms < _END else None
