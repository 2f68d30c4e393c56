"""
The consumer: commits what is durable, at most, and reads only partitions whose rows are complete.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from inspect import iscoroutine
from time import monotonic
from typing import Any, Final, cast

from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP
from mode import ServiceT
from mode.services import WaitResults

from streams.errors import Exit
from streams.runtime import private_names
from streams.runtime.begun import begin
from streams.runtime.group_reader import GroupReader
from streams.runtime.holdings import Table, held_by

_OF_A_RECORD: Final = 2
_NOTHING_TO_READ_SECONDS: Final = 0.02

_PACE_SECONDS: Final = 0.005
"""From asking for records until asking again: what comes in the meantime of all partitions is fetched at once."""


class ClampingConsumer(Consumer):
    """
    Commits what is durable, at most.

    Faust also acknowledges the events that it skips around a rebalance, so its own idea of a safe offset can be too
    high. Topics are made by `routee-streams topics` only.
    """

    logger = private_names.FAUST_LOGGER
    _subscribed = False
    _asked = -math.inf

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Changed in place: Faust remembers this very dictionary as committed.
        clamp(cast("dict[TP, int]", offsets), held_by(self.app).tables)
        if not held_by(self.app).guards.commits:
            return True
        return await super()._commit(offsets) if offsets else False

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        try:
            await super()._drain_messages(fetcher)
        except KafkaError as error:
            if not self.should_stop:
                held_by(self.app).die(Exit.READ_FAILED, f"no records any more: {error!r}")
            raise

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ANN401, ASYNC109 - as Faust has it
        """
        Read nothing while partitions are taken over, and begin right after; at other times, in steps.

        Faust sleeps for a second when it has nothing to read, over the end of each takeover. When it has, it asks
        again at once, and a fetch costs more than the one or two records that have come by then.
        """
        if self.flow_active and (self.app.rebalancing or not self._get_active_partitions()):
            await self.sleep(_NOTHING_TO_READ_SECONDS)
            return {}, set()
        await asyncio.sleep(self._asked + _PACE_SECONDS - monotonic())
        self._asked = monotonic()
        return await super()._wait_next_records(timeout)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Read partitions from now on, those not that are still to be taken over."""
        super().resume_partitions(set(tps) - self._unread)

    def on_buffer_drop(self, tp: TP) -> None:
        """Read a partition again that was left alone because its agent had too much."""
        if tp not in self._unread:
            super().on_buffer_drop(tp)

    def wanted(self, active: AbstractSet[TP]) -> AbstractSet[TP]:
        """Return the partitions whose records are handed over: active ones, and what came while an agent had enough."""
        return (active | self._buffered_partitions) - self._unread

    @property
    def _unread(self) -> AbstractSet[TP]:
        return held_by(self.app).unread

    async def perform_seek(self) -> None:
        """
        Go back to what is committed, and to the beginning where nothing is.

        What was read while its partition had no owner was let go of; Faust goes nowhere when nothing is committed.
        """
        await super().perform_seek()
        await self._seek_uncommitted(self._begins())

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group; before the first time, have at hand what it will hand over."""
        if not self._subscribed:
            self._subscribed = True
            await held_by(self.app).before_joining()
        await super().subscribe(topics)

    async def seek_begin(self, tp: TP) -> None:
        """Go back in a partition that was taken over after the others, in the same way."""
        await self._seek_uncommitted({tp: self._begins()[tp]})

    def _begins(self) -> dict[TP, int]:
        return {
            TP(table.source, number): owned.begin
            for table in held_by(self.app).tables
            for number, owned in table.checkpointer.owned.items()
        }

    async def _seek_uncommitted(self, begins: Mapping[TP, int]) -> None:
        assigned = self.assignment()
        await self.seek_wait(
            {tp: begin for tp, begin in begins.items() if tp in assigned and not self._committed_offset.get(tp)}
        )

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:  # noqa: ANN401, ASYNC109 - as mode has it
        """
        Hand over a record as Faust does, but without tasks when that ends without waiting.

        Faust asks for it by two coroutines: the handing over, which returns nothing, and one that ends when the flow
        is suspended. Anything else is waited for by Faust itself.
        """
        if timeout is not None or len(coros) != _OF_A_RECORD or not all(map(iscoroutine, coros)):
            return await super().wait_first(*coros, timeout=timeout)
        handing_over, suspended = coros
        begun = begin(handing_over)
        if begun is not None:
            return await super().wait_first(begun, suspended)
        suspended.close()
        return WaitResults([handing_over], [None], stopped=self.should_stop)

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return GroupReader(self, loop=self.loop, thread_loop=self.loop, beacon=self.beacon)

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Do nothing."""


def clamp(offsets: dict[TP, int], tables: Iterable[Table]) -> None:
    """Lower the offsets of the tables' source topics to what is durable, and drop those of which nothing is."""
    for table in tables:
        for tp in [tp for tp in offsets if tp.topic == table.source]:
            durable = table.durable(tp.partition)
            if durable is None:
                del offsets[tp]
            else:
                offsets[tp] = min(offsets[tp], durable)
