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
# Epoch seconds reach this number in the year 5138, epoch milliseconds passed it in 1973.
_FIRST_MS: Final = 100_000_000_000
_END: Final = 253_402_300_800_000  # the year 10000 is not written with four digits


def read_date(value: object) -> int | None:
    """
    Return the moment in ms, NO_DATE for an absent one (null, empty), None for a value that is not understood.

    ISO 8601 with `Z` or an offset and any number of fraction digits (Routee trims zeros) is understood, as are epoch
    seconds or milliseconds as a number or its text. A time without a zone is not: it names no moment.
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


def _from_epoch(number: float) -> int:
    return int(number) if abs(number) >= _FIRST_MS else round(number * 1000)


def _within_range(ms: int) -> int | None:
    return ms if 0 < ms < _END else None
