"""
Producing with acks=all, straight over connections to the brokers.

aiokafka's own producer has one request under way per broker: whoever comes while it is under way waits for it first,
and on a slow network that alone takes longer than Routee waits. Here requests to a broker overlap, each on a connection
of its own, because a broker handles the requests of one connection one after the other. What is appended in one turn of
the event loop shares a request.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka.errors import (
    KafkaError,
    RequestTimedOutError,
    UnknownError,
    for_code,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from ingest.callback.envelope import Record
from ingest.kafka.cluster import Cluster
from ingest.kafka.produce_request import ProduceRequest, ProduceResponse

_MAGIC: Final = 2
PATIENCE_S: Final = 1.5
"""How long an append may take, its connection too."""

_BACKOFF_S: Final = 0.05
# How long a broker waits for replicas: less than whoever waits for its answer, which is one for all partitions.
_REPLICATION_MS: Final = 1000
# A request that grows beyond it leaves; the batches of a turn that come later take another one.
_REQUEST_BYTES: Final = 4_000_000
# aiokafka's builder closes a batch at this size. Above every batch that the lanes fill, below the broker's limit.
_BATCH_BYTES: Final = 1_040_000


class Producer:
    """
    Appends batches of records to a cluster; `close` after.

    Not idempotent on purpose: an idempotent producer must retry what is under way for ever, so an outage would have
    no end that anybody can wait for. What that may cost is a duplicate, and callbacks come more than once anyway.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._boarding: dict[_Departure, _Request] = {}
        self._slow: set[tuple[str, int]] = set()
        self._under_way: set[asyncio.Task[None]] = set()

    async def close(self, timeout_s: float) -> None:
        """Wait for requests under way, for a bounded time."""
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def append(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """
        Return when all in-sync replicas have the records, which together must fit into one batch.

        Raises KafkaError when that is not so after 1.5 s, or cannot become so. To one partition, one append at a time.
        """
        batch = _batch(records)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        trouble: KafkaError = RequestTimedOutError()
        while True:
            try:
                return await self._append_once(topic, partition, batch, deadline)
            except TimeoutError:
                raise trouble from None
            except KafkaError as error:
                if error.invalid_metadata:
                    self._cluster.refresh_soon()
                if not error.retriable or loop.time() + _BACKOFF_S >= deadline:
                    raise
                trouble = error
            await asyncio.sleep(_BACKOFF_S)

    async def _append_once(self, topic: str, partition: int, batch: bytes, deadline: float) -> None:
        # A request is answered when all its partitions are: one that is slow goes alone until it is quick again.
        alone = (topic, partition) if (topic, partition) in self._slow else None
        departure = self._cluster.leader(topic, partition), alone
        loop = asyncio.get_running_loop()
        request = self._boarding.get(departure)
        if request is None:
            request = self._boarding[departure] = _Request()
            loop.call_soon(self._depart, departure, request)
        acknowledged = request.add(topic, partition, batch)
        if request.size > _REQUEST_BYTES:
            self._depart(departure, request)
        # A timer of the future itself: asyncio.timeout costs three times as much, for every envelope.
        too_late = loop.call_at(deadline, _give_up, acknowledged)
        try:
            await acknowledged
        except RequestTimedOutError:
            self._slow.add((topic, partition))
            raise
        finally:
            too_late.cancel()
        self._slow.discard((topic, partition))

    def _depart(self, departure: "_Departure", request: "_Request") -> None:
        if self._boarding.get(departure) is not request:
            return  # it was full before the turn was over
        del self._boarding[departure]
        leader, _ = departure
        task = asyncio.get_running_loop().create_task(request.send(self._cluster, leader))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


_Departure = tuple[int, tuple[str, int] | None]
"""To which broker; and for which partition, when it goes alone."""


class _Request:
    """Batches on their way to one broker, and who waits for each."""

    def __init__(self) -> None:
        self.size = 0
        self._topics: dict[str, list[tuple[int, bytes]]] = {}
        self._waiting: dict[tuple[str, int], asyncio.Future[None]] = {}

    def add(self, topic: str, partition: int, batch: bytes) -> asyncio.Future[None]:
        """Take a batch in; returns what is done when it is acknowledged, or fails with a KafkaError."""
        self.size += len(batch)
        self._topics.setdefault(topic, []).append((partition, batch))
        acknowledged = self._waiting[topic, partition] = asyncio.get_running_loop().create_future()
        return acknowledged

    async def send(self, cluster: Cluster, leader: int) -> None:
        """Send on a connection of its own, and tell everybody who waits, whatever happens."""
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
        """Tell whoever still waits."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
        self._waiting.clear()


def _give_up(acknowledged: asyncio.Future[None]) -> None:
    if not acknowledged.done():
        acknowledged.set_exception(TimeoutError())


def _batch(records: Sequence[Record]) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=_MAGIC,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=_BATCH_BYTES,
    )
    for offset, record in enumerate(records):
        if builder.append(offset, None, record.key, record.value, []) is None:
            raise UnknownError("more records than fit into one batch")
    return bytes(builder.build())
