"""
The right to write a partition, and how it is taken from whoever had it before.

Every batch of a changelog, and of the public topics that only one worker may write, carries a producer id and an
epoch, as the batches of idempotent producers do. The leader of a partition refuses a batch whose epoch is older than
the newest it has seen of that id. So a new owner takes the next epoch and appends one record with it, *before* it
reads the changelog: from that acknowledgement on, nothing that an older owner has in flight can be appended, however
long it was held up. No transaction is opened, and a flush costs nothing more.
"""

import asyncio
import logging
from typing import Final

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import ConcurrentTransactions, KafkaError, for_code
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.transaction import InitProducerIdRequest

from streams.state import internals

logger = logging.getLogger(__name__)

LAST_EPOCH: Final = 32767
"""The coordinator never hands this one out: what is written with it fences every epoch of an id."""

_TRANSACTION_TIMEOUT_MS: Final = 60_000  # no transaction is ever opened, but the request wants one
_RETRY_SECONDS: Final = 0.1
_MAX_SEQUENCE: Final = 0x7FFFFFFF


class RepeatedBatchError(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """A batch was acknowledged and not appended."""


class Writer:
    """A producer id, its epoch, and the next sequence number in each partition written with them."""

    def __init__(self, producer_id: int, epoch: int) -> None:
        self.producer_id = producer_id
        self.epoch = epoch
        self._next: dict[tuple[str, int], int] = {}
        self._last: dict[tuple[str, int], int] = {}

    def stamp(self, batch: BatchBuilder, topic: str, partition: int) -> None:
        """Sign a batch that is sent next to this partition; batches must be sent in the order of their stamps."""
        sequence = self._next.get((topic, partition), 0)
        internals.stamp(batch, self.producer_id, self.epoch, sequence)
        self._next[topic, partition] = (sequence + batch.record_count()) & _MAX_SEQUENCE

    def confirm(self, topic: str, partition: int, offset: int) -> None:
        """
        Note the offset at which a batch was appended; RepeatedBatchError when it was not.

        A broker that takes a batch for the repetition of an earlier one acknowledges it and appends nothing: with
        the offset of that earlier one, or, by way of aiokafka, with none.
        """
        if offset <= self._last.get((topic, partition), -1):
            raise RepeatedBatchError(f"{topic}[{partition}]: a batch was taken for the one at offset {offset}")
        self._last[topic, partition] = offset


async def next_writer(client: AIOKafkaClient, transactional_id: str) -> Writer:
    """
    Return a Writer with an epoch above all that were given out for this id.

    Waits for a coordinator that is away or busy. Raises KafkaError for what waiting does not cure.
    """
    while True:
        try:
            return await _init_producer_id(client, transactional_id)
        except KafkaError as error:
            if not (error.retriable or isinstance(error, ConcurrentTransactions)):
                raise
            logger.debug("no producer id for %s yet: %r", transactional_id, error)
        await asyncio.sleep(_RETRY_SECONDS)


async def _init_producer_id(client: AIOKafkaClient, transactional_id: str) -> Writer:
    node = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
    request = InitProducerIdRequest(transactional_id, _TRANSACTION_TIMEOUT_MS)
    response = await client.send(node, request, group=ConnectionGroup.COORDINATION)
    if response.error_code:
        error: type[KafkaError] = for_code(response.error_code)
        raise error
    return Writer(response.producer_id, response.producer_epoch)
