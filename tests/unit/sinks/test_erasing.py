"""
Erasures in a sink: known before the first batch, added between batches, and the store erased after that.
"""

import threading
from collections.abc import Callable

import orjson
import pytest

from sinks.erasing import Eraser, Erasing, ErasingSink, Known, MemoryErasures
from sinks.errors import FatalError, RetryableError, SinksError
from sinks.metrics import Metrics, Readiness
from sinks.rejections import Flood, MemoryRejections
from sinks.retry import Backoff
from sinks.sink import MemorySink
from sinks.source import TopicPartition
from sinks.writer import Writer
from streams.contract.codec import encode
from streams.contract.erasures import Marks
from tests.behaviour.sinks.records import at, sms
from tests.support.erasures import MARKS, erasure
from tests.support.wait import eventually
from tests.unit.sinks.records import TOPIC, record
from tests.unit.sinks.test_writer import batch_of

NUMBER = "+306900000001"


class MemoryStore:
    """A store that counts how often it was erased; each of the next calls raises one of `faults`."""

    def __init__(self) -> None:
        self.faults: list[SinksError] = []
        self.erased: list[int] = []

    def erase(self, known: Known) -> int:
        if self.faults:
            raise self.faults.pop(0)
        self.erased.append(len(known.erasures))
        return 1


class Bench:
    """A writer and an eraser over everything in memory."""

    def __init__(self, marks: Marks | None = MARKS) -> None:
        self.sink = MemorySink()
        self.rejections = MemoryRejections()
        self.metrics, self.readiness = Metrics(), Readiness()
        self.readiness.fine("group")
        self.source, self.store, self.erasing = MemoryErasures(), MemoryStore(), Erasing(marks)
        self.eraser = Eraser(
            self.erasing,
            self.source,
            self.store,
            metrics=self.metrics,
            readiness=self.readiness,
            backoff=Backoff(0.001, 0.001),
        )
        self.writer = Writer(
            self.sink,
            self.rejections,
            {TOPIC: "sms_status"},
            flood=Flood(1_000),
            metrics=self.metrics,
            readiness=self.readiness,
            erasing=self.erasing,
        )

    def write(self, offset: int) -> None:
        self.writer.write(batch_of(record(offset, encode(sms(f"sms-{offset}", recipient=NUMBER)))))

    def recipient(self, offset: int) -> str | None:
        row = orjson.loads(self.sink.tables["sms_status"][TOPIC, 0, offset])
        return str(row["recipient"]) if row["recipient"] else None


def test_a_batch_after_an_erasure_is_written_without_the_person() -> None:
    bench = Bench()
    bench.write(0)
    bench.source.log.append(erasure(NUMBER, at(1)))
    bench.eraser.step(0)
    bench.write(1)
    assert [bench.recipient(0), bench.recipient(1)] == [NUMBER, None]


def test_a_row_that_the_store_refuses_is_kept_without_the_person() -> None:
    bench = Bench()
    bench.erasing.add([erasure(NUMBER, at(1))])
    bench.sink.refused = {
        encode(sms("sms-0", recipient=None, message=None, label=None)),
    }
    bench.write(0)
    (kept,) = bench.rejections.kept
    assert NUMBER not in str(kept.value)


def test_the_store_is_erased_after_a_new_erasure_and_after_each_claim_and_else_never() -> None:
    bench = Bench()
    sink = ErasingSink(bench.sink, bench.eraser.erase_again)
    sink.claim([TopicPartition(TOPIC, 0)])
    bench.eraser.step(0)
    assert bench.store.erased == []  # there are no erasures
    bench.source.log += [erasure(NUMBER, at(1)), erasure("+306900000002", at(1))]
    bench.eraser.step(0)
    bench.eraser.step(0)
    assert bench.store.erased == [2]
    sink.claim([TopicPartition(TOPIC, 1)])
    bench.eraser.step(0)
    assert bench.store.erased == [2, 2]
    assert bench.metrics.registry.get_sample_value("routee_sinks_erased_rows_total") == 2


