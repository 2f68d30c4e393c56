"""
The quick reader gives the same records as kafka-python's own, for any contents of a batch.
"""

import gc
import struct
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.record.util import calc_crc32c

from sinks.kafka.record_batches import DamagedBatchError, QuickRecords
from sinks.source import TopicPartition
from streams.contract.headers import Headers, headers_of, with_erasures

PARTITION = TopicPartition("routee.sms.status", 3)
GZIP = 1
ATTRIBUTES, CRC = 21, 17

Contents = Sequence[tuple[int, bytes | None, bytes | None]]
"""Of each record how many offsets before it are missing, its key and its value."""


def batch(
    contents: Contents,
    *,
    base: int = 0,
    compression: int = 0,
    timestamp: int = 1_795_000_000_000,
    all_headers: Sequence[Headers] | None = None,
) -> bytes:
    """Return a record batch as a broker hands it out."""
    builder = MemoryRecordsBuilder(2, compression, 1 << 20)
    for number, (missing, key, value) in enumerate(contents):
        builder.skip(missing)
        headers = [*all_headers[number]] if all_headers else [("header", b"any")] if number % 2 else None
        builder.append(timestamp + number * 700, key, value, headers)
    builder.close()
    found = bytearray(builder.buffer())
    struct.pack_into(">q", found, 0, base)
    return bytes(found)


def control(base: int) -> bytes:
    """Return the mark of a committed transaction."""
    found = bytearray(batch([(0, b"\0\0\0\1", b"\0\0\0\0\0\0")], base=base))
    struct.pack_into(">h", found, ATTRIBUTES, 0x30)
    struct.pack_into(">I", found, CRC, calc_crc32c(bytes(found[ATTRIBUTES:])))
    return bytes(found)


def read(reader: Any, data: bytes, first: int = 0, at_once: int = 3) -> tuple[list[tuple[Any, ...]], list[int]]:  # noqa: ANN401 - kafka-python has no types
    """Return all records, and the positions after each few of them."""
    part = reader(first, PARTITION, MemoryRecords(data))
    records, positions = [], []
    while part:
        taken = part.take(at_once)
        records += [(found.topic, found.partition, found.offset, found.timestamp, found.value) for found in taken]
        positions.append(part.next_fetch_offset)
    return records, positions


def expect_the_same(data: bytes, first: int = 0) -> list[tuple[Any, ...]]:
    found = read(QuickRecords, data, first)
    assert found == read(Fetcher.PartitionRecords, data, first)
    return found[0]


optional_bytes = st.none() | st.binary(max_size=300)
some_records = st.lists(st.tuples(st.integers(0, 300), optional_bytes, optional_bytes), min_size=1, max_size=8)


@given(st.lists(some_records, min_size=1, max_size=3), st.sampled_from([0, GZIP]), st.integers(0, 1500))
def test_any_records_of_any_batches_are_read_from_any_offset_on(
    batches: list[Contents], compression: int, first: int
) -> None:
    data = b"".join(
        batch(contents, base=number * 4_000, compression=compression) for number, contents in enumerate(batches)
    )
    expect_the_same(data, first)


@pytest.mark.parametrize("compression", [0, GZIP])
def test_key_and_headers_are_kept_of_raw_callbacks_alone(compression: int) -> None:
    data = batch([(0, b"key", b"{}"), (0, None, None)], compression=compression)
    for topic, kept in (("x.callbacks.raw", True), ("routee.sms.status", False)):
        part: Any = QuickRecords(0, TopicPartition(topic, 3), MemoryRecords(data))
        first, second = part.take(2)
        assert (first.value, second.value) == (b"{}", None)
        assert (first.key, [*first.headers]) == ((b"key", []) if kept else (None, []))
        assert (second.key, [*second.headers]) == (None, [("header", b"any")] if kept else [])


