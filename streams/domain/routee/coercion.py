"""
Lenient reading of fields that decide nothing: an understood value is taken, any other is left out and noted.

Routee's documents show numbers as text, and fields come, go and change their form between releases. A strange latency
must not cost a status. Each function appends the name of a field it could not read to `notes`; null and empty text
mean that the field is absent.
"""

import math
from typing import Any, Final

from streams.domain.money import read_money

# A row or record must fit in a Kafka record even when a stranger posts the body, or it stops its partition for good.
TEXT_MAX_CHARS: Final = 256
MESSAGE_MAX_CHARS: Final = 4096
DESCRIPTION_MAX_CHARS: Final = 1024
_LONGER_TEXTS: Final = {"message": MESSAGE_MAX_CHARS, "status.reason.description": DESCRIPTION_MAX_CHARS}
GROUPS_MAX: Final = 64
MAX_COUNT: Final = 2**53  # beyond it, JSON readers in other languages lose digits
MAX_PARTS: Final = 65_535


def text(value: Any, name: str, notes: list[str]) -> str | None:  # noqa: ANN401 - JSON is any
    """Return the text, a number as its text; text longer than the field's limit is not understood."""
    if value is None or value == "":
        return None
    if value.__class__ in (str, int, float):
        read = str(value)
        if len(read) <= _LONGER_TEXTS.get(name, TEXT_MAX_CHARS):
            return read
    notes.append(name)
    return None


def number(value: Any, name: str, notes: list[str]) -> float | None:  # noqa: ANN401 - JSON is any
    """Return a finite number, a whole one as an integer in any form; numeric text counts as one."""
    if value.__class__ is int or value is None or value == "":
        return None if value == "" else value
    try:
        read = float(value) if value.__class__ in (str, float) else math.nan
    except ValueError:
        read = math.nan
    if math.isfinite(read):
        # 3 and 3.0 are equal: as received, an SMS would have the one that came first.
        return int(read) if read.is_integer() and abs(read) <= MAX_COUNT else read
    notes.append(name)
    return None


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
    if value.__class__ is int and 0 < value <= MAX_PARTS:
        return int(value)
    read = count(value, name, notes)
    if read is None or 0 < read <= MAX_PARTS:
        return read
    notes.append(name)
    return None


def money(value: Any, name: str, notes: list[str]) -> int | None:  # noqa: ANN401 - JSON is any
    """Return an amount in units of 1e-8."""
    if value is None or value == "":
        return None
    amount = read_money(value) if value.__class__ in (float, int, str) else None
    if amount is None:
        notes.append(name)
    return amount


def texts(value: Any, name: str, notes: list[str]) -> list[str] | None:  # noqa: ANN401 - JSON is any
    """Return a list of at most GROUPS_MAX texts, None for an empty one; a single text is a list of one."""
    if value is None or value == []:
        return None
    items = value if value.__class__ is list else [value]
    if len(items) > GROUPS_MAX:
        notes.append(name)
        return None
    return [read for item in items if (read := text(item, name, notes)) is not None] or None