def test_no_erasure_is_added_in_the_middle_of_a_batch() -> None:
    """So when the store is erased, each batch that was written without knowing the erasure is in it."""
    bench = Bench()
    bench.source.log.append(erasure(NUMBER, at(1)))
    stepping = threading.Thread(target=bench.eraser.step, args=(0,))
    with bench.erasing.writing():
        stepping.start()
        # It has read the erasure, and waits for the batch.
        eventually(lambda: bench.source.read(0) == [])
        stepping.join(0.05)
        assert stepping.is_alive()
        assert bench.store.erased == []
    stepping.join(10)
    assert bench.store.erased == [1]


@pytest.mark.parametrize("fault", [RetryableError("away"), FatalError("ACCESS_DENIED")])
def test_a_store_that_is_away_is_erased_later_and_readiness_says_so(fault: SinksError) -> None:
    bench = Bench()
    seen: list[list[str]] = []
    bench.store.faults = [fault, fault]
    erase = bench.store.erase

    def look(known: Known) -> int:
        seen.append(bench.readiness.reasons)
        return erase(known)

    bench.store.erase = look  # type: ignore[method-assign]
    bench.source.log.append(erasure(NUMBER, at(1)))
    bench.eraser.step(0)
    assert bench.store.erased == [1]
    assert seen == [[], *[[f"erasure: not everything is erased yet: {fault}"]] * 2]
    assert bench.readiness.reasons == []


def without_key() -> Bench:
    return Bench(marks=None)


def with_another_key() -> Bench:
    return Bench(marks=Marks(b"another key, of 32 bytes or more."))


@pytest.mark.parametrize("make", [without_key, with_another_key])
def test_without_the_key_of_an_erasure_nothing_is_written_any_more(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.source.log.append(erasure(NUMBER, at(1)))
    bench.eraser.start()
    (reason,) = eventually(lambda: bench.readiness.reasons)
    assert "ERASURE_KEY" in reason
    assert "\n" not in reason
    with pytest.raises(FatalError, match="ERASURE_KEY"):
        bench.write(0)
    assert bench.sink.tables == {}


def test_an_eraser_that_fails_in_any_way_stops_the_writing() -> None:
    bench = Bench()
    bench.source.read = lambda _: 1 / 0  # type: ignore[assignment,method-assign,return-value]
    bench.eraser.start()
    eventually(lambda: bench.readiness.reasons)
    with pytest.raises(FatalError, match="erasures are not read: ZeroDivisionError"):
        bench.write(0)


def test_while_kafka_does_not_tell_whether_there_are_further_erasures_nothing_is_written() -> None:
    """It may tell records of other partitions meanwhile, whose leaders are other brokers."""
    bench = Bench()
    seconds = [0.0]
    bench.erasing = bench.writer._erasing = bench.eraser._erasing = Erasing(MARKS, lambda: seconds[0])
    bench.erasing.confirm()
    bench.write(0)
    bench.source.is_away = True
    bench.source.log.append(erasure(NUMBER, at(1)))
    seconds[0] = 30.0
    bench.eraser.follow(0)
    assert bench.readiness.reasons == ["erasures: Kafka does not tell which numbers are erased: nothing is written"]
    writing = threading.Thread(target=bench.write, args=(1,))
    writing.start()
    writing.join(0.3)
    assert writing.is_alive()
    bench.source.is_away = False
    bench.eraser.follow(0)
    writing.join(10)
    assert [bench.recipient(0), bench.recipient(1)] == [NUMBER, None]
    assert bench.readiness.reasons == []


def test_a_further_erasure_is_known_while_the_store_is_being_erased() -> None:
    bench = Bench()
    goes_on = threading.Event()
    bench.store.erase = lambda known: int(goes_on.wait(30))  # type: ignore[method-assign]  # noqa: ARG005 - as called
    other = "+306900000002"
    bench.source.log.append(erasure(other, at(1)))
    bench.eraser.start()
    eventually(lambda: bench.erasing.known.erasures)
    bench.source.log.append(erasure(NUMBER, at(1)))
    eventually(lambda: len(bench.erasing.known.erasures) == 2)
    bench.write(0)
    assert bench.recipient(0) is None
    goes_on.set()
    bench.eraser.close()


def test_a_store_is_told_which_erasures_these_were_also_when_more_are_added_while_it_erases() -> None:
    erasing = Erasing(MARKS)
    erasing.add([erasure(NUMBER, at(1))])
    known = erasing.known
    erasing.add([erasure("+306900000002", at(1))])
    assert known.digest != erasing.known.digest == erasing.known.erasures.digest.decode()
