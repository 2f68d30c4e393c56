"""
The consumer of the group, in the event loop of everything else.

Faust gives it a thread and a loop of its own, so that heartbeats go on while an agent computes. Here whatever takes
long is done in turns, and a worker that stands still for long ends anyway; two threads that take turns at one
interpreter would only hold up each other, at every fetch.
"""

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, Protocol, cast

from aiokafka import AIOKafkaConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport
from faust.types import TP

from streams.runtime import private_names

FETCH_WAIT_MS: Final = 50
FETCH_BYTES: Final = 256 << 10
"""Of each partition at a time, and never less than a record; aiokafka copies a fetch several times to read it."""


class _Wanting(Protocol):
    def wanted(self, active: AbstractSet[TP]) -> AbstractSet[TP]:
        """Return the partitions whose records are handed over."""


class GroupReader(AIOKafkaConsumerThread):
    """
    Waits 50 ms for a fetch, and reads nothing of partitions that are not to be read.

    aiokafka has one fetch in flight per broker, and Faust lets it wait 1500 ms for topics that are idle: the busy
    ones starve meanwhile. Has to be made with `thread_loop` the loop that it is made in.
    """

    logger = private_names.FAUST_LOGGER
    serving: asyncio.Task[None]
    """Runs until it is stopped, or fails with what `start` raises or the worker ends by."""

    async def start(self) -> None:
        """Start without a thread; return when it serves. Raises what keeps it from that."""
        self._thread_started.set()
        running = self._thread_running = self.parent_loop.create_future()
        self.serving = self.parent_loop.create_task(self._serve())
        try:
            await running
        finally:
            self._thread_running = None

    async def _serve(self) -> None:
        try:
            await super()._serve()
        except Exception:
            self.set_shutdown()  # or whoever stops it would wait for that
            raise

    async def _gather_remaining_tasks(self) -> None:
        """Leave the tasks of this loop alone: they are not its own."""

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - as Faust has it
        max_records: int | None = None,
    ) -> Mapping[TP, list[Any]]:
        """
        Return records of active partitions, and put back others.

        A fetch that waits while all partitions are paused is given records of any; Faust would just leave them out,
        and go on behind them.
        """
        fetched = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        wanted = cast("_Wanting", self.consumer).wanted(active_partitions)
        left_out = fetched.keys() - wanted if fetched else set[TP]()
        for tp in left_out & consumer.assignment():
            consumer.seek(tp, fetched[tp][0].offset)
        return {tp: records for tp, records in fetched.items() if tp not in left_out} if left_out else fetched

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        private_names.set_fetch_wait(consumer, FETCH_WAIT_MS)
        return consumer
