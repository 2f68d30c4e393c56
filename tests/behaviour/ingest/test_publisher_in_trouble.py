"""
A publisher over a log that fails: no callback waits longer than promised, and the publisher recovers by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from ingest.callback.envelope import RECORD_BYTES, RawRecord
from ingest.causes import Cause
from ingest.commit.lane import Lane, Outcome, room_at
from ingest.commit.log import MemoryCommitLog
from ingest.commit.publisher import Publisher, Terms
from ingest.metrics import Metrics
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW, Topic
from tests.support.clock import FakeClock
from tests.support.wait import eventually_async

TERMS = Terms(partitions=1, flush_seconds=0.0, ack_timeout_seconds=1.5, max_pending_bytes=1_000)


class Client:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def settle(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@pytest.fixture
def log() -> MemoryCommitLog:
    return MemoryCommitLog()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(100.0)


@pytest.fixture
async def publisher(log: MemoryCommitLog, clock: FakeClock) -> AsyncIterator[Publisher]:
    made = Publisher(log, Metrics(), TERMS, clock)
    made.start()
    yield made
    log.release()
    await made.stop()


def post(publisher: Publisher, body: bytes = b"{}", now: float = 100.0) -> Client:
    client = Client()
    lane = publisher.lane_for("key")
    assert isinstance(lane, Lane), lane
    lane.add(body, "key", client, now)
    return client


async def in_flight(log: MemoryCommitLog) -> None:
    await eventually_async(lambda: log.held == 1)


async def test_a_failed_append_is_reported_and_the_next_one_is_tried(
    log: MemoryCommitLog, publisher: Publisher
) -> None:
    log.failing = True
    client = post(publisher)
    await eventually_async(lambda: client.outcomes)
    assert publisher.trouble() == "Kafka does not acknowledge callbacks.raw 0"
    log.failing = False
    again = post(publisher)
    await eventually_async(lambda: again.outcomes)
    assert (client.outcomes, again.outcomes) == ([Outcome.FAILED], [Outcome.STORED])
    assert publisher.trouble() is None
    assert publisher.pending.size == 0


async def test_a_callback_that_waits_too_long_fails_even_if_its_record_is_still_in_flight(
    log: MemoryCommitLog, publisher: Publisher
) -> None:
    log.hold()
    client = post(publisher)
    await in_flight(log)
    publisher.tick(101.5)
    assert client.outcomes == []
    publisher.tick(101.51)
    assert client.outcomes == [Outcome.FAILED]


async def test_a_callback_behind_a_stuck_record_fails_and_is_never_sent(
    log: MemoryCommitLog, publisher: Publisher
) -> None:
    log.hold()
    post(publisher, b"first")
    await in_flight(log)
    behind = post(publisher, b"behind", now=101.4)
    publisher.tick(101.6)
    assert behind.outcomes == [Outcome.FAILED]
    assert publisher.lane_for("key") is Cause.KAFKA
    assert publisher.trouble() == "Kafka does not acknowledge callbacks.raw 0"
    log.release()
    await eventually_async(lambda: publisher.trouble() is None)
    sentinel = post(publisher, b"sentinel")
    await eventually_async(lambda: sentinel.outcomes)
    stored = b"".join(record.value for record in log.records[CALLBACKS_RAW.suffix, 0])
    assert b"first" in stored
    assert b"behind" not in stored
    assert b"sentinel" in stored


async def test_a_late_acknowledgement_is_counted_and_answers_no_callback_again(
    log: MemoryCommitLog, publisher: Publisher
) -> None:
    log.hold()
    client = post(publisher)
    await in_flight(log)
    publisher.tick(102.0)
    log.release()
    await eventually_async(lambda: publisher.metrics.total("stored_late"))
    assert client.outcomes == [Outcome.FAILED]
    assert publisher.metrics.total("accepted") == 0
    assert publisher.pending.size == 0


async def test_an_unsent_callback_is_dropped_when_it_waited_too_long(log: MemoryCommitLog, clock: FakeClock) -> None:
    publisher = Publisher(log, Metrics(), TERMS, clock)  # not started: it sends nothing
    client = post(publisher)
    publisher.tick(102.0)
    assert client.outcomes == [Outcome.FAILED]
    assert publisher.pending.size == 0


async def test_beyond_the_limit_no_callback_is_taken_until_there_is_room(
    log: MemoryCommitLog, publisher: Publisher
) -> None:
    log.hold()
    client = post(publisher, b"x" * 999)
    assert publisher.lane_for("key") is Cause.OVERLOAD
    assert publisher.lane_for_rejections() is Cause.OVERLOAD
    log.release()
    await eventually_async(lambda: client.outcomes)
    assert isinstance(publisher.lane_for("key"), Lane)


@pytest.mark.parametrize(
    ("ack_seconds", "envelopes"), [(0.0, 799), (0.001, 799), (0.05, 15), (0.1, 7), (0.3, 1), (2.0, 1)]
)
def test_as_many_envelopes_may_wait_as_leave_in_good_time(ack_seconds: float, envelopes: int) -> None:
    assert room_at(ack_seconds) == envelopes * RECORD_BYTES


async def test_a_full_lane_takes_no_callback_until_it_moves(log: MemoryCommitLog, clock: FakeClock) -> None:
    terms = Terms(2, flush_seconds=0.0, ack_timeout_seconds=1.5, max_pending_bytes=64 << 20)
    publisher = Publisher(log, Metrics(), terms, clock)
    publisher.start()
    log.hold()
    clients = [post(publisher, b"x" * RECORD_BYTES)]
    await in_flight(log)
    clients += [post(publisher, b"x" * RECORD_BYTES) for _ in range(15)]
    assert publisher.lane_for("key") is Cause.OVERLOAD
    other = next(key for key in map(str, range(99)) if partition_of(key, 2) != partition_of("key", 2))
    assert isinstance(publisher.lane_for(other), Lane)
    clock.advance(0.001)
    log.release()
    await eventually_async(lambda: all(client.outcomes for client in clients))
    assert isinstance(publisher.lane_for("key"), Lane)
    await publisher.stop()


async def test_over_a_log_in_trouble_no_callback_is_taken(log: MemoryCommitLog, publisher: Publisher) -> None:
    log.trouble = "the topic is missing"
    assert publisher.lane_for("key") is Cause.KAFKA
    assert publisher.trouble() == "the topic is missing"
    log.trouble = None
    assert isinstance(publisher.lane_for("key"), Lane)


class BrokenOnce(MemoryCommitLog):
    """A log with a bug that shows once."""

    broken = True

    async def append(self, topic: Topic, records: Sequence[RawRecord], partition: int | None = None) -> None:
        if self.broken:
            self.broken = False
            raise ZeroDivisionError
        await super().append(topic, records, partition)


async def test_a_task_that_dies_is_reported_and_starts_again(
    caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    publisher = Publisher(BrokenOnce(), Metrics(), TERMS, clock)
    publisher.start()
    client = post(publisher)
    await eventually_async(lambda: client.outcomes)
    assert client.outcomes == [Outcome.FAILED]
    assert publisher.trouble() == "the task that writes callbacks.raw 0 has died and is started again"
    assert publisher.lane_for("key") is Cause.KAFKA
    assert "the task that writes callbacks.raw 0 died" in caplog.text
    clock.advance(1.0)
    await eventually_async(lambda: publisher.trouble() is None)
    again = post(publisher)
    await eventually_async(lambda: again.outcomes)
    assert again.outcomes == [Outcome.STORED]
    await publisher.stop()


async def test_a_waiter_that_fails_keeps_no_other_waiting(
    publisher: Publisher, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = post(publisher)
    monkeypatch.setattr(deaf, "outcomes", None)
    others = [post(publisher) for _ in range(3)]
    await eventually_async(lambda: all(client.outcomes for client in others))
    assert "an answer could not be given" in caplog.text


async def test_a_lone_callback_leaves_at_once_however_often_it_comes() -> None:
    terms = Terms(1, flush_seconds=60.0, ack_timeout_seconds=1.5, max_pending_bytes=1_000)
    publisher = Publisher(MemoryCommitLog(), Metrics(), terms, FakeClock())
    publisher.start()
    for _ in range(10):
        client = post(publisher)
        await eventually_async(lambda: client.outcomes)  # noqa: B023 - waited for here
    await publisher.stop()


async def test_many_callbacks_leave_together(log: MemoryCommitLog, clock: FakeClock) -> None:
    terms = Terms(4, flush_seconds=1.0, ack_timeout_seconds=30.0, max_pending_bytes=10_000)
    publisher = Publisher(log, Metrics(), terms, clock)
    publisher.start()
    for departure in (1, 2):
        crowd = [Client() for _ in range(40)]
        for number, client in enumerate(crowd):
            lane = publisher.lane_for(f"m{number}")
            assert isinstance(lane, Lane)
            lane.add(b"{}", f"m{number}", client, clock.now)
        await asyncio.sleep(0)
        assert sum(map(len, log.records.values())) == 4 * (departure - 1)
        clock.advance(1.0)
        await eventually_async(lambda: all(client.outcomes for client in crowd))  # noqa: B023 - waited for here
    assert {len(records) for records in log.records.values()} == {2}
    assert len(log.records) == 4
    await publisher.stop()
