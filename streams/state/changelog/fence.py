"""
The fence: only the newest owner of a partition can write it.

Every batch of a changelog, and of the public topics that only one worker may write, carries a producer id and an
epoch, as the batches of idempotent producers do. The leader of a partition refuses a batch whose epoch is older than
the newest it has seen of that id. So a new owner takes the next epoch and appends one record with it, *before* it
reads the changelog: from that acknowledgement on, no batch that an older owner has in flight can be appended, however
late it arrives. No transaction is opened, and a flush costs nothing more.

The coordinator forgets an id that no owner asked for during `transactional.id.expiration.ms` (7 days by default), and
gives the next owner another id, which fences nothing. So an owner asks for its next epoch every day and names its
current epoch: the coordinator refuses an older one, so a replaced owner cannot fence its successor.
"""

import asyncio
import logging
from time import monotonic
from typing import Any, Final

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    InvalidProducerEpoch,
    KafkaError,
    KafkaTimeoutError,
    ProducerFenced,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.protocol.types import CompactString, Int16, Int32, Int64, Schema, TaggedFields

from streams.program.record_batch import RecordBatch

logger = logging.getLogger(__name__)

LAST_EPOCH: Final = 32767
"""The coordinator never hands this epoch out: a record written with it fences every epoch of an id."""

_TRANSACTION_TIMEOUT_MS: Final = 60_000  # no transaction is ever opened, but the request wants one
_RETRY_SECONDS: Final = 0.1
_RENEW_TIMEOUT_SECONDS: Final = 60.0
_MAX_SEQUENCE: Final = 0x7FFFFFFF


class RepeatedBatchError(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """A batch was acknowledged and not appended."""


class ProducerEpoch:
    """A producer id, its epoch, and the next sequence number in each partition written with them."""

    def __init__(self, producer_id: int, epoch: int, name: str = "") -> None:
        self.producer_id = producer_id
        self.epoch = epoch
        self.name = name
        """The transactional id under which the coordinator has it."""
        self.since = monotonic()
        self._next: dict[tuple[str, int], int] = {}
        self._last: dict[tuple[str, int], int] = {}

    def stamp(self, batch: RecordBatch, topic: str, partition: int) -> None:
        """Write id, epoch and sequence number into a batch. Batches must be sent in the order of their stamps."""
        sequence = self._next.get((topic, partition), 0)
        batch.stamp(self.producer_id, self.epoch, sequence)
        self._next[topic, partition] = (sequence + batch.count) & _MAX_SEQUENCE

    def confirm(self, topic: str, partition: int, offset: int) -> None:
        """
        Note the offset at which a batch was appended. Raises RepeatedBatchError when it was not appended.

        A broker that mistakes a batch for a repetition of an earlier one acknowledges it without appending it. The
        acknowledged offset is then the earlier batch's or, through aiokafka, -1.
        """
        if offset <= self._last.get((topic, partition), -1):
            raise RepeatedBatchError(f"{topic}[{partition}]: a batch was taken for the one at offset {offset}")
        self._last[topic, partition] = offset


async def next_epoch(client: AIOKafkaClient, name: str) -> ProducerEpoch:
    """
    Return a ProducerEpoch with an epoch above all that were given out for this transactional id.

    Waits without limit for a coordinator that is away or busy. Raises KafkaError when a retry cannot help.
    """
    return await _ask_patiently(client, name, InitProducerIdRequest(name, _TRANSACTION_TIMEOUT_MS))


async def renewed(client: AIOKafkaClient, writer: ProducerEpoch) -> ProducerEpoch:
    """
    Return the successor of `writer` with the next epoch. All batches of `writer` must be acknowledged.

    Raises ProducerFenced when there is a newer epoch, KafkaTimeoutError when the coordinator is away for a minute. The
    producer id changes when the coordinator has forgotten it or has no more epochs for it.
    """
    try:
        request = _ask_patiently(client, writer.name, _NextEpochRequest(writer))
        return await asyncio.wait_for(request, _RENEW_TIMEOUT_SECONDS)
    except InvalidProducerEpoch as error:
        raise ProducerFenced from error
    except TimeoutError as error:
        raise KafkaTimeoutError from error


async def _ask_patiently(client: AIOKafkaClient, name: str, request: Request[Any]) -> ProducerEpoch:
    while True:
        try:
            return await _ask(client, name, request)
        except KafkaError as error:
            if not (error.retriable or isinstance(error, ConcurrentTransactions)):
                raise
            logger.debug("no producer id for %s yet: %r", name, error)
        await asyncio.sleep(_RETRY_SECONDS)


async def _ask(client: AIOKafkaClient, name: str, request: Request[Any]) -> ProducerEpoch:
    node = await client.coordinator_lookup(CoordinationType.TRANSACTION, name)
    response = await client.send(node, request, group=ConnectionGroup.COORDINATION)
    if response.error_code:
        error: type[KafkaError] = for_code(response.error_code)
        raise error
    return ProducerEpoch(response.producer_id, response.producer_epoch, name)


class _NextEpochResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = InitProducerIdRequest.API_KEY
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("tags", TaggedFields),
    )


class _NextEpochStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = InitProducerIdRequest.API_KEY
    API_VERSION = 3
    RESPONSE_TYPE = _NextEpochResponse
    SCHEMA = Schema(
        ("transactional_id", CompactString("utf-8")),
        ("transaction_timeout_ms", Int32),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("tags", TaggedFields),
    )


class _NextEpochRequest(Request[_NextEpochStruct]):  # type: ignore[misc]
    """Version 3 of the request, which names the current epoch; aiokafka does not have it."""

    API_KEY = InitProducerIdRequest.API_KEY

    def __init__(self, writer: ProducerEpoch) -> None:
        self._writer = writer

    def build(self, request_struct_class: type[_NextEpochStruct]) -> _NextEpochStruct:
        writer = self._writer
        return request_struct_class(writer.name, _TRANSACTION_TIMEOUT_MS, writer.producer_id, writer.epoch, {})
