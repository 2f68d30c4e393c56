"""
One batch into the store: written again until the store takes it, without the rows that it never takes.
"""

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.batch import Batch, Limits
from sinks.errors import FatalError, FloodError, PermanentError, RetryableError
from sinks.metrics import Metrics, Readiness
from sinks.rejections import Flood, MemoryRejections
from sinks.retry import Backoff
from sinks.sink import MemorySink
from sinks.source import Record, TopicPartition
from sinks.writer import Writer, Writing
from tests.unit.sinks.records import TOPIC, record

TABLE = "sms_status"


class Bench:
    """A writer with everything around it in memory."""

    def __init__(self, per_minute: int = 1_000) -> None:
        self.sink = MemorySink()
        self.rejections = MemoryRejections()
        self.metrics = Metrics()
        self.readiness = Readiness()
        self.readiness.fine("group")
        self.slept: list[float] = []
        self.now = 0.0
        self.troubles: list[list[str]] = []
        self.writer = Writer(
            self.sink,
            self.rejections,
            {TOPIC: TABLE},
            flood=Flood(per_minute, clock=lambda: self.now),
            metrics=self.metrics,
            readiness=self.readiness,
            backoff=Backoff(first=1.0, longest=4.0),
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.troubles.append(self.readiness.reasons)

    def write(self, *records: Record) -> None:
        self.writer.write(batch_of(*records))

    @property
    def written(self) -> list[int]:
        return sorted(offset for _, _, offset in self.sink.tables.get(TABLE, {}))

    @property
    def rejected(self) -> list[int]:
        return [rejection.offset for rejection in self.rejections.kept]

    def count(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"table": TABLE})


def batch_of(*records: Record) -> Batch:
    batch = Batch(Limits(rows=1_000_000, nbytes=1 << 30, seconds=1))
    for found in records:
        batch.add(TopicPartition(found.topic, found.partition), [found], now=0)
    return batch


def numbered(count: int) -> list[Record]:
    return [record(offset, b'{"n":%d}' % offset) for offset in range(count)]


def test_rows_are_written_and_tombstones_left_out() -> None:
    bench = Bench()
    bench.write(record(0), record(1, None), record(2, b""), record(3))
    assert (bench.written, bench.rejected) == ([0, 3], [])
    assert bench.count("routee_sinks_rows_total") == 2
    assert bench.count("routee_sinks_empty_records_total") == 2


def test_a_store_that_is_away_is_asked_again_later_and_later() -> None:
    bench = Bench()
    bench.sink.faults = [RetryableError("away")] * 4
    bench.write(record(0))
    assert bench.slept == [1.0, 2.0, 4.0, 4.0]
    assert bench.written == [0]
    assert bench.count("routee_sinks_retries_total") == 4


def test_the_program_is_not_ready_while_the_store_is_away() -> None:
    bench = Bench()
    bench.sink.faults = [RetryableError("ClickHouse says TOO_MANY_PARTS (252)")]
    bench.write(record(0))
    assert bench.troubles == [["store: ClickHouse says TOO_MANY_PARTS (252)"]]
    assert bench.readiness.reasons == []


def test_a_bad_row_goes_to_the_rejections_with_the_stores_words_and_the_rest_is_written() -> None:
    bench = Bench()
    rows = numbered(100)
    bench.sink.refused = {rows[37].value or b""}
    bench.write(*rows)
    assert bench.written == [n for n in range(100) if n != 37]
    (rejection,) = bench.rejections.kept
    assert (rejection.topic, rejection.partition, rejection.offset) == (TOPIC, 0, 37)
    assert (rejection.sink, rejection.table, rejection.error) == ("memory", TABLE, "refused: offset 37")
    assert (rejection.value, rejection.value_base64) == ('{"n":37}', None)
    assert bench.count("routee_sinks_rejected_rows_total") == 1


@given(st.sets(st.integers(0, 63)))
def test_every_row_is_written_or_rejected_for_any_set_of_bad_rows(bad: set[int]) -> None:
    bench = Bench()
    rows = numbered(64)
    bench.sink.refused = {rows[offset].value or b"" for offset in bad}
    bench.write(*rows)
    assert set(bench.rejected) == bad
    assert set(bench.written) == set(range(64)) - bad


