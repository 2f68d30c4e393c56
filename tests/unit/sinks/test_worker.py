"""
The loop: poll → batch → write → commit, always in this order.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence

import pytest

from sinks.batch import Limits
from sinks.errors import FatalError, RetryableError, TopicError
from sinks.metrics import Metrics, Readiness
from sinks.rejections import Flood, MemoryRejections
from sinks.sink import MemorySink
from sinks.source import MemorySource, MemoryTopics, Polled, Record, TopicPartition
from sinks.worker import Worker
from sinks.writer import Writer
from tests.unit.sinks.records import TOPIC

TABLE = "sms_status"
PARTITIONS = 4
ZERO = TopicPartition(TOPIC, 0)
NOON = 1_795_000_000.0


class Bench:
    """A worker over memory; `rounds` runs its loop, and waits for the thread that writes."""

    def __init__(
        self,
        topics: MemoryTopics | None = None,
        sink: MemorySink | None = None,
        rows: int = 100,
        nbytes: int = 1 << 20,
    ) -> None:
        self.topics = topics or MemoryTopics({TOPIC: PARTITIONS})
        self.sink = sink or MemorySink()
        self.source = MemorySource(self.topics)
        self.metrics, self.readiness = Metrics(), Readiness()
        self.now = 0.0
        self.writer = Writer(
            self.sink,
            MemoryRejections(),
            {TOPIC: TABLE},
            flood=Flood(1_000),
            metrics=self.metrics,
            readiness=self.readiness,
            sleep=lambda _: None,
        )
        self.worker = Worker(
            self.source,
            self.sink,
            self.writer,
            limits=Limits(rows=rows, nbytes=nbytes, seconds=1.0),
            metrics=self.metrics,
            readiness=self.readiness,
            clock=lambda: self.now,
            wall_clock=lambda: NOON + self.now,
        )

    def ago(self, seconds: float) -> int:
        """Return a timestamp of Kafka."""
        return int((NOON + self.now - seconds) * 1000)

    def fill(self, count: int, start: int = 0) -> None:
        for number in range(start, start + count):
            self.topics.append(TOPIC, number % PARTITIONS, b'{"n":%d}' % number)

    def rounds(self, count: int = 1, seconds: float = 0.0) -> None:
        for _ in range(count):
            self.now += seconds
            self.worker.step()
            self.settle()

    def settle(self) -> None:
        """Wait for the batch in flight, unless the test holds it up."""
        if not isinstance(self.sink, BlockingSink):
            assert self.worker.writing_done(10)

    @property
    def written(self) -> set[tuple[int, int]]:
        return {(partition, offset) for _, partition, offset in self.sink.tables.get(TABLE, {})}

    @property
    def committed(self) -> int:
        return sum(self.topics.committed.values())


class BlockingSink(MemorySink):
    """Writes after `let` is set; `started` is set while it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.started = threading.Event()

    def write(self, table: str, rows: Sequence[Record]) -> None:
        self.started.set()
        self.let.wait(10)
        super().write(table, rows)


def test_records_are_written_when_the_batch_is_old_enough_and_then_committed() -> None:
    bench = Bench()
    bench.fill(8)
    bench.rounds(3)
    assert (len(bench.written), bench.committed) == (0, 0)
    bench.rounds(2, seconds=1.0)
    assert (len(bench.written), bench.committed) == (8, 8)


def test_a_full_batch_is_written_at_once() -> None:
    bench = Bench(rows=4)
    bench.fill(8)
    bench.rounds(6)
    assert (len(bench.written), bench.committed) == (8, 8)


def test_nothing_is_committed_before_it_is_written() -> None:
    sink = BlockingSink()
    bench = Bench(sink=sink, rows=4)
    bench.fill(4)
    bench.rounds(4)
    assert sink.started.wait(10)
    bench.rounds(5)
    assert (len(bench.written), bench.committed) == (0, 0)
    sink.let.set()
    assert bench.worker.writing_done(10)
    bench.rounds(1)
    assert (len(bench.written), bench.committed) == (4, 4)


