"""
Lists of the cells of deliveries that this worker owns, newest window first.

Each cell is as of its latest change. Nothing is kept between two lists: the keys of rows begin with window, country and
operator, so a list reads little more than what it answers.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from streams.domain.cells import CELL_PREFIX, cell_key
from streams.domain.delivery import delivery_record, read_delivery
from streams.domain.delivery_stage import windows_of
from streams.domain.stage import GENERATION_KEY
from streams.read_api.delivery_query import WantedCells, place_of
from streams.runtime.table import CheckpointedTable
from streams.state.rows.partition import Partition
from streams.state.turns import Turns

_PORTION_ROWS: Final = 100
"""Rows read at a time, in about a millisecond."""


class OwnCells(NamedTuple):
    """The cells of a page that this worker has, and the partitions that were searched for them."""

    records: list[dict[str, Any]]
    has_more: bool
    searched: list[int]


class DeliveryLists:
    """
    The lists of one worker.

    `check` is called before rows are read, and ends the process when the partitions may have a newer owner.
    """

    def __init__(self, table: CheckpointedTable, check: Callable[[], None], turns: Turns) -> None:
        self._table = table
        self._check = check
        self._turns = turns

    async def page(self, wanted: WantedCells) -> OwnCells:
        """Return a page of the cells of all owned partitions."""
        found: list[tuple[str, Partition]] = []
        searched = []
        for number, owned in [*self._table.checkpointer.owned.items()]:
            partition = owned.partition
            names = await self._first(number, partition, wanted)
            if self._owns(number, partition):
                found += ((name, partition) for name in names)
                searched.append(number)
        found.sort(key=lambda one: place_of(one[0]))
        self._check()
        records = [record for name, partition in found[: wanted.limit] for record in _record(name, partition)]
        return OwnCells(records, len(found) > wanted.limit, sorted(searched))

    async def _first(self, number: int, partition: Partition, wanted: WantedCells) -> list[str]:
        """Return the names of the first cells of a partition, all of a window and one more than a page at least."""
        names: list[str] = []
        for window in reversed(windows_of(partition.rows)):
            if len(names) > wanted.limit or not self._owns(number, partition):
                break
            if wanted.has_window(window):
                keys = await self._keys(number, partition, wanted.prefix(window))
                told = (key.removeprefix(CELL_PREFIX).decode() for key in keys)
                names += (name for name in told if wanted.has_cell(name))
        return names

    async def _keys(self, number: int, partition: Partition, prefix: bytes) -> set[bytes]:
        """Return the keys of the rows of a partition that begin so."""
        keys = {key for key in partition.rows.unstored if key.startswith(prefix)}
        after: bytes | None = b""
        while after is not None and self._owns(number, partition):
            rows, after = self._table.store.portion(number, prefix, after, _PORTION_ROWS)
            keys.update(rows)
            await self._turns.offer(answer=True)
        return keys

    def _owns(self, number: int, partition: Partition) -> bool:
        owned = self._table.checkpointer.owned.get(number)
        return owned is not None and owned.partition is partition


def _record(name: str, partition: Partition) -> Iterator[dict[str, Any]]:
    row = partition.rows.get(cell_key(name))
    if row is not None:
        yield delivery_record(read_delivery(row, name), partition.rows.get(GENERATION_KEY) or 0)