def test_finding_one_bad_row_costs_two_writes_per_halving() -> None:
    bench = Bench()
    rows = numbered(1024)
    bench.sink.refused = {rows[0].value or b""}
    bench.write(*rows)
    assert bench.sink.writes == 1 + 2 * 10


def test_bytes_that_are_not_text_are_kept_as_base64() -> None:
    bench = Bench()
    bench.write(record(0, b"\xff\xfe"))
    (rejection,) = bench.rejections.kept
    assert (rejection.value, rejection.value_base64, rejection.error) == (None, "//4=", "not one JSON object")


def test_a_flood_of_bad_rows_ends_the_program() -> None:
    bench = Bench(per_minute=10)
    with pytest.raises(FloodError, match="SINKS_MAX_REJECTED_PER_MINUTE=10"):
        bench.write(*[record(offset, b"garbage") for offset in range(5_000)])
    assert len(bench.rejected) == 10


def test_bad_rows_now_and_then_are_no_flood() -> None:
    bench = Bench(per_minute=10)
    for offset in range(100):
        bench.now += 7.0
        bench.write(record(offset, b"garbage"))
    assert len(bench.rejected) == 100


def test_a_limit_of_zero_ends_the_program_at_the_first_bad_row() -> None:
    with pytest.raises(FloodError):
        Bench(per_minute=0).write(record(0, b"garbage"))


def test_a_rejection_is_tried_until_it_is_kept() -> None:
    bench = Bench()
    failing = iter([RetryableError("Kafka is away")])
    add = bench.rejections.add

    def flaky(rejection: object) -> None:
        for error in failing:
            raise error
        add(rejection)  # type: ignore[arg-type]

    bench.rejections.add = flaky  # type: ignore[method-assign]
    bench.write(record(0, b"garbage"))
    assert (len(bench.rejected), bench.slept) == (1, [1.0])


def test_an_error_for_a_person_is_not_tried_again() -> None:
    bench = Bench()
    bench.sink.faults = [FatalError("ClickHouse says UNKNOWN_TABLE (60)")]
    with pytest.raises(FatalError, match="UNKNOWN_TABLE"):
        bench.write(record(0))
    assert bench.slept == []


class BlockingSink(MemorySink):
    """Writes after `let` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def write(self, table: str, rows: Sequence[Record]) -> None:
        self.let.wait(10)
        super().write(table, rows)


def test_a_batch_is_written_while_the_caller_goes_on() -> None:
    bench = Bench()
    sink = BlockingSink()
    bench.writer._sink = sink
    writing = Writing(bench.writer, batch_of(record(0)), lambda: None)
    assert not writing.finished(0)
    sink.let.set()
    assert writing.finished(10)
    assert len(sink.tables[TABLE]) == 1


def test_an_error_of_the_writer_reaches_the_caller() -> None:
    bench = Bench()
    bench.sink.faults = [FatalError("stop")]
    writing = Writing(bench.writer, batch_of(record(0)), lambda: None)
    with pytest.raises(FatalError, match="stop"):
        writing.finished(10)


def test_the_memory_sink_refuses_before_it_writes() -> None:
    sink = MemorySink()
    sink.refused = {b'{"n":1}'}
    with pytest.raises(PermanentError):
        sink.write(TABLE, [record(0, b'{"n":0}'), record(1, b'{"n":1}')])
    assert sink.tables == {}


def test_records_without_a_row_are_given_up_before_the_rows_are_written() -> None:
    """In files a written row is a commit: an earlier record would not be read again."""
    bench = Bench()
    bench.sink.faults = [FatalError("the disk is gone")]
    with pytest.raises(FatalError):
        bench.write(record(0), record(1, b"garbage"), record(2))
    assert (bench.rejected, bench.written) == ([1], [])


def test_a_value_that_grows_too_long_as_text_is_kept_as_base64() -> None:
    bench = Bench()
    bench.write(record(0, b'"' * 700_000))
    (rejection,) = bench.rejections.kept
    assert rejection.value is None
    assert rejection.value_base64 is not None
