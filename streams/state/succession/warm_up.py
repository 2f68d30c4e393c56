"""
Warm-up: rows are restored before the worker joins the group, while other workers still serve the partitions.

A worker with rows of an earlier run joins at once and names their partitions; it is given these first when partitions
must move. A worker without rows computes the partitions that it would be given, restores them, and then joins. A wrong
guess, because other workers join meanwhile, is restored after the assignment, as without a warm-up.
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
"""Partitions that lack no more records than this count as restored: a takeover reads the rest in a moment."""

_MAX_PASSES: Final = 5
"""Other workers write while this one reads: each pass leaves less, unless they write faster than it reads."""

_MYSELF: Final = ""


class WarmUp:
    """
    Restores rows before a worker joins its group.

    `shares` returns the partitions of each member of the group. It is called in a thread; a StreamsError from it is
    logged as a warning, and the worker joins without reading ahead.
    """

    def __init__(self, tables: Sequence[Restorable], shares: Callable[[], Shares]) -> None:
        self._tables = tables
        self._shares = shares

    async def run(self, reader: AIOKafkaConsumer, partitions: int) -> set[int]:
        """Return the partitions whose rows are at hand; restore some first if there are none. Raises KafkaError."""
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
        """Return the partitions that this worker, with old rows of `kept`, would be given; none if it is the first."""
        try:
            held = await asyncio.to_thread(self._shares)
        except StreamsError as error:
            logger.warning("cannot see who has which partitions: %s", error)
            return set()
        return share_out({**held, _MYSELF: set()}, {_MYSELF: kept}, partitions)[_MYSELF] if held else set()

    async def _read(self, reader: AIOKafkaConsumer, share: Collection[int]) -> None:
        for _ in range(_MAX_PASSES):
            wanted = await targets_now(reader, self._tables, share)
            if _missing(wanted) <= AT_HAND_RECORDS:
                return
            await restore(reader, wanted)


def _missing(wanted: Wanted) -> int:
    return sum(missing(store, tp.partition, end) for tp, (store, end) in wanted.items())
