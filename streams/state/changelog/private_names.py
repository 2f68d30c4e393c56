"""
The private names of aiokafka's producer and consumer that this folder uses.

aiokafka has no public API for them. A test compares `PRIVATE_NAMES` with the installed version.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from weakref import proxy

from aiokafka.consumer import fetcher
from aiokafka.producer import sender
from aiokafka.protocol.produce import ProduceRequest

from streams.program.record_batch import RecordBatch

PRIVATE_NAMES: Final = (
    (
        "aiokafka.consumer.fetcher",
        "PartitionRecords",
        ("_unpack_records", "_check_crcs", "_records", "_records_iterator", "_value_deserializer", "next_fetch_offset"),
    ),
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
    """
    Make all aiokafka consumers of this process read fetched batches by this class, in the place of MemoryRecords.

    A consumer whose `value_deserializer` is by_batch gets each batch in the place of its records.
    """
    vars(fetcher)["MemoryRecords"] = kind
    vars(fetcher)["PartitionRecords"] = _PartitionRecords


def by_batch(_value: bytes) -> bytes:
    """Mark a consumer that gets whole batches; it is never called."""
    raise NotImplementedError


_unpacked: Final[Callable[[Any], Iterator[Any]]] = fetcher.PartitionRecords._unpack_records  # noqa: SLF001


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's, which makes an object of ten fields of each record: three quarters of the cost of reading rows."""

    def _unpack_records(self) -> Iterator[Any]:
        # This object keeps the iterator. If that kept this object, a large batch that is dropped half read, as by a
        # pause, would stay in memory until Python looks for cycles, which it seldom does: there are few objects.
        records: Any = proxy(self)
        whole: bool = self._value_deserializer is by_batch
        return _whole_batches(records) if whole else _unpacked(records)


def _whole_batches(found: Any) -> Iterator[Iterable[Any]]:  # noqa: ANN401 - aiokafka has no types
    """Yield the records of each batch from the wanted offset on."""
    records = found._records  # noqa: SLF001
    while records.has_next():
        batch = records.next_batch()
        begin = found.next_fetch_offset
        found.next_fetch_offset = max(begin, batch.next_offset)
        if not batch.is_control_batch:
            # A batch that a former read left in the middle is fetched whole.
            yield batch if batch.base_offset >= begin else _from(batch, begin)


def _from(batch: Iterable[Any], begin: int) -> Iterator[Any]:
    # A function, since the batch is read later, when the caller's own `begin` is that of another batch.
    return (one for one in batch if one.offset >= begin)