def test_while_the_store_is_away_one_more_batch_is_collected_and_the_source_is_still_polled() -> None:
    sink = BlockingSink()
    bench = Bench(sink=sink, rows=4, nbytes=4_000)
    bench.fill(60)
    bench.rounds(3)
    assert sink.started.wait(10)
    polls = count_polls(bench.source)
    bench.fill(60, start=60)
    bench.rounds(30)
    assert len(polls) == 30
    assert bench.source.paused
    collected = len(bench.worker._batch)
    assert 4 < collected < 30, "larger than one that need not wait, and not everything"
    sink.let.set()


def test_records_collected_while_the_store_was_at_work_are_written_as_one_batch() -> None:
    sink = BlockingSink()
    bench = Bench(sink=sink, rows=4)
    bench.fill(60)
    bench.rounds(3)
    assert sink.started.wait(10)
    bench.rounds(20)
    sink.let.set()
    assert bench.worker.writing_done(10)
    bench.rounds(1)
    assert bench.worker.writing_done(10)
    bench.rounds(1)
    assert (sink.writes, len(bench.written), bench.committed) == (2, 60, 60)


def test_the_next_batch_is_begun_before_the_last_one_is_committed() -> None:
    bench = Bench(rows=4)
    bench.fill(8)
    begun: list[bool] = []
    commit = bench.source.commit

    def noting(positions: Mapping[TopicPartition, int]) -> bool:
        begun.append(bench.worker.is_writing)
        return commit(positions)

    bench.source.commit = noting  # type: ignore[method-assign]
    bench.rounds(6)
    assert (begun, bench.committed) == ([True, False], 8)


def count_polls(source: MemorySource) -> list[float]:
    polls: list[float] = []
    poll = source.poll

    def counted(seconds: float, max_records: int) -> object:
        polls.append(seconds)
        return poll(seconds, max_records)

    source.poll = counted  # type: ignore[method-assign,assignment]
    return polls


def test_a_worker_that_dies_before_the_commit_leaves_everything_to_be_read_again() -> None:
    bench = Bench()
    bench.fill(8)
    bench.source.commit = lambda positions: bool(positions) and False  # type: ignore[method-assign]
    bench.rounds(5, seconds=1.0)
    assert (len(bench.written), bench.committed) == (8, 0)
    bench.topics.leave(bench.source)
    successor = Bench(bench.topics, bench.sink)
    successor.rounds(4, seconds=1.0)
    assert (len(successor.written), successor.committed) == (8, 8)


def test_a_commit_that_was_not_taken_is_made_again() -> None:
    bench = Bench()
    bench.fill(8)
    commit, answers = bench.source.commit, iter([False, False])
    bench.source.commit = lambda positions: next(answers, None) is None and commit(positions)  # type: ignore[method-assign]
    bench.rounds(6, seconds=1.0)
    assert bench.committed == 8
    assert bench.metrics.registry.get_sample_value("routee_sinks_failed_commits_total") == 2


def test_collected_records_of_a_revoked_partition_are_left_to_its_new_owner() -> None:
    first = Bench()
    first.fill(8)
    first.rounds(2)
    second = Bench(first.topics)
    first.rounds(4, seconds=1.0)
    second.rounds(4, seconds=1.0)
    assert first.written.isdisjoint(second.written)
    assert len(first.written | second.written) == 8
    assert first.committed == 8


def test_partitions_change_hands_only_between_writes() -> None:
    sink = BlockingSink()
    bench = Bench(sink=sink, rows=4)
    bench.fill(4)
    bench.rounds(3)
    assert sink.started.wait(10)
    before = set(sink.claimed)
    MemorySource(bench.topics)
    bench.rounds(3)
    assert sink.claimed == before
    sink.let.set()
    assert bench.worker.writing_done(10)
    bench.rounds(2)
    assert len(sink.claimed) == PARTITIONS // 2
    assert bench.topics.committed.keys() == sink.claimed, "the others are committed by their new owner"


