"""
Producing with acks=all, straight over connections to the brokers.

aiokafka's own producer has one request in flight per broker. Batches that come meanwhile wait for it, which on a slow
network alone takes longer than Routee waits. Here requests to a broker overlap, each on a connection of its own, since
a broker handles the requests of one connection one after the other. Batches appended in one turn of the event loop
share a request.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from aiokafka.errors import (
    KafkaError,
    RequestTimedOutError,
    UnknownError,
    for_code,
)

from ingest.callback.envelope import RawRecord
from ingest.kafka.broker import give_up
from ingest.kafka.cluster import Cluster
from ingest.kafka.produce_request import ProduceRequest, ProduceResponse
from streams.contract.headers import NO_HEADERS, Headers
from streams.program.record_batch import RecordBatch

PATIENCE_SECONDS: Final = 1.5
"""How long an append may take, its connection too."""

_BACKOFF_SECONDS: Final = 0.05
# How long a broker waits for replicas: less than our patience, so that its answer for the other partitions arrives.
_REPLICATION_MS: Final = 1000
# A request that grows beyond it is sent; later batches of the same turn take another one.
_REQUEST_BYTES: Final = 4_000_000
# Above every group of a lane, below `max.message.bytes` of the topics.
_BATCH_BYTES: Final = 990_000


class Producer:
    """
    Appends batches of records to a cluster; `close` after.

    Not idempotent on purpose: an idempotent producer must retry a batch in flight for ever, so no append would end
    during an outage. The price is a possible duplicate, and Routee sends callbacks more than once anyway.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._filling: dict[_Destination, _Request] = {}
        self._slow: set[tuple[str, int]] = set()
        self._in_flight: set[asyncio.Task[None]] = set()

    async def close(self, timeout_seconds: float) -> None:
        """Wait for requests in flight, for a bounded time."""
        if not self._in_flight:
            return
        _, late = await asyncio.wait(self._in_flight, timeout=timeout_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def append(
        self, topic: str, partition: int, records: Sequence[RawRecord], headers: Headers = NO_HEADERS
    ) -> None:
        """
        Return when all in-sync replicas have the records, which together must fit into one batch.

        Each record has the same headers.

        Raises KafkaError when that is not so after 1.5 s, or cannot become so. To one partition, one append at a time.
        """
        batch = _batch(records, headers)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        trouble: KafkaError = RequestTimedOutError()
        while True:
            try:
                return await self._append_once(loop, topic, partition, batch, deadline)
            except TimeoutError:
                raise trouble from None
            except KafkaError as error:
                if error.invalid_metadata:
                    self._cluster.refresh_soon()
                if not error.retriable or loop.time() + _BACKOFF_SECONDS >= deadline:
                    raise
                trouble = error
            await asyncio.sleep(_BACKOFF_SECONDS)

    async def _append_once(
        self, loop: asyncio.AbstractEventLoop, topic: str, partition: int, batch: bytearray, deadline: float
    ) -> None:
        # A request is answered when all its partitions are: a slow partition goes alone until it is quick again.
        alone = (topic, partition) if (topic, partition) in self._slow else None
        destination = self._cluster.leader(topic, partition), alone
        request = self._filling.get(destination)
        if request is None:
            request = self._filling[destination] = _Request(loop)
            loop.call_soon(self._send, destination, request)
        acknowledged = request.add(topic, partition, batch)
        if request.size > _REQUEST_BYTES:
            self._send(destination, request)
        too_late = loop.call_at(deadline, give_up, acknowledged)
        try:
            await acknowledged
        except RequestTimedOutError:
            self._slow.add((topic, partition))
            raise
        finally:
            too_late.cancel()
        self._slow.discard((topic, partition))

    def _send(self, destination: "_Destination", request: "_Request") -> None:
        if self._filling.get(destination) is not request:
            return  # it was full, and sent, before the turn was over
        del self._filling[destination]
        leader, _ = destination
        task = request.loop.create_task(request.send(self._cluster, leader))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)


_Destination = tuple[int, tuple[str, int] | None]
"""The broker; and the partition, when its batches go alone."""


class _Request:
    """Batches on their way to one broker, and the future of each."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.size = 0
        self._topics: dict[str, list[tuple[int, bytearray]]] = {}
        self._waiting: dict[tuple[str, int], asyncio.Future[None]] = {}

    def add(self, topic: str, partition: int, batch: bytearray) -> asyncio.Future[None]:
        """Take a batch in; the future is done when it is acknowledged, or fails with a KafkaError."""
        self.size += len(batch)
        self._topics.setdefault(topic, []).append((partition, batch))
        acknowledged = self._waiting[topic, partition] = self.loop.create_future()
        return acknowledged

    async def send(self, cluster: Cluster, leader: int) -> None:
        """Send on a connection of its own, and settle every future, also when that fails."""
        try:
            async with cluster.connection(leader) as connection:
                if self._is_awaited():
                    self._read(await connection.produce(self._encode()))
        except KafkaError as error:
            self._fail(error)
        finally:
            self._fail(UnknownError("the broker's answer does not name the partition"))

    def _is_awaited(self) -> bool:
        return not all(waiting.done() for waiting in self._waiting.values())

    def _encode(self) -> ProduceRequest:
        topics, self._topics = self._topics, {}
        return ProduceRequest(_REPLICATION_MS, topics)

    def _read(self, response: ProduceResponse) -> None:
        for topic, partition, code in response.outcomes:
            waiting = self._waiting.pop((topic, partition), None)
            if waiting is None or waiting.done():
                continue
            if code:
                waiting.set_exception(for_code(code)())
            else:
                waiting.set_result(None)

    def _fail(self, error: KafkaError) -> None:
        """Fail the futures that are still open."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
        self._waiting.clear()


def _batch(records: Sequence[RawRecord], headers: Headers) -> bytearray:
    keys, values = zip(*records, strict=True)
    batch = RecordBatch(keys, values, int(time.time() * 1000), [headers] * len(records))
    if batch.size > _BATCH_BYTES and batch.count > 1:
        raise UnknownError("more records than fit into one batch")
    return batch.written()
