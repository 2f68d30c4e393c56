"""
The consumer: commits durable offsets only, and reads only partitions whose rows are restored.
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

_COROUTINES_PER_DELIVERY: Final = 2
"""Faust passes `wait_first` two coroutines for each record that it delivers."""

_IDLE_SECONDS: Final = 0.02
"""Between two looks for assigned partitions, while there are none to read."""

_PACE_SECONDS: Final = 0.005
"""Between two fetches: records that arrive meanwhile in all partitions are fetched at once."""


class ClampingConsumer(Consumer):
    """
    Never commits an offset beyond the last checkpoint.

    Faust also acknowledges the events that it skips around a rebalance, so its own idea of a safe offset can be too
    high. Creates no topics: only `routee-streams topics` does.
    """

    logger = private_names.FAUST_LOGGER
    _subscribed = False
    _asked = -math.inf

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Changed in place: Faust keeps this same dictionary as the committed offsets.
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
        Read nothing during a takeover, begin right after it, and pace fetches at other times.

        Without partitions Faust sleeps for a second, past the end of each takeover. With partitions it fetches again
        at once, and a fetch costs more than the one or two records that have arrived by then.
        """
        if self.flow_active and (self.app.rebalancing or not self._get_active_partitions()):
            await self.sleep(_IDLE_SECONDS)
            return {}, set()
        await asyncio.sleep(self._asked + _PACE_SECONDS - monotonic())
        self._asked = monotonic()
        return await super()._wait_next_records(timeout)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume partitions, except the ones that still wait for their takeover."""
        super().resume_partitions(set(tps) - self._unread)

    def on_buffer_drop(self, tp: TP) -> None:
        """Resume a partition that was paused by backpressure, unless it still waits for its takeover."""
        if tp not in self._unread:
            super().on_buffer_drop(tp)

    def wanted(self, active: AbstractSet[TP]) -> AbstractSet[TP]:
        """Return the partitions whose records are delivered: active ones, and ones paused by backpressure."""
        return (active | self._buffered_partitions) - self._unread

    @property
    def _unread(self) -> AbstractSet[TP]:
        holdings = held_by(self.app)
        return holdings.unread if holdings.guards.unread else frozenset()

    async def perform_seek(self) -> None:
        """
        Seek to the committed offset, and to the beginning of the source where none was committed.

        Records fetched before we owned the partition were dropped and must be fetched again. Faust seeks only where an
        offset was committed.
        """
        await super().perform_seek()
        await self._seek_uncommitted(self._begins())

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group; before the first time, warm up."""
        if not self._subscribed:
            self._subscribed = True
            await held_by(self.app).before_joining()
        await super().subscribe(topics)

    async def seek_begin(self, tp: TP) -> None:
        """Seek, as `perform_seek` does, in a partition that was taken over after the others."""
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
        Deliver a record as Faust does, but without tasks when the delivery need not wait.

        For a delivery Faust passes two coroutines: the delivery, which returns nothing, and one that ends when the
        flow is suspended. All other calls go to Faust.
        """
        if timeout is not None or len(coros) != _COROUTINES_PER_DELIVERY or not all(map(iscoroutine, coros)):
            return await super().wait_first(*coros, timeout=timeout)
        delivery, suspended = coros
        begun = begin(delivery)
        if begun is not None:
            return await super().wait_first(begun, suspended)
        suspended.close()
        return WaitResults([delivery], [None], stopped=self.should_stop)

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return GroupReader(self, loop=self.loop, thread_loop=self.loop, beacon=self.beacon)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """
        Do nothing: Faust's look for partitions that stand still, each of whose answers may be false here.

        It counts events that `RecordStream` does not announce, and the time since the worker began where a partition
        was taken over later. `streams.health` tells the partitions that stand still.
        """

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Do nothing."""


def clamp(offsets: dict[TP, int], tables: Iterable[Table]) -> None:
    """Lower the offsets of the tables' source topics to the durable ones; drop partitions without a durable offset."""
    for table in tables:
        for tp in [tp for tp in offsets if tp.topic == table.source]:
            durable = table.durable(tp.partition)
            if durable is None:
                del offsets[tp]
            else:
                offsets[tp] = min(offsets[tp], durable)
