"""
Having rows at hand before joining the group: partitions that somebody works on need not wait until they are read.

A worker with rows of an earlier life joins at once, and says of which partitions it has them: it is given those, as
far as any have to move. One with none finds out what it would be given, reads that first, and joins then. What is
guessed wrongly, because others join meanwhile, is read later, as without this.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer

from streams.errors import StreamsError
from streams.state.succession.restore import Restorable, Wanted, missing, restore, targets_now
from streams.state.succession.shares import Shares, share_out

logger = logging.getLogger(__name__)

AT_HAND_RECORDS: Final = 10_000
"""Partitions that lack no more than this are at hand: it is read in a moment."""

_PASSES: Final = 5
"""While a worker reads, others write: each pass leaves less, unless they write faster than it reads."""

_MYSELF: Final = ""


class WarmUp:
    """
    What a worker does before it joins.

    `shares` returns the partitions of each member of the group, and is called in a thread; StreamsError for "cannot
    tell" is a warning.
    """

    def __init__(self, tables: Sequence[Restorable], shares: Callable[[], Shares]) -> None:
        self._tables = tables
        self._shares = shares

    async def run(self, reader: AIOKafkaConsumer, partitions: int) -> set[int]:
        """Return the partitions that are at hand, after reading some if there were none. Raises KafkaError."""
        kept = set[int]().union(*(table.store.kept() for table in self._tables))
        lacking = {number: _missing(await targets_now(reader, self._tables, [number])) for number in kept}
        at_hand = {number for number, records in lacking.items() if records <= AT_HAND_RECORDS}
        if at_hand:
            return at_hand
        share = await self._coming_share(kept, partitions)
        if share:
            logger.info("reading ahead", extra={"partitions": sorted(share)})
            await self._read(reader, share)
        return share

    async def _coming_share(self, kept: set[int], partitions: int) -> set[int]:
        """Return what this worker would be given, nothing if it is the first; it has old rows of some partitions."""
        try:
            held = await asyncio.to_thread(self._shares)
        except StreamsError as error:
            logger.warning("cannot see who has which partitions: %s", error)
            return set()
        return share_out({**held, _MYSELF: set()}, {_MYSELF: kept}, partitions)[_MYSELF] if held else set()

    async def _read(self, reader: AIOKafkaConsumer, share: Collection[int]) -> None:
        for _ in range(_PASSES):
            wanted = await targets_now(reader, self._tables, share)
            if _missing(wanted) <= AT_HAND_RECORDS:
                return
            await restore(reader, wanted)


def _missing(wanted: Wanted) -> int:
    return sum(missing(store, tp.partition, end) for tp, (store, end) in wanted.items())
