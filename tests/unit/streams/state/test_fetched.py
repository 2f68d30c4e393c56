"""Fetched batches are checked as aiokafka checks them, with a faster instruction."""

import asyncio
import gc
from random import Random
from types import SimpleNamespace
from typing import Any
from weakref import ref

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from streams.contract.headers import headers_of
from streams.program.record_batch import RecordBatch
from streams.state.changelog.fetched import CheckedRecords, check_fetches
from streams.state.changelog.private_names import by_batch
from streams.state.succession import reader
from streams.state.succession.reader import Reader

HEADERS = headers_of("sms.status", is_final=True, campaign="c" * 36)
BEFORE_CHECKSUM = 17
"""Bytes of a batch of today's form that its checksum does not cover, and that Kafka itself changes."""


def batch(number: int, offset: int = 0) -> bytes:
    values = [Random(number).randbytes(50 + at) for at in range(number % 7 + 1)]  # noqa: S311 - any bytes
    written = RecordBatch([b"key"] * len(values), values, 1_795_338_984_123, [HEADERS] * len(values)).written()
    written[:8] = offset.to_bytes(8)
    return bytes(written)


def legacy(magic: int) -> bytes:
    builder = LegacyRecordBatchBuilder(magic, 0, 1 << 20)
    builder.append(0, 1_795_338_984_123, b"key", b"value")
    return bytes(builder.build())


def read(records: Any, *, check_crcs: bool) -> list[tuple[int, bytes | None, bytes | None]]:  # noqa: ANN401 - of aiokafka
    """Read a fetch as aiokafka's consumer does."""
    found = fetcher.PartitionRecords(
        SimpleNamespace(topic="sms.status", partition=3), records, [], 0, None, None, check_crcs, 0
    )
    return [(record.offset, record.key, record.value) for record in found]


def read_whole(fetched: bytes, begin: int) -> tuple[list[tuple[int, bytes | None, bytes | None]], list[int], int]:
    """
    Read a fetch from an offset on by whole batches; return the records, where each batch ended, and the position.

    The batches are read after all of them were given, as a restore does.
    """
    check_fetches()
    place = SimpleNamespace(topic="changelog", partition=3)
    found = fetcher.PartitionRecords(place, CheckedRecords(fetched), [], begin, None, by_batch, False, 0)  # noqa: FBT003
    batches, ends = [], []
    for whole in found:
        ends.append(found.next_fetch_offset)
        batches.append(whole)
    records = [(one.offset, one.key, one.value) for whole in batches for one in whole]
    return records, ends, found.next_fetch_offset


def verdict(records: Any, *, check_crcs: bool) -> object:  # noqa: ANN401
    try:
        return read(records, check_crcs=check_crcs)
    except CorruptRecordException:
        return CorruptRecordException


@given(st.lists(st.integers(0, 30), max_size=3), st.integers(0, 40))
def test_a_fetch_reads_as_by_the_library(numbers: list[int], cut: int) -> None:
    """The last batch of a fetch may be cut off."""
    fetched = b"".join(batch(number, 10 * at) for at, number in enumerate(numbers)) + batch(2, 90)[:cut]
    ours, theirs = CheckedRecords(fetched), MemoryRecords(fetched)
    assert (ours.has_next(), ours.size_in_bytes()) == (theirs.has_next(), theirs.size_in_bytes())
    assert read(ours, check_crcs=False) == read(theirs, check_crcs=True)


@given(st.integers(0, 30), st.data())
def test_a_changed_bit_is_noticed(number: int, data: st.DataObject) -> None:
    fetched = bytearray(batch(1) + batch(number, 10))
    at = data.draw(st.integers(len(batch(1)) + BEFORE_CHECKSUM, len(fetched) - 1))
    fetched[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptRecordException):
        read(CheckedRecords(bytes(fetched)), check_crcs=False)


@pytest.mark.parametrize("magic", [0, 1])
def test_batches_of_an_older_form_are_checked_by_their_own_rule(magic: int) -> None:
    fetched = legacy(magic)
    for changed in (fetched, fetched[:-1] + b"?"):
        expected = verdict(MemoryRecords(changed), check_crcs=True)
        assert verdict(CheckedRecords(changed), check_crcs=False) == expected
    assert read(CheckedRecords(fetched), check_crcs=False)


def test_the_consumers_of_aiokafka_read_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version of aiokafka that reads its fetches elsewhere fails here."""
    monkeypatch.setitem(vars(fetcher), "MemoryRecords", MemoryRecords)
    check_fetches()
    assert vars(fetcher)["MemoryRecords"] is CheckedRecords
    assert "MemoryRecords" in fetcher.Fetcher._proc_fetch_request.__code__.co_names


def test_a_reader_leaves_no_batch_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(fetcher), "MemoryRecords", MemoryRecords)
    Reader({})
    assert vars(fetcher)["MemoryRecords"] is CheckedRecords


@given(st.lists(st.integers(0, 30), max_size=4), st.integers(0, 40), st.integers(0, 40))
def test_whole_batches_have_the_records_that_the_library_reads(numbers: list[int], cut: int, begin: int) -> None:
    """A read may begin in the middle of a batch, which Kafka sends whole; the last batch of a fetch may be cut off."""
    fetched = b"".join(batch(number, 10 * at) for at, number in enumerate(numbers)) + batch(2, 90)[:cut]
    records, ends, position = read_whole(fetched, begin)
    assert records == [one for one in read(MemoryRecords(fetched), check_crcs=True) if one[0] >= begin]
    assert ends == [max(begin, 10 * at + number % 7 + 1) for at, number in enumerate(numbers)]
    assert position == (ends[-1] if ends else begin)


@pytest.mark.parametrize("deserializer", [None, by_batch])
def test_a_fetch_that_is_dropped_half_read_is_freed_at_once(deserializer: object) -> None:
    check_fetches()
    place = SimpleNamespace(topic="callbacks.raw", partition=3)
    fetched = CheckedRecords(batch(3) + batch(5, 4))
    gc.disable()
    try:
        found = fetcher.PartitionRecords(place, fetched, [], 0, None, deserializer, False, 0)  # noqa: FBT003
        assert next(found) is not None
        last = ref(fetched)
        del fetched, found
        assert last() is None, "batches of megabytes would stay in memory until Python looks for cycles"
    finally:
        gc.enable()


def test_whole_batches_are_checked() -> None:
    damaged = bytearray(batch(3))
    damaged[-1] ^= 1
    with pytest.raises(CorruptRecordException):
        read_whole(bytes(damaged), 0)


def test_a_control_batch_has_no_rows_and_moves_the_position() -> None:
    control = bytearray(batch(0, 10))
    control[22] |= 0x20
    control[BEFORE_CHECKSUM : BEFORE_CHECKSUM + 4] = crc32c(control[21:]).to_bytes(4)
    assert read_whole(bytes(batch(1)) + bytes(control), 0) == (read_whole(batch(1), 0)[0], [2], 11)


def test_a_reader_of_batches_marks_its_consumer() -> None:
    made: dict[str, object] = {}

    class Consumer:
        """A consumer that is made only."""

        def __init__(self, **options: object) -> None:
            made.update(options)

        async def start(self) -> None:
            """Start."""

        async def stop(self) -> None:
            """Stop."""

    async def open_one() -> None:
        async with Reader({}).open_batches():
            pass

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reader, "AIOKafkaConsumer", Consumer)
        asyncio.run(open_one())
    assert made["value_deserializer"] is by_batch
