"""Storing redriven callbacks: together with the places of their rejections, at the rate, and once after a failure."""

from typing import Any

import orjson
import pytest

from ingest.callback.envelope import RawRecord
from ingest.commit.log import MemoryCommitLog
from ingest.errors import NotStoredError
from ingest.redrive.errors import ReadError
from ingest.redrive.fates import Fate, Judged, raw_of
from ingest.redrive.sending import Sending
from streams.contract.keys import partition_of
from streams.contract.topics import Topic
from tests.support.clock import FakeClock
from tests.unit.ingest.redrive.refused import NOON_MS, body_of, refused

PARTITIONS = 4


def ready(number: int, first_ms: int = NOON_MS, attempts: int = 0) -> Judged:
    told = refused((0, number), attempts=attempts)._replace(first_received_at_ms=first_ms)
    return Judged(told, Fate.REDRIVE, f"m-{number}", body_of(number), "")


class QuickClock(FakeClock):
    """A clock that sleeps in no time."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


class Kafka(MemoryCommitLog):
    """A log whose first appends fail: `lost` of them without a trace, then `unheard` of them after all."""

    def __init__(self, lost: int = 0, unheard: int = 0) -> None:
        super().__init__()
        self.lost, self.unheard = lost, unheard
        self.done: set[tuple[int, int]] = set()
        self.blind = 0

    async def append(self, topic: Topic, records: Any, partition: int | None = None) -> None:  # noqa: ANN401 - as above
        if self.lost:
            self.lost -= 1
            raise NotStoredError("lost")
        await super().append(topic, records, partition)
        if self.unheard:
            self.unheard -= 1
            raise NotStoredError("unheard")

    async def look(self) -> None:
        """Learn of the stored ones; `blind` looks fail."""
        if self.blind:
            self.blind -= 1
            raise ReadError("blind")
        for record in self.stored:
            raw = raw_of(record.value)
            self.done.update(raw.rejected if raw else ())

    @property
    def stored(self) -> list[RawRecord]:
        return [record for some in self.records.values() for record in some]

    @property
    def rejections(self) -> list[tuple[int, int]]:
        found = [raw for record in self.stored if (raw := raw_of(record.value))]
        return sorted(at for raw in found for at in raw.rejected)


async def store(kafka: Kafka, *callbacks: Judged, rate: float = 1e6, clock: QuickClock | None = None) -> Sending:
    sending = Sending(kafka, PARTITIONS, clock or QuickClock(), rate, kafka.done, kafka.look)
    await sending.store(callbacks)
    return sending


async def test_each_envelope_is_of_one_partition_attempt_and_first_receipt() -> None:
    kafka = Kafka()
    callbacks = [*map(ready, range(50)), ready(50, NOON_MS + 1), ready(51, attempts=2)]
    assert (await store(kafka, *callbacks)).stored == 52
    for (_, partition), records in kafka.records.items():
        for record in records:
            envelope = orjson.loads(record.value)
            assert {partition_of(body["messageId"], PARTITIONS) for body in envelope["callbacks"]} == {partition}
            assert len(envelope["callbacks"]) == len(envelope["rejected"])
    told = {(one["attempt"], one["first_received_at"][-5:]) for one in map(_envelope, kafka.stored)}
    assert told == {(1, ".000Z"), (1, ".001Z"), (3, ".000Z")}
    assert kafka.rejections == [(0, number) for number in range(52)]


def _envelope(record: RawRecord) -> dict[str, Any]:
    envelope: dict[str, Any] = orjson.loads(record.value)
    return envelope


async def test_an_append_that_failed_is_tried_again_and_one_that_was_stored_is_not() -> None:
    kafka = Kafka(lost=2, unheard=2)
    await store(kafka, *map(ready, range(20)))
    assert kafka.rejections == [(0, number) for number in range(20)]


async def test_the_rate_is_kept_and_bounds_an_envelope() -> None:
    kafka, clock = Kafka(), QuickClock()
    began = clock.monotonic()
    await store(kafka, *map(ready, range(40)), rate=5, clock=clock)
    assert clock.monotonic() - began >= 35 / 5
    assert max(len(_envelope(record)["callbacks"]) for record in kafka.stored) <= 5


async def test_nothing_is_tried_again_before_a_look_has_told_that_it_is_not_there() -> None:
    """Kafka stored the record, its answer was lost, and it was away for half a minute."""
    kafka = Kafka(unheard=1)
    kafka.blind = 30
    assert (await store(kafka, ready(1))).stored == 1
    assert kafka.rejections == [(0, 1)]


async def test_without_a_look_it_ends_after_a_minute() -> None:
    kafka, clock = Kafka(unheard=1), QuickClock()
    kafka.blind = 10_000
    began = clock.monotonic()
    with pytest.raises(ReadError):
        await store(kafka, ready(1), clock=clock)
    assert 60 <= clock.monotonic() - began < 65
    assert kafka.rejections == [(0, 1)]


async def test_a_callback_that_is_too_large_is_left_out_and_stops_no_other() -> None:
    """Together they are too large, and one is alone: it is counted at once, in no time."""
    kafka, clock = Kafka(), QuickClock()
    kafka.most_bytes = 3000
    large = ready(7)._replace(body=body_of(7, message="x" * 4000))
    began = clock.monotonic()
    sending = await store(kafka, *map(ready, range(7)), large, *map(ready, range(8, 50)), clock=clock)
    assert (sending.stored, sending.too_large) == (49, 1)
    assert kafka.rejections == [(0, number) for number in range(50) if number != 7]
    assert clock.monotonic() - began < 1


async def test_an_envelope_has_250_callbacks_at_most() -> None:
    kafka = Kafka()
    same = partition_of("m-0", PARTITIONS)
    await store(kafka, *[ready(number)._replace(key="m-0") for number in range(501)])
    assert [len(orjson.loads(record.value)["callbacks"]) for record in kafka.records["callbacks.raw", same]] == [
        250, 250, 1,
    ]  # fmt: skip
