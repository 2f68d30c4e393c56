"""The readers of topics end when no record comes for a minute, and look at everything again after a failure."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from ingest.backfill import topics as backfill_topics
from ingest.backfill.errors import TopicsError
from ingest.backfill.known import Known
from ingest.backfill.settings import BackfillSettings
from ingest.redrive import topics as redrive_topics
from ingest.redrive.errors import ReadError
from streams.program.settings import CommonSettings
from tests.support.clock import FakeClock
from tests.unit.ingest.redrive.refused import body_of, redriven

BROKERS: dict[str, Any] = {"kafka_bootstrap_servers": "localhost:1", "kafka_partitions": 1, "kafka_topic_prefix": ""}


class Consumer:
    """A consumer of topics with these records each; while `is_away` none comes, and each answer takes `seconds`."""

    def __init__(self, clock: FakeClock, seconds: float, records: Sequence[bytes]) -> None:
        self.records, self.is_away = records, False
        self._clock, self._seconds = clock, seconds
        self._at: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Be there."""

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self._at = dict.fromkeys(partitions, 0)

    def assignment(self) -> set[TopicPartition]:
        return {*self._at}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._at[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self._at[partition]

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, len(self.records))

    async def getmany(self, *partitions: TopicPartition, **_: Any) -> dict[TopicPartition, list[Any]]:  # noqa: ANN401
        """Give one record of each partition."""
        self._clock.advance(self._seconds)
        if self.is_away:
            return {}
        came = {}
        for at in partitions:
            offset = self._at[at]
            came[at] = [SimpleNamespace(partition=at.partition, offset=offset, value=self.records[offset])]
            self._at[at] += 1
        return came


@pytest.fixture(autouse=True)
def _readable_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_problems(*_: object) -> str:
        return ""

    for module in (redrive_topics, backfill_topics):
        monkeypatch.setattr(module, "reading_problems", no_problems)


async def redrive_on(consumer: Consumer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> redrive_topics.Topics:
    monkeypatch.setattr(redrive_topics, "AIOKafkaConsumer", lambda **_: consumer)
    topics = redrive_topics.Topics(CommonSettings(**BROKERS), clock)
    await topics.open()
    return topics


async def test_a_redrive_waits_a_minute_for_the_next_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long reads go on; the look after a failed one misses nothing."""
    clock = FakeClock()
    consumer = Consumer(clock, 50, [redriven(body_of(1), rejected=((0, number),)) for number in range(5)])
    topics = await redrive_on(consumer, clock, monkeypatch)
    await topics.raw({}, 0)
    assert topics.done == {(0, number) for number in range(5)}
    consumer.records = [*consumer.records, redriven(body_of(1), rejected=((3, 3),))]
    consumer.is_away = True
    began = clock.monotonic()
    with pytest.raises(ReadError, match="none came for 60 seconds"):
        await topics.catch_up()
    assert clock.monotonic() - began == 100
    consumer.is_away = False
    await topics.catch_up()
    assert (3, 3) in topics.done


async def test_a_backfill_waits_a_minute_for_the_next_record(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    consumer = Consumer(clock, 50, [b"{}"])
    consumer.is_away = True
    monkeypatch.setattr(backfill_topics, "AIOKafkaConsumer", lambda **_: consumer)
    account: dict[str, Any] = {"routee_application_id": "id", "routee_application_secret": "secret"}
    topics = backfill_topics.Topics(BackfillSettings(**BROKERS, **account), Known(0), clock)
    await topics.open()
    with pytest.raises(TopicsError, match="none came for 60 seconds"):
        await topics.catch_up()
    assert clock.monotonic() == 1_100
