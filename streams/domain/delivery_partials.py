"""
The lines by which a source partition tells its cells to the stage that merges them.

A line is `{"partition", "generation", "forgotten", "cell", "counts"}`: the absolute counts of one cell, and how far the
partition has forgotten.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from streams.domain.cells import CELL_PREFIX, cell_key, place_named
from streams.domain.expiry import forgotten_before
from streams.domain.stage import GENERATION_KEY, Rows
from streams.domain.tally import read_tally

KeyLine = tuple[bytes, bytes]
"""The key by which a line chooses its partition, country and operator as JSON, and the line."""


def changed_cells(rows: Rows, partition: int, changed: Iterable[bytes]) -> Iterator[KeyLine]:
    """Yield a line for each changed cell that has a row."""
    for key in sorted(key for key in changed if key.startswith(CELL_PREFIX)):
        counts = rows.get(key)
        if counts is not None:
            yield _line(rows, partition, key.removeprefix(CELL_PREFIX).decode(), counts)


def closed_cells(rows: Rows, partition: int, names: Iterable[str], offset: int, taken: int) -> Iterator[KeyLine]:
    """
    Yield the last line of each cell that is closed; the caller deletes their rows.

    It is newer than all lines before it: it has the place of the record that closed the cell.
    """
    for name in names:
        counts = rows.get(cell_key(name))
        if counts is not None:
            yield _line(rows, partition, name, {**counts, "v": offset, "taken": taken, "closed": True})


def _line(rows: Rows, partition: int, name: str, counts: dict[str, Any]) -> KeyLine:
    _, (country, operator, *_) = place_named(name)
    line = {
        "partition": partition,
        "generation": rows.get(GENERATION_KEY) or 0,
        "forgotten": forgotten_before(read_tally(rows)),
        "cell": name,
        "counts": counts,
    }
    return orjson.dumps([country, operator]), orjson.dumps(line)
