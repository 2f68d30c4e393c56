"""
Lenient reading of fields that decide nothing: an understood value is taken, any other is left out and noted.

Routee's documents show numbers as text, and fields come, go and change their form between releases. A strange latency
must not cost a status. Each function appends the name of a field it could not read to `notes`; null and empty text
mean that the field is absent.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import orjson

from streams.contract.remembered import remembered
from streams.domain.message import MAX_PARTS
from streams.domain.money import read_money

Number = TypeVar("Number", int, float)

# A row or record must fit in a Kafka record even when a stranger posts the body, or it stops its partition for good.
TEXT_MAX_CHARS: Final = 256
MESSAGE_MAX_CHARS: Final = 4096
DESCRIPTION_MAX_CHARS: Final = 1024
_LONGER_TEXTS: Final = {"message": MESSAGE_MAX_CHARS, "status.reason.description": DESCRIPTION_MAX_CHARS}
GROUPS_MAX: Final = 64
MAX_COUNT: Final = 2**53  # beyond it, JSON readers in other languages lose digits

MAX_LATENCY_SECONDS: Final = 30 * 24 * 3600
"""
The longest time from sending to the last status. Networks try for a few days at most, and a month is a unit mistaken.

A negative one would be a status before its message.
"""

_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d{1,40}", re.ASCII)


def text(value: Any, name: str, notes: list[str]) -> str | None:  # noqa: ANN401 - JSON is any
    """Return the text, a number as its text, without `.0`; text longer than the field's limit is not understood."""
    if value is None or value == "":
        return None
    # A larger float was a longer number in the body, of which digits are lost.
    if value.__class__ in (str, int) or (value.__class__ is float and abs(value) <= MAX_COUNT):
        # 5 and 5.0 are equal, and one id.
        read = str(int(value) if value.__class__ is float and value.is_integer() else value)
        if len(read) <= _LONGER_TEXTS.get(name, TEXT_MAX_CHARS):
            return read
    notes.append(name)
    return None


def number(value: Any, name: str, notes: list[str]) -> float | None:  # noqa: ANN401 - JSON is any
    """Return a finite number, a whole one as an integer in any form; text counts as one, without unit or separators."""
    if value.__class__ is int or value is None or value == "":
        return None if value == "" else value
    if value.__class__ is str and _WHOLE.fullmatch(value.strip()):
        return int(value)  # a float would lose digits of a long one
    read = float(value) if value.__class__ is float or _is_numeric(value) else math.nan
    if math.isfinite(read):
        # 3 and 3.0 are equal: as received, an SMS would have the one that came first.
        return int(read) if read.is_integer() and abs(read) <= MAX_COUNT else read
    notes.append(name)
    return None


def latency(value: Any, name: str, notes: list[str]) -> float | None:  # noqa: ANN401 - JSON is any
    """Return seconds, from 0 to MAX_LATENCY_SECONDS."""
    return _within(number(value, name, notes), 0, MAX_LATENCY_SECONDS, name, notes)


def count(value: Any, name: str, notes: list[str]) -> int | None:  # noqa: ANN401 - JSON is any
    """Return a whole number from 0 to MAX_COUNT."""
    mine: list[str] = []
    read = number(value, name, mine)
    if read is None and not mine:
        return None
    if read is not None and 0 <= read <= MAX_COUNT and read == int(read):
        return int(read)
    notes.append(name)
    return None


def part_number(value: Any, name: str, notes: list[str]) -> int | None:  # noqa: ANN401 - JSON is any
    """Return a number of parts, or the number of one part: 1 to MAX_PARTS."""
    return _within(count(value, name, notes), 1, MAX_PARTS, name, notes)


def price(value: Any, name: str, notes: list[str]) -> int | None:  # noqa: ANN401 - JSON is any
    """
    Return an amount in units of 1e-8, 0 or more, with at most 10 whole digits.

    A price is the cost of a part and not a booking: a part that is paid back costs 0, and none costs less.
    """
    if value.__class__ is not float and value.__class__ is not int:
        if value is None or value == "":
            return None
        value = value.strip() if _is_numeric(value) else math.nan
    amount = units_of(value)
    if amount is None:
        notes.append(name)
    return amount


# A price depends on country and operator: millions of callbacks share a few prices.
@remembered(4096)
def units_of(value: float | str) -> int | None:
    """Return an amount that is a number, or a text without spaces around it, as `price` does; None: not understood."""
    amount = read_money(value)
    # A tiny negative amount is rounded to 0, and is negative all the same.
    return None if amount is None or float(value) < 0 else amount


def mapping(value: Any, name: str, notes: list[str]) -> Mapping[str, Any] | None:  # noqa: ANN401 - JSON is any
    """Return an object; one that was written as JSON twice, and is a text now, is taken and noted. None: no object."""
    if value.__class__ is dict:
        return value
    if value.__class__ is not str:
        return None
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    if found.__class__ is not dict:
        return None
    notes.append(name)
    return found


def _is_numeric(value: Any) -> bool:  # noqa: ANN401 - JSON is any
    # float() would also take `1_000`, `nan` and digits of other scripts.
    return value.__class__ is str and _NUMBER.fullmatch(value.strip()) is not None


def _within(read: Number | None, least: int, most: int, name: str, notes: list[str]) -> Number | None:
    if read is None or least <= read <= most:
        return read
    notes.append(name)
    return None


def texts(value: Any, name: str, notes: list[str]) -> list[str] | None:  # noqa: ANN401 - JSON is any
    """Return a list of at most GROUPS_MAX texts, None for an empty one; a single text is a list of one."""
    if value is None or value == []:
        return None
    items = value if value.__class__ is list else [value]
    if len(items) > GROUPS_MAX:
        notes.append(name)
        return None
    return [read for item in items if (read := text(item, name, notes)) is not None] or None
