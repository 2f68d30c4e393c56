"""
The promises of a publisher, over the log in memory and over the real Kafka.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic

import orjson
import pytest

from ingest.callback.envelope import RECORD_BYTES, RawRecord
from ingest.causes import Cause
from ingest.clock import SystemClock
from ingest.commit.lane import Lane, Outcome
from ingest.commit.log import CommitLog, MemoryCommitLog
from ingest.commit.publisher import Publisher, Terms
from ingest.kafka.log import KafkaCommitLog
from ingest.metrics import Metrics
from ingest.settings import IngestSettings
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, Topic
from tests.integration.ingest.topics import PARTITIONS, create_topics, read_partitions
from tests.support.wait import eventually_async

TERMS = Terms(partitions=PARTITIONS, flush_seconds=0.005, ack_timeout_seconds=1.5, max_pending_bytes=64 << 20)


@dataclass
class Client:
    """A waiter that remembers the outcomes, and their order over all clients."""

    said: list[tuple["Client", Outcome]]
    body: bytes = b""
    outcomes: list[Outcome] = field(default_factory=list)

    def settle(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.said.append((self, outcome))


@dataclass
class Bench:
    """A publisher at work, and a reader of the stored records."""

    publisher: Publisher
    read: Callable[[Topic], Awaitable[dict[int, list[RawRecord]]]]
    said: list[tuple[Client, Outcome]] = field(default_factory=list)

    def post(self, key: str, size: int = 0, note: bytes = b"") -> Client:
        """Have one callback stored, with a note when it was repaired."""
        body = orjson.dumps({"messageId": key, "n": len(self.said), "x": "x" * size})
        client = Client(self.said, body)
        lane = self.publisher.lane_for(key)
        assert isinstance(lane, Lane), lane
        lane.add(body, key, client, monotonic())
        if note:
            lane.note(note)
        return client

    async def settled(self, clients: list[Client]) -> list[Outcome]:
        """Return the outcomes of the clients, once all have one."""
        await eventually_async(lambda: all(client.outcomes for client in clients))
        assert all(len(client.outcomes) == 1 for client in clients)
        return [client.outcomes[0] for client in clients]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def bench(request: pytest.FixtureRequest, topic_prefix: str) -> AsyncIterator[Bench]:
    """Give a working publisher over each log."""
    log: CommitLog
    if request.param == "memory":
        log = memory = MemoryCommitLog()

        async def read(topic: Topic) -> dict[int, list[RawRecord]]:
            await asyncio.sleep(0)
            return {partition or 0: kept for (name, partition), kept in memory.records.items() if name == topic.suffix}

        async with working(log, read) as at_work:
            yield at_work
        return
    servers = request.getfixturevalue("kafka").bootstrap_servers
    await asyncio.to_thread(create_topics, servers, topic_prefix)
    settings = IngestSettings(
        kafka_bootstrap_servers=servers,
        kafka_topic_prefix=topic_prefix,
        kafka_partitions=PARTITIONS,
        ingest_host="127.0.0.1",
    )
    log = kafka_log = KafkaCommitLog(settings, SystemClock())
    connection = asyncio.create_task(kafka_log.run())
    await eventually_async(lambda: log.trouble is None)

    async def read_kafka(topic: Topic) -> dict[int, list[RawRecord]]:
        return await asyncio.to_thread(read_partitions, servers, topic.name(topic_prefix))

    async with working(log, read_kafka) as at_work:
        yield at_work
    await kafka_log.close()
    connection.cancel()
    await asyncio.gather(connection, return_exceptions=True)


class working:  # noqa: N801 - reads as a word in `async with`
    """A publisher that is started and ticks."""

    def __init__(self, log: CommitLog, read: Callable[[Topic], Awaitable[dict[int, list[RawRecord]]]]) -> None:
        self._bench = Bench(Publisher(log, Metrics(), TERMS, SystemClock()), read)

    async def __aenter__(self) -> Bench:
        self._bench.publisher.start()
        return self._bench

    async def __aexit__(self, *_: object) -> None:
        await self._bench.publisher.stop()


async def test_a_stored_callback_can_be_read_byte_for_byte(bench: Bench) -> None:
    clients = [bench.post(f"m{number}", size=number) for number in range(40)]
    assert set(await bench.settled(clients)) == {Outcome.STORED}
    stored = b"".join(record.value for records in (await bench.read(CALLBACKS_RAW)).values() for record in records)
    assert all(client.body in stored for client in clients)


async def test_every_callback_lies_in_the_partition_of_its_key(bench: Bench) -> None:
    await bench.settled([bench.post(f"m{number}") for number in range(40)])
    for partition, records in (await bench.read(CALLBACKS_RAW)).items():
        for record in records:
            for callback in orjson.loads(record.value)["callbacks"]:
                assert partition_of(callback["messageId"], PARTITIONS) == partition


async def test_callbacks_of_one_key_are_stored_and_answered_in_their_order(bench: Bench) -> None:
    clients = []
    for _ in range(5):
        clients += [bench.post("same", size=number) for number in range(10)]
        await asyncio.sleep(0)
    await bench.settled(clients)
    told = [client.body for client, _ in bench.said]
    assert told == [client.body for client in clients]
    records = (await bench.read(CALLBACKS_RAW))[partition_of("same", PARTITIONS)]
    stored = [callback for record in records for callback in orjson.loads(record.value)["callbacks"]]
    assert stored == [orjson.loads(client.body) for client in clients]


async def test_callbacks_that_come_together_share_a_record_without_a_key(bench: Bench) -> None:
    await bench.settled([bench.post("same") for _ in range(10)])
    (record,) = (await bench.read(CALLBACKS_RAW))[partition_of("same", PARTITIONS)]
    assert record.key is None
    assert len(orjson.loads(record.value)["callbacks"]) == 10


async def test_a_lone_callback_gives_its_record_its_key(bench: Bench) -> None:
    await bench.settled([bench.post("Alone")])
    (record,) = (await bench.read(CALLBACKS_RAW))[partition_of("Alone", PARTITIONS)]
    assert record.key == b"Alone"


async def test_a_flood_is_split_into_records_below_the_limit(bench: Bench) -> None:
    clients = [bench.post("same", size=250_000) for _ in range(9)]
    assert set(await bench.settled(clients)) == {Outcome.STORED}
    records = (await bench.read(CALLBACKS_RAW))[partition_of("same", PARTITIONS)]
    assert len(records) == 3
    assert all(len(record.value) <= RECORD_BYTES + 100 for record in records)


async def test_a_note_stays_with_its_callback_when_a_flood_is_split(bench: Bench) -> None:
    """The originals fill more than the bodies: every record has the notes of its own callbacks, and all fit."""
    original = "x" * 200_000
    clients = [
        bench.post("same", size=number, note=b'{"repairs":["cut"],"original":"%d%s"}' % (number, original.encode()))
        if number % 2
        else bench.post("same", size=number)
        for number in range(20)
    ]
    assert set(await bench.settled(clients)) == {Outcome.STORED}
    records = (await bench.read(CALLBACKS_RAW))[partition_of("same", PARTITIONS)]
    assert len(records) == 3
    assert all(len(record.value) <= RECORD_BYTES + 100 for record in records)
    told = []
    for record in records:
        envelope = orjson.loads(record.value)
        notes = {note["index"]: note["original"] for note in envelope.get("repaired", [])}
        told += [(len(one["x"]), notes.get(place)) for place, one in enumerate(envelope["callbacks"])]
    assert told == [(number, f"{number}{original}" if number % 2 else None) for number in range(20)]
    assert bench.publisher.metrics.total("repaired") == 10
    assert (bench.publisher.pending.count, bench.publisher.pending.size) == (0, 0)


async def test_rejections_are_one_record_each(bench: Bench) -> None:
    clients = [Client(bench.said) for _ in range(5)]
    lane = bench.publisher.lane_for_rejections()
    assert isinstance(lane, Lane)
    for number, client in enumerate(clients):
        lane.add(b"rejection %d" % number, "not-json", client, monotonic())
    assert set(await bench.settled(clients)) == {Outcome.STORED}
    stored = [record for records in (await bench.read(CALLBACKS_REJECTED)).values() for record in records]
    assert stored == [RawRecord(None, b"rejection %d" % number) for number in range(5)]
    assert bench.publisher.metrics.total("rejected", "not-json") == 5


async def test_a_flood_of_small_rejections_fits_into_batches_with_its_headers(bench: Bench) -> None:
    """The headers of a record are longer than its share of a batch of 900,000 bytes would allow."""
    clients = [Client(bench.said) for _ in range(9_000)]
    lane = bench.publisher.lane_for_rejections()
    assert isinstance(lane, Lane)
    for client in clients:
        lane.add(b"x" * 150, "not-json", client, monotonic())
    assert set(await bench.settled(clients)) == {Outcome.STORED}


async def test_nothing_is_pending_when_all_callbacks_were_answered(bench: Bench) -> None:
    clients = [bench.post(f"m{number}") for number in range(20)]
    assert bench.publisher.pending.size == sum(len(client.body) + 1 for client in clients)
    await bench.settled(clients)
    assert bench.publisher.pending.size == 0
    assert bench.publisher.metrics.total("accepted") == 20


async def test_a_healthy_publisher_reports_no_trouble(bench: Bench) -> None:
    assert bench.publisher.trouble() is None
    assert bench.publisher.pending.has_room(TERMS.max_pending_bytes)
    assert not bench.publisher.pending.has_room(TERMS.max_pending_bytes + 1)


async def test_a_callback_that_still_waits_at_the_end_fails(bench: Bench) -> None:
    client = bench.post("late")
    await bench.publisher.stop()
    assert client.outcomes == [Outcome.FAILED]
    assert bench.publisher.metrics.total("refused", Cause.KAFKA) == 1