class HeldSink(MemorySink):
    """Another process still holds these partitions."""

    def __init__(self, held: set[int]) -> None:
        super().__init__()
        self.held = held

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        return super().claim([partition for partition in partitions if partition.partition not in self.held])


def test_a_partition_that_is_held_elsewhere_is_asked_for_again() -> None:
    sink = HeldSink({1})
    bench = Bench(sink=sink)
    bench.fill(8)
    bench.rounds(3, seconds=1.0)
    assert {partition for partition, _ in bench.written} == {0, 2, 3}
    assert bench.readiness.reasons == ["partitions: 1 not taken on yet"]
    sink.held.clear()
    bench.rounds(4, seconds=1.0)
    assert (len(bench.written), bench.readiness.reasons) == (8, [])


def test_a_store_that_cannot_say_where_to_begin_is_asked_again() -> None:
    bench = Bench()
    claim, troubles = bench.sink.claim, iter([RetryableError("away")])

    def flaky(partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        for error in troubles:
            raise error
        return claim(partitions)

    bench.sink.claim = flaky  # type: ignore[method-assign]
    bench.fill(8)
    bench.rounds(5, seconds=1.0)
    assert len(bench.written) == 8


def test_it_is_ready_after_the_first_rebalance() -> None:
    bench = Bench()
    assert bench.readiness.reasons == ["group: not a member of the consumer group yet"]
    bench.rounds(2)
    assert bench.readiness.reasons == []


def test_it_is_not_ready_while_kafka_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.rounds(2)
    monkeypatch.setattr(MemorySource, "silence", lambda _: 16.0)
    bench.rounds(1, seconds=1.0)
    assert bench.readiness.reasons == ["kafka: no answer for 16 s"]
    monkeypatch.undo()
    bench.rounds(1, seconds=1.0)
    assert bench.readiness.reasons == []


def test_it_is_not_ready_while_a_topic_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its partitions are gone from the group and from the lag: nothing else would tell."""
    bench = Bench()
    bench.rounds(2)
    monkeypatch.setattr(MemorySource, "missing", lambda _: ["t.sms.status"])
    bench.rounds(1, seconds=1.0)
    assert bench.readiness.reasons == ["topics: not in Kafka any more, or not for this user: t.sms.status"]
    monkeypatch.undo()
    bench.rounds(1, seconds=1.0)
    assert bench.readiness.reasons == []


def test_stopping_writes_and_commits_the_collected_records_and_leaves_the_group() -> None:
    bench = Bench()
    bench.fill(8)
    bench.rounds(2)
    stop = threading.Event()
    stop.set()
    bench.worker.run(stop, drain_seconds=5)
    assert (len(bench.written), bench.committed) == (8, 8)
    assert bench.topics.members == []
    assert bench.sink.claimed == set()


def test_stopping_does_not_wait_for_a_store_that_is_away() -> None:
    sink = BlockingSink()
    bench = Bench(sink=sink)
    bench.fill(8)
    bench.rounds(2)
    bench.worker.drain(0.05)
    assert bench.committed == 0
    assert bench.topics.members == []
    sink.let.set()


def test_the_commit_moves_past_a_bad_row_once_it_is_in_the_rejections() -> None:
    bench = Bench()
    bench.topics.append(TOPIC, 0, b"garbage")
    bench.rounds(4, seconds=1.0)
    assert bench.topics.committed == {ZERO: 1, **{TopicPartition(TOPIC, number): 0 for number in range(1, PARTITIONS)}}


def test_an_error_for_a_person_ends_the_loop_and_commits_nothing() -> None:
    bench = Bench()
    bench.fill(8)
    bench.sink.faults = [FatalError("ClickHouse says UNKNOWN_TABLE (60)")]
    with pytest.raises(FatalError, match="UNKNOWN_TABLE"):
        bench.rounds(5, seconds=1.0)
    assert bench.committed == 0


def test_the_lag_is_the_number_of_records_that_are_not_written_yet() -> None:
    bench = Bench()
    bench.fill(8)

    def lag() -> float:
        labels = [{"topic": TOPIC, "partition": str(number)} for number in range(PARTITIONS)]
        found = [bench.metrics.registry.get_sample_value("routee_sinks_lag_records", label) for label in labels]
        return sum(filter(None, found))

    bench.rounds(2, seconds=0.6)
    assert lag() == 8
    bench.rounds(4, seconds=1.0)
    assert lag() == 0


def lag_seconds(bench: Bench) -> float:
    """Return the lag of partition 0 as it was shown last."""
    lag = bench.metrics.registry.get_sample_value("routee_sinks_lag_seconds", {"topic": TOPIC, "partition": "0"})
    assert lag is not None
    return lag


def test_the_first_record_after_a_quiet_night_has_no_lag_of_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.topics.append(TOPIC, 0, b"{}", bench.ago(8 * 3600))
    bench.rounds(3)
    bench.rounds(3, seconds=1.0)
    assert len(bench.written) == 1
    assert lag_seconds(bench) == 0
    bench.topics.append(TOPIC, 0, b"{}", bench.ago(2))
    with monkeypatch.context() as patch:
        patch.setattr(bench.source, "poll", lambda *_: Polled())
        bench.rounds(seconds=1.0)
    assert lag_seconds(bench) == 1, "not fetched yet: since the last moment without a lag"
    bench.rounds(seconds=1.0)
    assert lag_seconds(bench) == 4


def test_lag_is_the_age_of_the_oldest_record_while_the_store_takes_nothing() -> None:
    bench = Bench(sink=BlockingSink())
    bench.topics.append(TOPIC, 0, b"{}", bench.ago(3600))
    bench.rounds(3)
    bench.rounds(2, seconds=1.0)
    bench.topics.append(TOPIC, 0, b"{}", bench.ago(0))
    bench.rounds(2, seconds=1.0)
    assert lag_seconds(bench) == 3604
    bench.sink.let.set()  # type: ignore[attr-defined]


def expired(bench: Bench, partition: int = 0) -> float | None:
    labels = {"topic": TOPIC, "partition": str(partition)}
    return bench.metrics.registry.get_sample_value("routee_sinks_expired_records_total", labels)


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    """Return partition, first and last offset, and number of the expired offsets in the log, each an error."""
    lines = [vars(line) for line in caplog.records if line.levelname == "ERROR"]
    return [tuple(line[name] for name in ("partition", "from_offset", "to_offset", "offsets")) for line in lines]


def test_records_that_expired_while_the_sink_was_away_are_told_and_the_others_are_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = Bench()
    for number in range(10):
        first.topics.append(TOPIC, 0, b'{"n":%d}' % number)
    first.rounds(4, seconds=1.0)
    first.topics.leave(first.source)
    for number in range(10, 50):
        first.topics.append(TOPIC, 0, b'{"n":%d}' % number)
    first.topics.expire(TOPIC, 0, 45)
    second = Bench(first.topics)
    second.rounds(4, seconds=1.0)
    assert told(caplog) == [(0, 10, 44, 35)]
    assert expired(second) == 35
    assert second.written == {(0, offset) for offset in range(45, 50)}
    assert first.topics.committed[ZERO] == 50


def test_expired_records_are_told_once_although_no_record_comes_after_them(caplog: pytest.LogCaptureFixture) -> None:
    """The position goes on over them: the next start does not find them again."""
    first = Bench()
    first.fill(8)
    first.rounds(4, seconds=1.0)
    first.topics.leave(first.source)
    first.fill(40)
    first.topics.expire(TOPIC, 0, 12)
    for _ in range(2):
        bench = Bench(first.topics)
        bench.rounds(4, seconds=1.0)
        bench.topics.leave(bench.source)
    assert told(caplog) == [(0, 2, 11, 10)]
    assert first.topics.committed[ZERO] == 12


def test_records_of_a_partition_that_had_none_when_it_was_last_read_are_told(caplog: pytest.LogCaptureFixture) -> None:
    first = Bench()
    first.rounds(4, seconds=1.0)
    first.topics.leave(first.source)
    first.fill(8)
    first.topics.expire(TOPIC, 0, 2)
    second = Bench(first.topics)
    second.rounds(4, seconds=1.0)
    assert told(caplog) == [(0, 0, 1, 2)]


def test_records_that_expired_before_the_first_start_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.fill(8)
    bench.topics.expire(TOPIC, 0, 1)
    bench.rounds(4, seconds=1.0)
    assert (told(caplog), expired(bench), len(bench.written)) == ([], None, 7)


def test_records_that_expire_while_the_sink_waits_for_its_store_are_told(caplog: pytest.LogCaptureFixture) -> None:
    sink = BlockingSink()
    bench = Bench(sink=sink, rows=1, nbytes=1)
    bench.fill(80)
    bench.rounds(6)
    assert sink.started.wait(10)
    assert bench.source.paused
    bench.topics.expire(TOPIC, 0, 15)
    sink.let.set()
    for _ in range(200):
        assert bench.worker.writing_done(10)
        bench.rounds(1, seconds=1.0)
    ((partition, first, last, count),) = told(caplog)
    assert (partition, last, count) == (0, 14, 15 - int(str(first)))
    assert {offset for number, offset in bench.written if number == 0} == {*range(int(str(first))), *range(15, 20)}
    assert len(bench.written) == 80 - int(str(count))
    assert bench.committed == 80


def test_a_running_sink_goes_on_over_records_that_expired_though_none_comes_after_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.fill(8)
    bench.rounds(4, seconds=1.0)
    bench.fill(40)
    bench.topics.expire(TOPIC, 0, 12)
    bench.rounds(4, seconds=1.0)
    assert told(caplog) == [(0, 2, 11, 10)]
    assert bench.topics.committed[ZERO] == 12
    labels = {"topic": TOPIC, "partition": "0"}
    assert bench.metrics.registry.get_sample_value("routee_sinks_lag_records", labels) == 0


def test_nothing_of_a_topic_that_was_made_anew_between_reading_and_writing_is_written() -> None:
    bench = Bench(rows=1_000)
    bench.fill(8)
    bench.rounds(3)
    confirm = bench.source.confirm

    def make_anew_first() -> None:
        bench.topics.make_anew(TOPIC)
        confirm()

    bench.source.confirm = make_anew_first  # type: ignore[method-assign]
    with pytest.raises(TopicError, match=rf"topic {TOPIC} was deleted and made anew while the sink read it"):
        bench.worker.drain(5)
    assert (bench.written, bench.topics.committed) == (set(), {})


def test_a_topic_that_is_made_anew_ends_the_sink_and_the_next_one_reads_it_from_its_beginning() -> None:
    bench = Bench()
    bench.fill(40)
    bench.rounds(4, seconds=1.0)
    bench.topics.make_anew(TOPIC)
    bench.fill(80, start=100)
    with pytest.raises(TopicError):
        bench.rounds(1)
    bench.topics.leave(bench.source)
    second = Bench(bench.topics)
    second.rounds(4, seconds=1.0)
    assert second.written == {(partition, offset) for partition in range(PARTITIONS) for offset in range(20)}


def test_stopping_commits_the_positions_at_which_it_began() -> None:
    bench = Bench()
    bench.rounds(2)
    bench.worker.drain(5)
    assert bench.topics.committed == {TopicPartition(TOPIC, number): 0 for number in range(PARTITIONS)}
