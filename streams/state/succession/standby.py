"""
Hot standby: a copy of the rows of partitions that other workers own, so that a takeover need not restore them.
"""

import asyncio
import logging
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from aiokafka import AIOKafkaConsumer

from streams.state.succession.restore import Restorable, restore, targets_now
from streams.state.succession.shares import Shares, standby_of

logger = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 1.0
"""Between two reads of the changelogs."""


class Standby:
    """
    The standby partitions of one worker, besides the partitions that it owns.

    `partitions` follow from the last assignment; none when it `is_off`. `at_hand` are the partitions with restored
    rows, which the worker names when it joins the group. `records` counts the changelog records read so far.
    """

    def __init__(self, tables: Sequence[Restorable], count: int, *, is_off: bool = False) -> None:
        self._tables = tables
        self._count = count
        self._is_off = is_off
        self.partitions: AbstractSet[int] = frozenset()
        self.at_hand: AbstractSet[int] = frozenset()
        self.records = 0

    def reassign(self, shares: Shares, myself: str) -> None:
        """Choose the standby partitions anew. `shares` has the assigned partitions of every worker, `myself` too."""
        self.partitions = frozenset() if self._is_off else standby_of(shares, myself, self._count)
        self.at_hand &= self.partitions

    async def follow(self, reader: AIOKafkaConsumer) -> None:
        """Restore new records of the changelogs until cancelled. Raises KafkaError, StoreError."""
        partitions = self.partitions
        is_new = True
        while True:
            self.records += await restore(reader, await targets_now(reader, self._tables, partitions))
            self.at_hand = partitions
            if is_new:
                logger.info("standing by", extra={"partitions": sorted(partitions)})
                is_new = False
            await asyncio.sleep(PAUSE_SECONDS)
