"""Record batches written in one piece are those of the library, byte for byte."""

import struct
from random import Random

from aiokafka.producer.message_accumulator import BatchBuilder, MessageBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract.headers import NO_HEADERS, Headers, headers_of
from streams.program.record_batch import RecordBatch
from streams.state.changelog.private_names import Finished

NOW = 1_795_338_984_123

SIZES = st.sampled_from([0, 1, 3, 40, 63, 64, 700, 8_191, 8_192, 9_000, 70_000])
BYTES = st.none() | SIZES.map(lambda size: Random(size).randbytes(size))  # noqa: S311 - any bytes
HEADERS = st.sampled_from(
    [
        NO_HEADERS,
        headers_of("sms.status", is_final=True, campaign="c" * 36),
        headers_of("sms.status", is_final=False, campaign=None),
        headers_of("sms.status", is_final=False, campaign="ü" * 256),
    ]
)
RECORDS = st.lists(st.tuples(BYTES, BYTES, HEADERS).filter(lambda record: record[:2] != (None, None)), min_size=1)
STAMPS = st.tuples(st.integers(-1, 2**63 - 1), st.integers(-1, 32766), st.integers(0, 2**31 - 1))
Record = tuple[bytes | None, bytes | None, Headers]


def ours(records: list[Record], stamp: tuple[int, int, int] | None) -> RecordBatch:
    keys, values, headers = zip(*records, strict=True)
    batch = RecordBatch(keys, values, NOW, headers if any(headers) else None)
    if stamp is not None:
        batch.stamp(*stamp)
    return batch


def theirs(records: list[Record], stamp: tuple[int, int, int] | None) -> bytes:
    batch = BatchBuilder(1 << 30, compression_type=0)
    for key, value, headers in records:
        batch.append(timestamp=NOW, key=key, value=value, headers=[*headers])
    if stamp is not None:
        batch._set_producer_state(*stamp)
    return bytes(batch._build())


@settings(max_examples=300, deadline=None)
@given(RECORDS, st.none() | STAMPS)
def test_a_batch_is_the_librarys_byte_for_byte(records: list[Record], stamp: tuple[int, int, int] | None) -> None:
    batch = ours(records, stamp)
    assert batch.written() == theirs(records, stamp)
    assert batch.size == len(batch.written())
    assert batch.count == len(records)


@settings(max_examples=300, deadline=None)
@given(RECORDS.map(lambda records: records[:1]), st.none() | STAMPS)
def test_a_batch_of_one_record_is_the_librarys(records: list[Record], stamp: tuple[int, int, int] | None) -> None:
    assert ours(records, stamp).written() == theirs(records, stamp)


def test_a_batch_of_many_records_is_the_librarys() -> None:
    """More records than there are offsets written beforehand."""
    records: list[Record] = [(b"%d" % number, b"v" * (number % 70), NO_HEADERS) for number in range(9_000)]
    assert ours(records, (7, 3, 11)).written() == theirs(records, (7, 3, 11))


def test_readers_find_a_changed_byte() -> None:
    written = bytearray(ours([(b"key", b"value", NO_HEADERS)], (7, 3, 11)).written())
    batch = MemoryRecords(bytes(written)).next_batch()
    assert batch.validate_crc()
    struct.pack_into(">B", written, len(written) - 2, 0)
    assert not MemoryRecords(bytes(written)).next_batch().validate_crc()


async def test_the_library_takes_a_finished_batch_in_the_place_of_its_own() -> None:
    batch = ours([(b"key", b"value", NO_HEADERS)], (7, 3, 11))
    taken = MessageBatch(TopicPartition("topic", 0), Finished(batch), ttl=1, linger_time=0)
    assert taken.append(b"k", b"v", None) is None
    assert taken.remaining_linger() is None
    assert taken.record_count == 1
    assert not taken.is_empty()
    assert taken.get_data_buffer() == taken.get_data_buffer() == batch.written()
