"""
The query of a list of cells, and the cursor that leads from one page to the next. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from streams.domain.cells import CELL_PREFIX, WINDOW_MS, place_named
from streams.read_api.parameters import Readers, limit, moment, read_parameters

Place = tuple[int, str]
"""
The place of a cell in a list: minus its window, and a digest of its name, which the cursor may show to every reader.
"""

_CURSOR: Final = re.compile(r"([0-9]{1,12})-([0-9a-f]{32})")


class WantedCells(NamedTuple):
    """The cells of a page: of a route, in windows that end after `since` and begin before `until` (ms)."""

    country: str | None = None
    operator: str | None = None
    since: int | None = None
    until: int | None = None
    after: Place | None = None
    limit: int = 100

    def has_window(self, window: int) -> bool:
        """Tell whether cells of a window may be on the page."""
        return (
            (self.since is None or (window + 1) * WINDOW_MS > self.since)
            and (self.until is None or window * WINDOW_MS < self.until)
            and (self.after is None or -window >= self.after[0])
        )

    def prefix(self, window: int) -> bytes:
        """Return the beginning of the keys of all rows of a window that may be wanted."""
        known = [] if self.country is None else [self.country]
        if known and self.operator is not None:
            known.append(self.operator)
        # An array of JSON that is not closed: its values begin the names of all cells that have them.
        begin = orjson.dumps(known)[:-1] + (b"," if known else b"")
        return CELL_PREFIX + b"%d:" % window + begin

    def has_cell(self, name: str) -> bool:
        """Tell whether a cell whose key has the prefix is wanted."""
        if self.operator is not None and self.country is None and place_named(name)[1][1] != self.operator:
            return False
        return self.after is None or place_of(name) > self.after


class CellQuery(NamedTuple):
    """A query that was read: the wanted page, and every fault, as a phrase each; none when it is right."""

    wanted: WantedCells
    faults: list[str]


def read_cell_query(given: Sequence[tuple[str, str]]) -> CellQuery:
    """Return the query of a list by its parameters, names and values in any order. Faults repeat no value."""
    read, faults = read_parameters(given, _READERS)
    return CellQuery(WantedCells(after=read.pop("cursor", None), **read), faults)


def place_of(name: str) -> Place:
    """Return the place of a cell by its name."""
    window, _, _ = name.partition(":")
    return -int(window), blake2b(name.encode(), digest_size=16).hexdigest()


def cursor_after_cell(record: Mapping[str, Any]) -> str:
    """Return the cursor that leads to the cells behind this one."""
    minus_window, digest = place_of(record["cell"])
    return f"{-minus_window}-{digest}"


def _cursor(text: str) -> Place:
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise ValueError("`next` of a page is expected, as it is")
    return -int(found[1]), found[2]


_READERS: Final[Readers] = {
    "country": str,
    "operator": str,
    "since": moment,
    "until": moment,
    "limit": limit,
    "cursor": _cursor,
}
