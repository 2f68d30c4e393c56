"""
The lines by which a source partition tells its cells to the stage that merges them.

A line is `{"partition", "generation", "forgotten", "cell", "counts"}`: the absolute counts of one cell, and how far the
partition has forgotten. Its key, country and operator as JSON, chooses its partition.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from streams.contract.topics import DELIVERY_PARTIALS
from streams.domain.cells import CELL_PREFIX, cell_key, place_named
from streams.domain.expiry import forgotten_before
from streams.domain.stage import GENERATION_KEY, Output, Rows
from streams.domain.tally import read_tally


def changed_cells(rows: Rows, partition: int, changed: Iterable[bytes]) -> list[Output]:
    """Return a line for each changed cell that has a row."""
    names = sorted(key.removeprefix(CELL_PREFIX).decode() for key in changed if key.startswith(CELL_PREFIX))
    return _lines(rows, partition, names, {}) if names else []


def closed_cells(rows: Rows, partition: int, names: Iterable[str], offset: int, taken: int) -> list[Output]:
    """
    Return the last line of each cell that is closed; the caller deletes their rows.

    It is newer than all lines before it: it has the place of the record that closed the cell.
    """
    return _lines(rows, partition, names, {"v": offset, "taken": taken, "closed": True})


def _lines(rows: Rows, partition: int, names: Iterable[str], told: dict[str, Any]) -> list[Output]:
    generation, forgotten = rows.get(GENERATION_KEY) or 0, forgotten_before(read_tally(rows))
    lines = []
    for name in names:
        counts = rows.get(cell_key(name))
        if counts is not None:
            line = {
                "partition": partition,
                "generation": generation,
                "forgotten": forgotten,
                "cell": name,
                "counts": counts | told,
            }
            lines.append(Output(DELIVERY_PARTIALS, route_key(name), orjson.dumps(line)))
    return lines


def route_key(name: str) -> bytes:
    """Return the key that chooses the partition of a cell: its country and operator."""
    _, (country, operator, *_) = place_named(name)
    return orjson.dumps([country, operator])
