"""
The parameters of a query, each read once, and every fault as a phrase. Pure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from streams.contract.answers import PAGE_MOST
from streams.contract.dates import read_date

Readers = Mapping[str, Callable[[str], Any]]
"""Name of a parameter → the reader of its value, which raises ValueError with the form that is expected."""

_NAME: Final = re.compile("[a-z_]{1,32}")


def read_parameters(given: Sequence[tuple[str, str]], readers: Readers) -> tuple[dict[str, Any], list[str]]:
    """Return the values of parameters, names and values in any order, and the faults. These repeat no value."""
    names = [name for name, _ in given]
    faults = [_unknown(name, readers) for name in dict.fromkeys(names) if name not in readers]
    faults += [f"{name}: it is given twice" for name in readers if names.count(name) > 1]
    read: dict[str, Any] = {}
    for name, value in given:
        if reader := readers.get(name):
            try:
                read[name] = reader(value)
            except ValueError as error:
                faults.append(f"{name}: {error}")
    since, until = read.get("since"), read.get("until")
    if since is not None and until is not None and since >= until:
        faults.append("until: it must be after since")
    return read, faults


def _unknown(name: str, readers: Readers) -> str:
    named = name if _NAME.fullmatch(name) else "a parameter"
    return f"{named}: it is unknown; there are {', '.join(readers)}"


def moment(text: str) -> int:
    """Read a moment, in ms."""
    read = read_date(text)
    if not read:
        raise ValueError("a date with a zone is expected, such as 2026-11-29T12:00:00Z")
    return read


def limit(text: str) -> int:
    """Read how many a page may have."""
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or not 1 <= int(text) <= PAGE_MOST:
        raise ValueError(f"a number from 1 to {PAGE_MOST} is expected")
    return int(text)
