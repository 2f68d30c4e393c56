"""
Stage 2 of the cells: puts the counts of all source partitions together and tells each cell that changed.

Its source has the lines of `delivery_partials`. One route, country and operator, lies in one partition.
"""

from collections.abc import Collection, Iterator
from typing import Any, ClassVar, Final

import orjson

from streams.contract.headers import headers
from streams.contract.topics import DELIVERY_PARTIALS, DELIVERY_WATCH, DELIVERY_WINDOWS
from streams.domain.alarms.seen import watched_line
from streams.domain.cells import CELL_PREFIX, cell_key, place_named
from streams.domain.delivery import delivery_record, is_over, joined, read_delivery
from streams.domain.lines import RefusedLineError, rejected_line, taken_line
from streams.domain.listing import Listing
from streams.domain.stage import GENERATION_KEY, PIECE_BYTES, Ending, Output, Piece, Rows, Stage

_CELLS: Final = Listing(b"w:")
_CLOCK_KEY: Final = b"v:"
"""The row {"forgotten", "windows"}: how far the foremost source partition has forgotten, and the windows with cells."""

_FORGET_PER_LINE: Final = 2


class DeliveryStage(Stage):
    """The rules of `track_delivery`; a `Stage`."""

    summarized: ClassVar[tuple[bytes, ...]] = (CELL_PREFIX,)

    def apply(  # noqa: PLR0913, PLR0917 - as in Stage
        self, rows: Rows, partition: int, offset: int, value: bytes, begin: int = 0, ended: Ending | None = None
    ) -> Iterator[Piece]:
        """
        Take in one record of the partials topic: its lines, each of one cell, from `begin` on.

        Counts replace the known ones when they are newer by (generation, `v`, `taken`). A repeated line changes
        nothing, not even the revision.
        """
        lines = value.split(b"\n")
        left: int | None = begin
        while left is not None:
            gatherer = _Gatherer(rows, partition, offset, ended)
            left = gatherer.take_piece(lines, left)
            yield Piece(gatherer.rejections, left)

    def summarize(self, rows: Rows, partition: int, changed: Collection[bytes]) -> list[Output]:  # noqa: ARG002
        """Return the record of each changed cell, and its line for the alarms; none for a cell that is forgotten."""
        generation = rows.get(GENERATION_KEY) or 0
        outputs: list[Output] = []
        for key in sorted(key for key in changed if key.startswith(CELL_PREFIX)):
            row = rows.get(key)
            if row is not None:
                record = delivery_record(read_delivery(row, ""), generation)
                value = orjson.dumps(record)
                outputs += (
                    Output(DELIVERY_WINDOWS, record["cell"].encode(), value, headers(DELIVERY_WINDOWS)),
                    Output(DELIVERY_WATCH, None, watched_line(record)),
                )
        return outputs


def windows_of(rows: Rows) -> list[int]:
    """Return the windows that have cells, in order."""
    clock = rows.get(_CLOCK_KEY)
    return [] if clock is None else list(clock["windows"])


class _Gatherer:
    """Puts the lines of one piece of a partials record into the rows."""

    def __init__(self, rows: Rows, partition: int, offset: int, ended: Ending | None) -> None:
        self._rows = rows
        self._partition = partition
        self._offset = offset
        self._ended = ended
        self._clock: dict[str, Any] = rows.get(_CLOCK_KEY) or {"forgotten": 0, "windows": []}
        self._known_clock = orjson.dumps(self._clock)
        self._touched_bytes = 0
        self.rejections: list[Output] = []

    def take_piece(self, lines: list[bytes], begin: int) -> int | None:
        """Take in the piece that begins at line `begin`; return where the next one begins, None after the last."""
        end = self._take_lines(lines, begin)
        if end == len(lines):
            self._forget_due(_FORGET_PER_LINE * len(lines))
        if orjson.dumps(self._clock) != self._known_clock:
            self._rows.put(_CLOCK_KEY, self._clock)
        return end if end < len(lines) else None

    def _take_lines(self, lines: list[bytes], begin: int) -> int:
        for at, line in enumerate(lines[begin:], begin):
            self._take_guarded(at, line)
            if self._touched_bytes > PIECE_BYTES:
                return at + 1
        return len(lines)

    def _take_guarded(self, at: int, line: bytes) -> None:
        """Take in one line, or reject it."""
        try:
            taken_line(at, line, self._ended, self._take)
        except RefusedLineError as why:
            self.rejections.append(
                rejected_line(DELIVERY_PARTIALS, self._partition, self._offset, line, why, self._clock["forgotten"])
            )

    def _take(self, told: dict[str, Any]) -> None:
        name, counts, source = told["cell"], told["counts"], str(told["partition"])
        window, _ = place_named(name)
        self._clock["forgotten"] = max(self._clock["forgotten"], told["forgotten"])
        if is_over(window, self._clock["forgotten"]):
            return
        key = cell_key(name)
        row = self._rows.get(key)
        delivery = joined(read_delivery(row, name), source, counts, told["generation"])
        if delivery is None:
            return
        if row is None:
            self._list(window, name)
        # The record's offset plus one: the same in every replay; further lines, and a topic made anew, count on.
        delivery["revision"] = max(self._offset, delivery["revision"]) + 1
        self._rows.put(key, delivery)
        self._touched_bytes += len(self._rows.raw(key) or b"")

    def _list(self, window: int, name: str) -> None:
        if window not in self._clock["windows"]:
            self._clock["windows"] = sorted([*self._clock["windows"], window])
        _CELLS.add(self._rows, window, [name])

    def _forget_due(self, budget: int) -> None:
        """Forget about `budget` cells that are over, at most a chunk more."""
        windows = self._clock["windows"]
        while windows and budget > 0 and is_over(windows[0], self._clock["forgotten"]):
            taken = _CELLS.take_chunk(self._rows, windows[0])
            if taken is None:
                del windows[0]
                continue
            for name in taken:
                self._rows.delete(cell_key(name))
            budget -= len(taken)
