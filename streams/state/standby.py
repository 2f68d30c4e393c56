"""
Having rows at hand of partitions that others work on: whoever is given those when another one ends goes on at once.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaConsumer

from streams.state.assignment import Shares, standby_of
from streams.state.restore import restore, to_date

if TYPE_CHECKING:
    from streams.state.table import CheckpointedTable

logger = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 1.0
"""Between two looks at what is new."""


class Standby:
    """
    What a worker keeps at hand while it works on its own partitions.

    `shares` returns which worker was given which partitions, nothing when none are to be kept; `myself` is this
    worker's name in it. `at_hand` is what it says of itself when it joins; `records` is how many it has read so far.
    """

    def __init__(
        self, tables: Sequence["CheckpointedTable"], shares: Callable[[], Shares], myself: str, partitions: int
    ) -> None:
        self._tables = tables
        self._shares = shares
        self._myself = myself
        self._partitions = partitions
        self.at_hand: AbstractSet[int] = frozenset()
        self.records = 0

    def partitions(self) -> set[int]:
        """Return the partitions whose rows are kept at hand, by the last assignment."""
        held = self._shares()
        return standby_of(held, self._myself, self._partitions) if self._myself in held else set()

    def reassign(self) -> None:
        """Call after an assignment: from now on other partitions than before are kept."""
        self.at_hand &= self.partitions()

    async def follow(self, reader: AIOKafkaConsumer) -> None:
        """Read what is written to the changelogs, until cancelled. Raises KafkaError, StoreError."""
        partitions = self.partitions()
        is_new = True
        while True:
            self.records += await restore(reader, await to_date(reader, self._tables, partitions))
            self.at_hand = partitions
            if is_new:
                logger.info("standing by", extra={"partitions": sorted(partitions)})
                is_new = False
            await asyncio.sleep(PAUSE_SECONDS)