def told(data: bytes, topic: str = "routee.sms.status") -> list[bytes | None]:
    """Return which erasures hold in each record, as the reader says."""
    part: Any = QuickRecords(0, TopicPartition(topic, 3), MemoryRecords(data))
    return [one.erasures for one in part.take(100)]


def of_sms(number: int, *, first: int = 0, of: int = 3, digest: bytes = b"0123456789abcdef", **options: int) -> bytes:
    """Return a batch of records of SMS, the first of which tells the erasures of a batch of `of`."""
    own = headers_of("sms.status", is_final=True, campaign="c")
    all_headers = [with_erasures(own, digest, of), *[own] * 8]
    contents: Contents = [(first if at == 0 else 0, None, b"{}") for at in range(number)]
    return batch(contents, all_headers=all_headers, **options)


def test_the_first_record_of_a_batch_tells_which_erasures_hold_in_all_of_them() -> None:
    one = b"0123456789abcdef"
    assert told(of_sms(3)) == [one] * 3
    assert told(of_sms(3) + batch([(0, None, b"{}")] * 2, base=3) + of_sms(1, of=1, digest=b"2", base=5)) == [
        *[one] * 3,
        *[None] * 2,
        b"2",
    ]


@pytest.mark.parametrize(
    "data",
    [of_sms(4), of_sms(2), of_sms(2, first=1), of_sms(3, compression=GZIP)],
    ids=["joined with another", "cut", "without its first", "compressed"],
)
def test_a_batch_that_is_not_as_streams_sent_it_tells_no_erasures(data: bytes) -> None:
    """A copy of the topic may have other batches."""
    assert set(told(data)) == {None}


def test_a_batch_whose_later_records_were_compacted_away_still_tells_its_erasures() -> None:
    data = bytearray(of_sms(2))
    struct.pack_into(">i", data, 23, 2)
    struct.pack_into(">I", data, CRC, calc_crc32c(bytes(data[ATTRIBUTES:])))
    assert told(bytes(data)) == [b"0123456789abcdef"] * 2


def test_marks_of_transactions_are_left_out() -> None:
    data = batch([(0, None, b"{}")]) + control(1) + batch([(0, None, b"{}")], base=2) + control(3)
    assert [found[2] for found in expect_the_same(data)] == [0, 2]


def test_the_position_is_after_the_batch_even_if_its_last_records_were_compacted_away() -> None:
    data = bytearray(batch([(0, None, b"{}")]))
    struct.pack_into(">i", data, 23, 9)
    struct.pack_into(">I", data, CRC, calc_crc32c(bytes(data[ATTRIBUTES:])))
    expect_the_same(bytes(data))
    assert read(QuickRecords, bytes(data))[1][-1] == 10


def test_a_batch_that_is_damaged_is_refused() -> None:
    data = bytearray(batch([(0, None, b'{"n":1}')]))
    data[-3] ^= 1
    with pytest.raises(CorruptRecordError):
        read(QuickRecords, bytes(data))


def test_records_of_the_format_before_kafka_0_11_are_read_too() -> None:
    builder = MemoryRecordsBuilder(1, 0, 1 << 20)
    for number in range(5):
        builder.append(1_795_000_000_000, None, b"%d" % number)
    builder.close()
    assert len(expect_the_same(bytes(builder.buffer()))) == 5


def test_the_collector_of_cycles_does_not_know_records() -> None:
    """It would go through all that wait to be written, again and again."""
    raw: Any = QuickRecords(0, TopicPartition("x.callbacks.raw", 3), MemoryRecords(batch([(0, b"key", b"{}")] * 2)))
    part: Any = QuickRecords(0, PARTITION, MemoryRecords(batch([(0, b"key", b"{}")] * 2)))
    assert [gc.is_tracked(one) for one in (*part.take(2), *raw.take(2))] == [False] * 4


