"""
Record batches → records, several times as fast as kafka-python's own.

kafka-python fetches the batches and keeps the positions, but makes ten function calls for each record. Here aiokafka's
compiled reader reads the same bytes, and only the fields that the sinks need are kept: all of them of `callbacks.raw`.
"""

from collections.abc import Iterator
from typing import Any, Final

from aiokafka.record.default_records import DefaultRecordBatch
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError

from sinks.kafka.private_names import batch_bytes
from sinks.source import Record, TopicPartition
from streams.contract.headers import erasures_of
from streams.contract.topics import CALLBACKS_RAW

_CURRENT_FORMAT: Final = 2


class QuickRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no type information
    """The records of one partition in a fetch answer: replaces `PartitionRecords` of a consumer's fetcher."""

    def _unpack_records(self, tp: TopicPartition, records: Any, *_: object) -> Iterator[Record]:  # noqa: ANN401 - same
        """
        Yield the records of all batches.

        The position moves with each record, and over records that compaction removed and over control batches.
        """
        topic, partition = tp
        is_whole = topic.endswith(CALLBACKS_RAW.suffix)
        new = tuple.__new__
        # By this kafka-python decides which partition is next.
        self.bytes_read = records.size_in_bytes()
        for batch in records:
            if not batch.validate_crc():
                raise CorruptRecordError(f"{topic}, partition {partition}, at offset {batch.base_offset}")
            is_current = batch.magic == _CURRENT_FORMAT
            found_records, erasures = _opened(batch) if is_current else (batch, None)
            if is_current:
                self.leader_epoch = batch.leader_epoch
            for found in found_records:
                offset = found.offset
                self.next_fetch_offset = offset + 1
                # `Record(…)` without a call of a Python function. Headers would double the memory of every other topic.
                if is_whole:
                    yield new(
                        Record, (topic, partition, offset, found.timestamp, found.value, found.key, found.headers, None)
                    )
                else:
                    yield new(Record, (topic, partition, offset, found.timestamp, found.value, None, (), erasures))
            if is_current:
                self.next_fetch_offset = batch.next_offset
        self.drain()


def _opened(batch: Any) -> tuple[Any, bytes | None]:  # noqa: ANN401 - same
    """
    Return an iterable of the batch's records, and which erasures hold in all of them as far as it is told.

    A compressed one is left to kafka-python, which knows more codecs; streams compresses none.
    """
    if batch.is_control_batch:
        return (), None
    if batch.compression_type:
        return batch, None
    content = batch_bytes(batch)
    # An iterable gives its records once.
    first = next(iter(DefaultRecordBatch(content)), None)
    if first is None or first.offset != batch.base_offset:
        return DefaultRecordBatch(content), None
    return DefaultRecordBatch(content), erasures_of(first.headers, batch.last_offset_delta + 1)
