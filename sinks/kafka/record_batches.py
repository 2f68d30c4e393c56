"""
Record batches → records, several times as fast as kafka-python's own.

kafka-python fetches the batches and keeps the positions, but copies each batch, and makes ten function calls for each
record. Here aiokafka's compiled reader reads the same bytes where they are, and only the fields that the sinks need are
kept: all of them of `callbacks.raw`.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final, NamedTuple
from weakref import proxy

from aiokafka.record.default_records import DefaultRecordBatch
from crc32c import crc32c
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords

from sinks.kafka.private_names import fetched_bytes
from sinks.source import Record, TopicPartition
from streams.contract.headers import erasures_of
from streams.contract.topics import CALLBACKS_RAW
from streams.program.record_batch import BEFORE_BYTES, HEAD, MAGIC

# Where the head of a batch has what decides about its reader; `DefaultRecordBatch` takes a whole head for granted.
_LENGTH_AT: Final = 8
_EPOCH_AT: Final = 12
_MAGIC_AT: Final = 16
_ATTRIBUTES_AT: Final = 22
_HEAD_BYTES: Final = 61
_COMPRESSED_OR_CONTROL: Final = 0x27


class DamagedBatchError(CorruptRecordError):  # type: ignore[misc]  # kafka-python has no type information
    """A record batch has other bytes than were written, or is cut."""

    def __init__(self, partition: TopicPartition, offset: int, damage: str) -> None:
        super().__init__(f"{partition[0]}, partition {partition[1]}, at offset {offset}: {damage}")
        self.partition = partition
        self.offset = offset
        self.damage = damage


class QuickRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no type information
    """The records of one partition in a fetch answer: replaces `PartitionRecords` of a consumer's fetcher."""

    next_fetch_offset: int

    def _unpack_records(self, tp: TopicPartition, records: Any, *_: object) -> Iterator[Record]:  # noqa: ANN401 - same
        """Yield the records of all batches. DamagedBatchError when the first is cut: Kafka sends that one whole."""
        content = fetched_bytes(records)
        if content and next(_batches(content), None) is None:
            raise DamagedBatchError(tp, self.next_fetch_offset, "it is cut")
        # By this kafka-python decides which partition is next.
        self.bytes_read = records.size_in_bytes()
        # This object keeps the iterator. If that kept this object, an answer that is dropped half read, as by a pause,
        # would stay in memory until Python looks for cycles, which it seldom does: records are unknown to it.
        return chain.from_iterable(_by_batch(proxy(self), tp, content))

    @property
    def _maybe_skip_record(self) -> Callable[[Record], bool]:
        """As kafka-python's method, which would keep this object in its own iterator, too."""
        first: int = self.fetch_offset
        return lambda record: record.offset < first

    def take(self, n: int | None = None) -> list[Record]:
        """Return the next records, at most `n`; the position moves behind them."""
        try:
            taken: list[Record] = super().take(n)
        except DamagedBatchError:
            # The iterator ends with its error. kafka-python would ask it again and again within one poll, and not fetch
            # the batch anew.
            self.drain()
            raise
        if taken:
            self.next_fetch_offset = max(self.next_fetch_offset, taken[-1].offset + 1)
        return taken


def _by_batch(part: Any, partition: TopicPartition, content: memoryview) -> Iterator[list[Record]]:  # noqa: ANN401 - a proxy
    """
    Yield the records of each batch.

    When all of them are taken, the position moves over records that compaction removed, and over control batches.
    """
    for one in _batches(content):
        batch = _opened(one)
        if batch is None:
            # The offset in its head may be damaged, too.
            raise DamagedBatchError(partition, part.next_fetch_offset, "its checksum is wrong")
        if batch.leader_epoch is not None:
            part.leader_epoch = batch.leader_epoch
        yield _records(*partition, batch)
        if batch.end is not None:
            part.next_fetch_offset = batch.end
    part.drain()


class _Opened(NamedTuple):
    """A batch with its records, the epoch of its leader and its end as far as it tells them."""

    records: Iterable[Any]
    erasures: bytes | None = None
    """Which hold in all of its records, as far as it is told."""
    leader_epoch: int | None = None
    end: int | None = None


def _batches(content: memoryview) -> Iterator[memoryview]:
    """Yield the bytes of each batch. Kafka cuts the last one, which is left out, as is all behind a wrong length."""
    start = 0
    while start + BEFORE_BYTES <= len(content):
        length = int.from_bytes(content[start + _LENGTH_AT : start + BEFORE_BYTES], signed=True)
        end = start + BEFORE_BYTES + length
        if end > len(content):
            return
        if end <= start + _MAGIC_AT:
            yield content[:0]
            return
        yield content[start:end]
        start = end


def _opened(content: memoryview) -> _Opened | None:
    """
    Return a batch that is whole, None when its bytes are not the written ones.

    Old and compressed ones are left to kafka-python, which knows more codecs; streams writes and compresses none.
    """
    if len(content) <= _MAGIC_AT:
        return None
    is_current = content[_MAGIC_AT] == MAGIC
    if is_current and len(content) < _HEAD_BYTES:
        return None
    if is_current and not content[_ATTRIBUTES_AT] & _COMPRESSED_OR_CONTROL:
        return _plain(content)
    batch = MemoryRecords(content).next_batch()
    if not batch.validate_crc():
        return None
    if not is_current:
        return _Opened(batch)
    return _Opened(() if batch.is_control_batch else batch, None, batch.leader_epoch, batch.next_offset)


def _plain(content: memoryview) -> _Opened | None:
    batch = DefaultRecordBatch(content)
    # aiokafka's own check takes fifteen times as long.
    if crc32c(content[HEAD.size :]) != batch.crc:
        return None
    epoch = int.from_bytes(content[_EPOCH_AT:_MAGIC_AT], signed=True)
    # An iterable gives its records once.
    first = next(iter(DefaultRecordBatch(content)), None)
    is_first = first is not None and first.offset == batch.base_offset
    erasures = erasures_of(first.headers, batch.last_offset_delta + 1) if first is not None and is_first else None
    return _Opened(batch, erasures, epoch, batch.next_offset)


def _records(topic: str, partition: int, batch: _Opened) -> list[Record]:
    if topic.endswith(CALLBACKS_RAW.suffix):
        return [
            Record(topic, partition, found.offset, found.timestamp, found.value, found.key, found.headers)
            for found in batch.records
        ]
    erasures = batch.erasures
    # Headers would double the memory of every other topic.
    return [
        Record(topic, partition, found.offset, found.timestamp, found.value, None, (), erasures)
        for found in batch.records
    ]
