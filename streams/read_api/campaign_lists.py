"""
Lists of the campaigns that this worker owns, as exact as the answer about a single one.

The first list reads all campaigns of a partition into an index, in short turns; a later one looks only at the campaigns
that changed since. Nothing is kept before the first one.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

import orjson

from streams.domain.campaign_index import CampaignIndex, Place, Places, Wanted, places_of
from streams.domain.campaign_stage import CAMPAIGN_PREFIX
from streams.domain.progress import progress_record, read_campaign
from streams.domain.stage import GENERATION_KEY
from streams.runtime.table import CheckpointedTable
from streams.state.rows.partition import Partition
from streams.state.turns import Turns

_PORTION_ROWS: Final = 100
"""Rows read at a time, in about a millisecond."""


class OwnPage(NamedTuple):
    """The campaigns of a page that this worker has, and the partitions that were searched for them."""

    records: list[dict[str, Any]]
    has_more: bool
    searched: list[int]


@dataclass(frozen=True, slots=True)
class _Indexed:
    partition: Partition
    index: CampaignIndex

    def note(self, key: bytes) -> None:
        self.index.put(key, self.partition.rows.raw(key))

    def places(self, wanted: Wanted) -> Iterator[tuple[Place, Partition]]:
        return ((place, self.partition) for place in self.index.page(wanted))


class CampaignLists:
    """
    The lists of one worker.

    `check` is called before rows are read, and ends the process when the partitions may have a newer owner.
    """

    def __init__(self, table: CheckpointedTable, check: Callable[[], None], turns: Turns) -> None:
        self._table = table
        self._check = check
        self._indexed: dict[int, _Indexed] = {}
        self._turns = turns
        self._one_at_a_time = asyncio.Lock()

    async def page(self, wanted: Wanted) -> OwnPage:
        """Return a page of the campaigns of all owned partitions; all of its rows are of one moment."""
        async with self._one_at_a_time:
            await self._catch_up()
            self._check()
            rows, has_more = self._cut(wanted)
            searched = sorted(self._indexed)
        records = []
        for row, generation in rows:
            records.append(progress_record(read_campaign(orjson.loads(row)), generation))
            await self._turns.offer(answer=True)
        return OwnPage(records, has_more, searched)

    def _owns(self, number: int, partition: Partition) -> bool:
        owned = self._table.checkpointer.owned.get(number)
        return owned is not None and owned.partition is partition

    async def _catch_up(self) -> None:
        """Index the partitions that are new here, forget the others, and note nearly all changes since."""
        self._forget_lost()
        for number, owned in [*self._table.checkpointer.owned.items()]:
            partition = owned.partition
            if number in self._indexed:
                await self._note_changes(number, self._indexed.pop(number))
            elif self._owns(number, partition):
                await self._index(number, partition)

    def _forget_lost(self) -> None:
        self._indexed = {n: one for n, one in self._indexed.items() if self._owns(n, one.partition)}

    async def _index(self, number: int, partition: Partition) -> None:
        """Read the campaigns of a partition; stop when it is given up meanwhile."""
        known: dict[bytes, Places] = {}
        changed = partition.watch()
        after: bytes | None = b""
        while after is not None:
            rows, after = self._table.store.portion(number, CAMPAIGN_PREFIX, after, _PORTION_ROWS)
            known.update((key, places_of(key, row)) for key, row in rows.items())
            await self._turns.offer(answer=True)
            if not self._owns(number, partition):
                return
        indexed = _Indexed(partition, CampaignIndex(known))
        for key in changed:
            indexed.note(key)
        self._indexed[number] = indexed

    async def _note_changes(self, number: int, indexed: _Indexed) -> None:
        """Note the changes of an indexed partition; it is forgotten when that does not come to an end."""
        if not self._owns(number, indexed.partition):
            return
        for key in indexed.partition.take_changed():
            indexed.note(key)
            await self._turns.offer(answer=True)
            if not self._owns(number, indexed.partition):
                return
        self._indexed[number] = indexed

    def _cut(self, wanted: Wanted) -> tuple[list[tuple[bytes, int]], bool]:
        """Return the rows of a page with their generations, and whether there are more. Nothing else runs meanwhile."""
        self._forget_lost()
        for one in self._indexed.values():
            for key in one.partition.take_changed():
                one.note(key)
        one_more = wanted._replace(limit=wanted.limit + 1)
        everywhere = chain.from_iterable(one.places(one_more) for one in self._indexed.values())
        found = sorted(everywhere, key=lambda place_and_partition: place_and_partition[0])
        rows = [_row(key, partition) for (_, key), partition in found[: wanted.limit]]
        return [row for row in rows if row is not None], len(found) > wanted.limit


def _row(key: bytes, partition: Partition) -> tuple[bytes, int] | None:
    row = partition.rows.raw(key)
    return None if row is None else (row, partition.rows.get(GENERATION_KEY) or 0)
