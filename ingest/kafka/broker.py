"""
aiokafka's connection to one broker, made to produce without copying the batches.
"""

import asyncio
from struct import Struct
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError

from ingest.kafka import private_names
from ingest.kafka.produce_request import ProduceRequest, ProduceResponse

_SIZE: Final = Struct(">i")


class BrokerConnection(AIOKafkaConnection):  # type: ignore[misc] # aiokafka has no types
    """
    Connects, shakes hands, reads and notices its end as aiokafka does; see there for the arguments.

    aiokafka's own `send` joins a request three times. A busy request has a quarter of a megabyte: memory that the
    kernel has to find and to clear again for every request.
    """

    async def produce(self, request: ProduceRequest) -> ProduceResponse:
        """
        Send, and return the broker's answer.

        Raises KafkaConnectionError when the connection is closed, IncompatibleBrokerVersion when the broker does not
        know the request, TimeoutError when it does not answer in time.
        """
        if not private_names.is_open(self):
            raise KafkaConnectionError("the connection is closed")
        _check_version(private_names.versions_of(self, ProduceRequest.API_KEY))
        number, header = private_names.next_header(self, request)
        parts = [header, *request.parts()]
        size = _SIZE.pack(sum(map(len, parts)))
        answered: asyncio.Future[ProduceResponse] = private_names.send(self, number, request, [size, *parts])
        too_late = answered.get_loop().call_later(private_names.timeout_seconds(self), give_up, answered)
        try:
            return await answered
        finally:
            too_late.cancel()


def give_up(answered: asyncio.Future[Any]) -> None:
    """Fail an answer that did not come in time; asyncio.timeout costs three times as much as a timer that does."""
    if not answered.done():
        answered.set_exception(TimeoutError())


def _check_version(versions: tuple[int, int]) -> None:
    oldest, newest = versions
    if not oldest <= ProduceRequest.API_VERSION <= newest:
        raise IncompatibleBrokerVersion(f"the broker takes Produce {oldest} to {newest}; Kafka 2.1 or newer is needed")