@pytest.mark.parametrize("length", [-40, -12, 0, 3, 14, 48])
def test_a_length_that_no_batch_can_have_is_refused(length: int) -> None:
    data = bytearray(batch([(0, None, b"{}")]) + batch([(0, None, b"{}")], base=1))
    struct.pack_into(">i", data, 8, length)
    part = QuickRecords(0, PARTITION, SimpleNamespace(_buffer=data, size_in_bytes=lambda: len(data)))
    with pytest.raises(CorruptRecordError):
        part.take()


def test_the_last_batch_of_an_answer_may_be_cut_at_any_byte() -> None:
    whole, cut = batch([(0, None, b"{}")] * 2), batch([(0, None, b"{}")], base=2)
    for size in range(len(cut)):
        records, positions = read(QuickRecords, whole + cut[:size])
        assert ([one[2] for one in records], positions[-1]) == ([0, 1], 2)


def test_a_damaged_batch_is_told_after_the_records_before_it() -> None:
    data = bytearray(batch([(0, None, b"{}")] * 2) + batch([(0, None, b"{}")], base=2))
    data[-3] ^= 1
    part: Any = QuickRecords(0, PARTITION, MemoryRecords(bytes(data)))
    assert ([one.offset for one in part.take(9)], part.next_fetch_offset) == ([0, 1], 2)
    with pytest.raises(DamagedBatchError, match=r"partition 3, at offset 2: its checksum is wrong$") as told:
        part.take(9)
    assert (told.value.partition, told.value.offset) == (PARTITION, 2)


def test_the_offset_of_a_damaged_batch_is_not_taken_from_its_head() -> None:
    data = bytearray(batch([(0, None, b"{}")], base=7))
    data[0] ^= 0x40
    data[-3] ^= 1
    with pytest.raises(DamagedBatchError, match=r"at offset 7: "):
        QuickRecords(7, PARTITION, MemoryRecords(bytes(data))).take(9)


def test_an_answer_whose_first_batch_is_cut_is_damaged() -> None:
    """Kafka cuts the last batch only where others stand before it; this one would be fetched for ever, untold."""
    whole = batch([(0, None, b"{}")])
    for size in range(1, len(whole)):
        with pytest.raises(DamagedBatchError, match=r"partition 3, at offset 5: it is cut$"):
            QuickRecords(5, PARTITION, MemoryRecords(whole[:size]))


@pytest.mark.timeout(20)
def test_a_damaged_batch_is_fetched_anew() -> None:
    """kafka-python's own `take` leaves an answer of which it asks for more without end, in one poll."""
    data = bytearray(batch([(0, None, b"{}")]))
    data[-3] ^= 1
    drained: list[Any] = []
    part: Any = QuickRecords(0, PARTITION, MemoryRecords(bytes(data)), on_drain=drained.append)
    state = SimpleNamespace(position=SimpleNamespace(offset=0), highwater=None)
    fetcher = SimpleNamespace(
        _subscriptions=SimpleNamespace(
            is_paused=lambda _: False,
            is_assigned=lambda _: True,
            is_fetchable=lambda _: True,
            assignment={PARTITION: state},
        ),
        _next_partition_records=part,
        _next_in_line_exception_metadata=None,
        _completed_fetches=[],
        _paused_completed_fetches={},
        _paused_partition_records={},
    )
    fetcher._append = partial(Fetcher._append, fetcher)
    with pytest.raises(CorruptRecordError):
        Fetcher.fetched_records(fetcher, 9)
    assert Fetcher.fetched_records(fetcher, 9) == ({}, False)
    assert drained == [part], "by this the partition may be fetched"
    assert state.position.offset == 0


def test_an_answer_that_is_dropped_half_read_is_freed_at_once() -> None:
    part = QuickRecords(0, PARTITION, MemoryRecords(batch([(0, b"k", b"{}")] * 5)))
    gc.disable()
    try:
        assert len(part.take(2)) == 2
        last = ref(part)
        del part
        assert last() is None, "answers of megabytes would stay in memory until Python looks for cycles"
    finally:
        gc.enable()
