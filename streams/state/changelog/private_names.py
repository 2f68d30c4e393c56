"""
The private names of aiokafka's producer that this folder uses.

aiokafka has no public API for them. A test compares `PRIVATE_NAMES` with the installed version.
"""

from typing import Final

from aiokafka.producer import sender
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.produce import ProduceRequest

PRIVATE_NAMES: Final = (
    ("aiokafka.producer.message_accumulator", "BatchBuilder", ("_set_producer_state",)),
    ("aiokafka.producer.sender", "SendProduceReqHandler", ("create_request",)),
)
"""(module, class, attributes that its source must mention)."""


def stamp(batch: BatchBuilder, producer_id: int, epoch: int, sequence: int) -> None:
    """Write a producer id, its epoch and the first sequence number into the header of a batch."""
    batch._set_producer_state(producer_id, epoch, sequence)  # noqa: SLF001


def produce_by(kind: type[ProduceRequest]) -> None:
    """Make all aiokafka producers of this process send Produce requests of this class."""
    vars(sender)["ProduceRequest"] = kind
