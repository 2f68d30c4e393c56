"""
The private names of aiokafka's producer and consumer that this folder uses.

aiokafka has no public API for them. A test compares `PRIVATE_NAMES` with the installed version.
"""

from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.producer import sender
from aiokafka.protocol.produce import ProduceRequest

from streams.program.record_batch import RecordBatch

PRIVATE_NAMES: Final = (
    ("aiokafka.consumer.fetcher", "PartitionRecords", ("_unpack_records", "_check_crcs")),
    ("aiokafka.producer.message_accumulator", "BatchBuilder", ("_build", "append", "close", "closed", "record_count")),
    ("aiokafka.producer.message_accumulator", "MessageBatch", ("_builder",)),
    ("aiokafka.producer.sender", "SendProduceReqHandler", ("create_request",)),
)
"""(module, class, attributes that its source must mention)."""


class Finished:
    """
    A batch as aiokafka's producer takes it, in the place of its own BatchBuilder: complete, so nothing is appended.

    An idempotent producer would call `_set_producer_state`, and ours is none.
    """

    def __init__(self, batch: RecordBatch) -> None:
        self.written: Final = batch.written()
        self.count: Final = batch.count

    def append(self, **_record: object) -> None:
        """Say that the batch is full."""

    def close(self) -> None:
        """Do nothing: it is closed from the beginning."""

    def closed(self) -> bool:
        """Return whether nothing can be appended."""
        return True

    def record_count(self) -> int:
        """Return the number of records."""
        return self.count

    def _build(self) -> bytearray:
        return self.written


def produce_by(kind: type[ProduceRequest]) -> None:
    """Make all aiokafka producers of this process send Produce requests of this class."""
    vars(sender)["ProduceRequest"] = kind


def fetch_by(kind: type[Any]) -> None:
    """Make all aiokafka consumers of this process read fetched batches by this class, in the place of MemoryRecords."""
    vars(fetcher)["MemoryRecords"] = kind
