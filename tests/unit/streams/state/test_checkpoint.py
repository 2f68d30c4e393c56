"""The order of a flush; no step of it can be skipped."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, ProducerFenced

from streams.contract.topics import CALLBACKS_RAW, CAMPAIGN_PARTIALS, SMS_STATUS, Topic
from streams.domain.stage import GENERATION_KEY, Output
from streams.errors import Exit
from streams.state import turns
from streams.state.changelog.fence import ProducerEpoch
from streams.state.checkpoint import Checkpointer, Owned, Routing, Spec
from streams.state.rows.partition import Origin, Partition
from streams.state.rows.reserved_keys import ENDING, POSITION, SOURCE
from streams.state.rows.throttle import Throttle
from streams.state.store.stores import MemoryStore
from tests.support.deaths import Deaths, DiedError
from tests.support.pipeline import toy
from tests.support.pipeline.toy import ToySmsStage

RENEW_SECONDS = 24 * 60 * 60.0

CHANGELOG = "sms-changelog"


class Kafka:
    """Notes all sends in order; fails or waits on demand."""

    def __init__(self, events: list[Any]) -> None:
        self.events = events
        self.ends: dict[tuple[str, int], int] = {}
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.is_asked = asyncio.Event()
        self.next_writer: ProducerEpoch | None = None

    async def renewed(self, writer: ProducerEpoch) -> ProducerEpoch:
        self.events.append(("renewed", writer.epoch))
        return self.next_writer or ProducerEpoch(writer.producer_id, writer.epoch + 1)

    async def send(
        self, topic: str, partition: int, rows: Iterable[bytes | None], writer: ProducerEpoch | None = None
    ) -> tuple[int, int]:
        self.is_asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        keys = [*rows]
        self.events.append((topic, partition, keys, writer is not None))
        first = self.ends.get((topic, partition), -1) + 1
        self.ends[topic, partition] = last = first + len(keys) - 1
        return first, last

    async def send_all(
        self, topic: str, partition: int, outputs: Iterable[Output], writer: ProducerEpoch | None = None
    ) -> None:
        await self.send(topic, partition, [output.key for output in outputs], writer)


class Bench:
    """A checkpointer of the toy stage that owns partitions 0 and 1."""

    def __init__(self, bundled: frozenset[Topic] = frozenset()) -> None:
        self.events: list[Any] = []
        self.deaths = Deaths()
        self.kafka = Kafka(self.events)
        self.store = MemoryStore()
        spec = Spec("sms", ToySmsStage(), CALLBACKS_RAW, "topic-id", 2, frozenset({SMS_STATUS}), bundled)
        self.table = Checkpointer(
            spec,
            changelog=CHANGELOG,
            store=self.store,
            batches=lambda: self.kafka,  # type: ignore[arg-type,return-value]
            routing=Routing(_name, _partition),
            check=lambda: self.events.append("check"),
            die=self.deaths,
            on_step=lambda table, step: self.events.append((table, step)),
        )
        for number in (0, 1):
            self.store.open(number)
            self.own(number)

    def own(self, number: int) -> None:
        def read(key: bytes) -> bytes | None:
            return self.store.read(number, key)

        rows = Partition(number, self.table.spec.stage, read, Throttle(0.0), Origin("topic-id"))
        self.table.owned[number] = Owned(rows, ProducerEpoch(1, 0), -1, None, 0)

    def take_in(self, partition: int, offset: int, key: str) -> None:
        value = b'{"events":[["%s","g",1]]}' % key.encode()
        deque(self.table.owned[partition].partition.take_in(offset, value))


def _name(topic: Topic) -> str:
    return topic.suffix


def _partition(output: Output, source: int) -> int:
    return 5 if output.topic is CAMPAIGN_PARTIALS else source


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_other_tasks_have_a_turn_between_the_rows_of_two_partitions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(bench.store, "write", lambda *_: bench.events.append("write"))
    bench.take_in(0, 0, "a")
    bench.take_in(1, 0, "b")
    flush = asyncio.ensure_future(bench.table.flush())
    while not flush.done():
        bench.events.append("others")
        await asyncio.sleep(0)
    first, second = (at for at, event in enumerate(bench.events) if event == "write")
    assert "others" in bench.events[first:second]


async def test_outputs_go_before_rows_and_rows_before_the_store(bench: Bench) -> None:
    bench.take_in(0, 0, "a")
    await bench.table.flush()
    assert bench.events == [
        "check",
        ("sms.status", 0, [b"a"], True),
        ("campaign.partials", 5, [b"g"], False),
        ("sms", "outputs"),
        "check",
        (CHANGELOG, 0, [GENERATION_KEY, b"g:g", b"k:a", POSITION, SOURCE], True),
        ("sms", "changelog"),
        ("sms", "store"),
    ]
    assert bench.store.read(0, POSITION) == b"0"
    assert bench.store.offset(0) == 4


async def test_only_bundled_topics_join_the_records_of_a_flush_into_one() -> None:
    bench = Bench(frozenset({CAMPAIGN_PARTIALS}))
    for partition in (0, 1):
        bench.take_in(partition, 0, "a")
        bench.take_in(partition, 1, "b")
    await bench.table.flush()
    outputs = [event for event in bench.events if event[0] in ("sms.status", "campaign.partials")]
    assert outputs == [
        ("sms.status", 0, [b"a", b"b"], True),
        ("campaign.partials", 5, [None], False),
        ("sms.status", 1, [b"a", b"b"], True),
    ]


async def test_an_offset_is_durable_only_after_the_flush(bench: Bench) -> None:
    bench.take_in(0, 7, "a")
    before = {number: owned.durable for number, owned in bench.table.owned.items()}
    await bench.table.flush()
    after = {number: owned.durable for number, owned in bench.table.owned.items()}
    assert before == {0: None, 1: None}
    assert after == {0: 8, 1: None}


async def test_a_record_that_is_durable_in_part_must_not_be_committed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "EVENTS_PER_PIECE", 1)
    bench.take_in(0, 7, "a")
    pieces = bench.table.owned[0].partition.take_in(8, b'{"events":[["b","g",1],["c","g",1]]}')
    next(pieces)
    await bench.table.flush()
    assert (bench.table.owned[0].durable, bench.store.read(0, POSITION)) == (8, b"8:1")
    deque(pieces)
    await bench.table.flush()
    assert (bench.table.owned[0].durable, bench.store.read(0, POSITION)) == (9, b"8")


async def test_a_flush_without_anything_new_writes_nothing(bench: Bench) -> None:
    bench.take_in(0, 0, "a")
    await bench.table.flush()
    bench.events.clear()
    await bench.table.flush()
    assert bench.events == []


async def test_the_rows_of_a_partition_are_one_batch(bench: Bench) -> None:
    for offset in range(500):
        bench.take_in(0, offset, f"key-{offset}")
    await bench.table.flush()
    assert len([event for event in bench.events if event[0] == CHANGELOG]) == 1


async def test_a_record_applied_during_a_flush_is_in_the_next_flush(bench: Bench) -> None:
    bench.kafka.gate = asyncio.Event()
    bench.take_in(0, 0, "a")
    first = asyncio.ensure_future(bench.table.flush())
    await asyncio.wait_for(bench.kafka.is_asked.wait(), 10)
    bench.take_in(0, 1, "b")
    bench.kafka.gate.set()
    await first
    assert bench.table.owned[0].durable == 1
    await bench.table.flush()
    assert bench.table.owned[0].durable == 2
    assert bench.store.read(0, b"k:b") is not None


async def test_a_cancelled_flush_is_finished_nevertheless(bench: Bench) -> None:
    bench.kafka.gate = asyncio.Event()
    bench.take_in(0, 0, "a")
    flush = asyncio.ensure_future(bench.table.flush())
    await asyncio.wait_for(bench.kafka.is_asked.wait(), 10)
    flush.cancel()
    bench.kafka.gate.set()
    await bench.table.flush()
    assert bench.table.owned[0].durable == 1


@pytest.mark.parametrize(("error", "code"), [(ProducerFenced(), Exit.FENCED), (KafkaTimeoutError(), Exit.FLUSH_FAILED)])
async def test_a_produce_that_fails_ends_the_process(bench: Bench, error: Exception, code: Exit) -> None:
    bench.kafka.error = error
    bench.take_in(0, 0, "a")
    with pytest.raises(DiedError):
        await bench.table.flush()
    assert bench.deaths.codes[0] is code
    assert bench.store.offset(0) is None
    assert bench.table.owned[0].durable is None


async def test_an_old_producer_id_is_renewed_before_a_flush(bench: Bench) -> None:
    bench.table.owned[0].writer.since -= RENEW_SECONDS
    assert bench.table.needs_flush(), "an idle worker, too"
    for _ in range(2):
        await bench.table.flush()
    assert bench.events == ["check", ("renewed", 0)]
    assert [owned.writer.epoch for owned in bench.table.owned.values()] == [1, 0]
    assert not bench.table.needs_flush()


async def test_renewal_with_another_producer_id_ends_the_process(bench: Bench) -> None:
    """The former producer id must be fenced first, and only a takeover does that."""
    bench.table.owned[0].writer.since -= RENEW_SECONDS
    bench.kafka.next_writer = ProducerEpoch(2, 0)
    with pytest.raises(DiedError):
        await bench.table.flush()
    assert bench.deaths.codes[0] is Exit.FENCED


async def test_a_foreign_offset_in_the_changelog_ends_the_process(bench: Bench) -> None:
    bench.kafka.ends[CHANGELOG, 0] = 3
    bench.take_in(0, 0, "a")
    with pytest.raises(DiedError):
        await bench.table.flush()
    assert bench.deaths.codes[0] is Exit.FOREIGN_WRITE
    assert bench.store.offset(0) is None


async def test_giving_up_partitions_with_unflushed_rows_ends_the_process(bench: Bench) -> None:
    bench.take_in(0, 0, "a")
    with pytest.raises(DiedError):
        await bench.table.release()
    assert bench.deaths.codes == [Exit.UNFLUSHED_ROWS]


async def test_giving_up_flushed_partitions_forgets_them(bench: Bench) -> None:
    bench.take_in(0, 0, "a")
    await bench.table.flush()
    await bench.table.release()
    assert bench.table.owned == {}


async def test_an_ending_is_written_alone_and_nothing_of_its_partition_after_it(
    bench: Bench,
) -> None:
    bench.take_in(0, 0, "a")
    bench.take_in(1, 0, "b")
    owned = bench.table.owned[0]
    await bench.table.abandon(owned, owned.partition.ending(1, 4))
    assert bench.events == ["check", (CHANGELOG, 0, [ENDING], True)]
    bench.events.clear()
    await bench.table.flush()
    assert not [event for event in bench.events if event[:2] == (CHANGELOG, 0)]
    assert [event for event in bench.events if event[:2] == (CHANGELOG, 1)]


async def test_a_flush_that_comes_before_the_ending_is_written_leaves_the_partition_out(bench: Bench) -> None:
    """The outputs of the half piece in the rows would be lost: its callbacks would be duplicates to the next owner."""
    bench.take_in(0, 0, "a")
    owned = bench.table.owned[0]
    writing = bench.table.abandon(owned, owned.partition.ending(1, 4))
    await bench.table.flush()
    assert not [event for event in bench.events if event[:2] == (CHANGELOG, 0)]
    await writing
    assert bench.events[-1] == (CHANGELOG, 0, [ENDING], True)


async def test_a_partition_abandoned_while_others_are_sealed_is_not_sealed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    bench.take_in(0, 0, "a")
    bench.take_in(1, 0, "b")
    flush = asyncio.ensure_future(bench.table.flush())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bench.table.owned[1].is_abandoned = True
    await flush
    assert not [event for event in bench.events if event[:2] == (CHANGELOG, 1)]
