"""
The group's consumer, in the worker's one event loop.

Faust gives it a thread and a loop of its own, so that heartbeats go on while an agent computes. Here long work is
done in turns, and a worker that stands still for long ends anyway. Two threads of one interpreter would only delay
each other, at every fetch.
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
"""Per partition and fetch, but at least one record. aiokafka copies a fetch several times to read it."""


class _Wanting(Protocol):
    def wanted(self, active: AbstractSet[TP]) -> AbstractSet[TP]:
        """Return the partitions whose records are delivered."""


class GroupReader(AIOKafkaConsumerThread):
    """
    Waits 50 ms for a fetch, and returns no records of paused partitions.

    aiokafka has one fetch in flight per broker, and Faust lets it wait 1500 ms for idle topics: busy topics starve
    meanwhile. `thread_loop` must be the loop in which this object is made.
    """

    logger = private_names.FAUST_LOGGER
    serving: asyncio.Task[None]
    """Runs until it is stopped. A failure is raised by `start`, or ends the worker."""

    async def start(self) -> None:
        """Start without a thread; return when the consumer runs. Raises the error that prevents it."""
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
            self.set_shutdown()  # `stop` waits for it
            raise

    async def _gather_remaining_tasks(self) -> None:
        """Do nothing: the other tasks of this loop do not belong to the consumer."""

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - as Faust has it
        max_records: int | None = None,
    ) -> Mapping[TP, list[Any]]:
        """
        Return the records of active partitions, and seek back in the others.

        A long poll begun before a pause can return records of paused partitions. Faust would drop them and continue
        after them; we seek back.
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
