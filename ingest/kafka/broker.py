"""
A connection to one broker, aiokafka's, which produces without copying what it sends.
"""

import asyncio
from struct import Struct
from typing import Final

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError

from ingest.kafka.produce_request import ProduceRequest, ProduceResponse

_SIZE: Final = Struct(">i")


class BrokerConnection(AIOKafkaConnection):  # type: ignore[misc] # aiokafka has no types
    """
    Connects, shakes hands, reads and notices its end as aiokafka does it; see there for the arguments.

    aiokafka's `send` joins a request three times, a quarter of a megabyte each when there is much to do: memory that
    the kernel has to find and to clear again for every request.
    """

    async def produce(self, request: ProduceRequest) -> ProduceResponse:
        """
        Send, and return the broker's answer.

        Raises KafkaConnectionError when the connection is closed, IncompatibleBrokerVersion when the broker does not
        know the request, TimeoutError when it does not answer in time.
        """
        if self._writer is None:
            raise KafkaConnectionError("the connection is closed")
        self._check_version()
        number = self._next_correlation_id()
        header = request.build_request_header(correlation_id=number, client_id=self._client_id).encode()
        parts = [header, *request.parts()]
        self._writer.writelines([_SIZE.pack(sum(map(len, parts))), *parts])
        answered: asyncio.Future[ProduceResponse] = asyncio.get_running_loop().create_future()
        self._requests.append((number, request, answered))
        async with asyncio.timeout(self._request_timeout):
            return await answered

    def _check_version(self) -> None:
        oldest, newest = self._versions.get(ProduceRequest.API_KEY, (0, 0))
        if not oldest <= ProduceRequest.API_VERSION <= newest:
            raise IncompatibleBrokerVersion(
                f"the broker takes Produce {oldest} to {newest}; Kafka 2.1 or newer is needed"
            )
