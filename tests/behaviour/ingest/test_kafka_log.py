"""
The commit log over a broker whose topics change under it: it is in trouble, says why, and goes on when they are right.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka.record.memory_records import MemoryRecords

from ingest.callback.envelope import RawRecord
from ingest.check import problems, start_problems
from ingest.clock import SystemClock
from ingest.errors import NotStoredError, TooLargeError
from ingest.kafka import log as kafka_log
from ingest.kafka.log import KafkaCommitLog
from ingest.kafka.topics import TOPICS
from ingest.settings import IngestSettings
from streams.contract.permissions import Operation
from streams.contract.topics import CALLBACKS_RAW
from streams.program.kafka_problems import another_partition_count, missing_topic
from tests.behaviour.ingest.fake_broker import FakeBroker, fake_broker
from tests.support.wait import eventually_async

PARTITIONS = 8
UNKNOWN_TOPIC = 3
TOO_LARGE, LIST_TOO_LARGE, INVALID_TIMESTAMP, NO_RIGHT = 10, 18, 32, 29
RAW, REJECTED = NAMES = tuple(topic.name("r.") for topic in TOPICS)
RECORDS = [RawRecord(None, b"x" * 500)]


def settings_for(broker: FakeBroker) -> IngestSettings:
    return IngestSettings(
        kafka_bootstrap_servers=f"127.0.0.1:{broker.port}",
        kafka_topic_prefix="r.",
        kafka_partitions=PARTITIONS,
        ingest_host="127.0.0.1",
    )


@asynccontextmanager
async def well_set_broker() -> AsyncIterator[FakeBroker]:
    """Give a broker whose topics are as they should be."""
    async with fake_broker(PARTITIONS, topics=NAMES) as broker:
        for topic, name in zip(TOPICS, NAMES, strict=True):
            broker.settings[name] = {"min.insync.replicas": "1", **topic.config}
        yield broker


@asynccontextmanager
async def watching(broker: FakeBroker) -> AsyncIterator[KafkaCommitLog]:
    """Run a log within the block; it must still run at the end."""
    log = KafkaCommitLog(settings_for(broker), SystemClock())
    task = asyncio.create_task(log.run())
    try:
        yield log
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await log.close()


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_log, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(kafka_log, "_LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(kafka_log, "_SETTINGS_SECONDS", 0.0)


async def is_ready(log: KafkaCommitLog) -> None:
    await eventually_async(lambda: log.trouble is None)


@pytest.mark.parametrize("count", [12, 4, 1])
async def test_a_partition_count_that_changes_is_a_trouble_with_its_reason_and_not_the_end(
    count: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with well_set_broker() as broker, watching(broker) as log:
        await is_ready(log)
        broker.partitions = count
        reason = another_partition_count(RAW, count, settings_for(broker))
        await eventually_async(lambda: (log.trouble or "").startswith(reason))
        asked = broker.asked
        await eventually_async(lambda: broker.asked > asked + 3)
        assert sum(reason in line for line in caplog.messages) == 1, "told once, however long it lasts"
        broker.partitions = PARTITIONS
        await is_ready(log)
        await log.append(CALLBACKS_RAW, RECORDS, 0)


async def test_each_record_has_the_headers_of_its_topic() -> None:
    async with well_set_broker() as broker, watching(broker) as log:
        await is_ready(log)
        for topic in TOPICS:
            await log.append(topic, RECORDS * 2, 0)
            records = MemoryRecords(broker.batches[-1]).next_batch()
            name = topic.suffix.encode()
            assert [[*one.headers] for one in records] == [[("type", name), ("schema", name + b"/1")]] * 2


async def test_a_topic_that_is_deleted_and_made_anew_with_other_partitions_and_then_as_before() -> None:
    async with well_set_broker() as broker, watching(broker) as log:
        await is_ready(log)
        broker.topic_error = UNKNOWN_TOPIC
        await eventually_async(lambda: "does not exist" in (log.trouble or ""))
        broker.partitions, broker.topic_error = 3, 0
        await eventually_async(lambda: "has 3 partitions" in (log.trouble or ""))
        broker.partitions = PARTITIONS
        await is_ready(log)
        await log.append(CALLBACKS_RAW, RECORDS, PARTITIONS - 1)


async def test_before_the_first_callback_a_topic_that_may_lose_it_is_a_trouble_until_it_is_mended() -> None:
    """As when Kafka was away while ingest started, so that the start could not be refused."""
    async with well_set_broker() as broker:
        good = broker.settings[RAW]
        broker.settings[RAW] = {**good, "retention.bytes": "1000000"}
        async with watching(broker) as log:
            await eventually_async(lambda: "the settings of a topic may lose callbacks" in (log.trouble or ""))
            assert str(broker.port) not in (log.trouble or ""), "the reason names no broker"
            broker.settings[RAW] = good
            await is_ready(log)


async def test_settings_that_change_later_are_logged_once_and_end_no_answers(caplog: pytest.LogCaptureFixture) -> None:
    async with well_set_broker() as broker, watching(broker) as log:
        await is_ready(log)
        good = broker.settings[RAW]
        for _ in range(2):
            caplog.clear()
            broker.settings[RAW] = {**good, "unclean.leader.election.enable": "true"}
            await eventually_async(lambda: any("may be lost" in line for line in caplog.messages))
            asked = broker.asked
            await eventually_async(lambda: broker.asked > asked + 3)  # noqa: B023 - waited for here
            (line,) = [line for line in caplog.messages if "may be lost" in line]
            assert f"topic {RAW} has unclean.leader.election.enable=true" in line
            assert log.trouble is None
            broker.settings[RAW] = good
            asked = broker.asked
            await eventually_async(lambda: broker.asked > asked + 1)  # noqa: B023 - waited for here


async def test_settings_that_may_not_be_seen_keep_no_callback_out() -> None:
    async with well_set_broker() as broker:
        broker.settings.clear()
        async with watching(broker) as log:
            await is_ready(log)
            await log.append(CALLBACKS_RAW, RECORDS, 0)


@pytest.mark.parametrize(
    ("code", "error", "cause"),
    [
        (TOO_LARGE, TooLargeError, "max.message.bytes of the topic is too small"),
        (LIST_TOO_LARGE, TooLargeError, "segment.bytes of the topic is too small"),
        (INVALID_TIMESTAMP, NotStoredError, "it refuses the time of this machine: mend the clock, or"),
        (NO_RIGHT, NotStoredError, "this user needs Write on the topic: grant it"),
    ],
)
async def test_a_refusal_of_a_known_kind_says_the_cause(code: int, error: type[NotStoredError], cause: str) -> None:
    async with well_set_broker() as broker, watching(broker) as log:
        await is_ready(log)
        broker.refuses = code
        with pytest.raises(NotStoredError) as refused:
            await log.append(CALLBACKS_RAW, RECORDS, 0)
        assert type(refused.value) is error
        assert (refused.value.cause or "").startswith(cause)
        broker.refuses = 0
        await log.append(CALLBACKS_RAW, RECORDS, 0)


async def test_a_batch_is_too_large_for_the_broker_by_its_bytes() -> None:
    async with well_set_broker() as broker, watching(broker) as log:
        await is_ready(log)
        broker.most_bytes = 1_000
        with pytest.raises(TooLargeError):
            await log.append(CALLBACKS_RAW, [RawRecord(None, b"x" * 1_001)], 0)
        await log.append(CALLBACKS_RAW, RECORDS, 0)


async def test_a_check_and_a_start_tell_refused_and_unusual_settings_apart() -> None:
    async with well_set_broker() as broker:
        broker.settings[RAW] = {**broker.settings[RAW], "retention.ms": "1", "message.timestamp.type": "CreateTime"}
        broker.settings.pop(REJECTED)
        for look in (problems, start_problems):
            found = await asyncio.to_thread(look, settings_for(broker))
            (refused,) = found.refused
            assert refused.startswith(f"topic {RAW} has retention.ms=1 (")
            unusual, unseen, copies = found.warned
            assert f"topic {RAW} has message.timestamp.type=CreateTime" in unusual
            assert unseen.startswith(f"this user may not see the settings of {REJECTED}")
            assert "single copy" in copies


async def test_a_missing_topic_is_unusable_and_no_difference_that_refuses_a_start() -> None:
    async with well_set_broker() as broker:
        broker.topic_error = UNKNOWN_TOPIC
        for look in (start_problems, problems):
            found = await asyncio.to_thread(look, settings_for(broker))
            assert (found.unusable, found.refused) == ([missing_topic(name) for name in NAMES], [])


async def test_a_user_who_may_not_write_is_a_trouble_until_the_permission_is_granted() -> None:
    line = f"this user needs Write on topic {RAW}: grant it; this user needs Write on topic {REJECTED}: grant it"
    async with well_set_broker() as broker, watching(broker) as log:
        await is_ready(log)
        broker.allowed = [Operation.DESCRIBE]
        await eventually_async(lambda: log.trouble == line)
        for look in (start_problems, problems):
            found = await asyncio.to_thread(look, settings_for(broker))
            assert ("; ".join(found.unusable), found.refused) == (line, [])
        broker.allowed = [Operation.WRITE, Operation.DESCRIBE]
        await is_ready(log)


async def test_a_broker_too_old_to_tell_the_permissions_is_a_warning() -> None:
    async with well_set_broker() as broker:
        broker.allowed = None
        async with watching(broker) as log:
            await is_ready(log)
        found = await asyncio.to_thread(problems, settings_for(broker))
        assert found.problems == []
        line = (
            f"Kafka does not tell what this user may do: whether it may use topic {RAW}, topic {REJECTED} shows in use"
        )
        assert line in found.warned


async def test_a_start_is_refused_with_another_partition_count() -> None:
    async with well_set_broker() as broker:
        broker.partitions = 12
        found = await asyncio.to_thread(start_problems, settings_for(broker))
        assert found.refused == [another_partition_count(name, 12, settings_for(broker)) for name in NAMES]
