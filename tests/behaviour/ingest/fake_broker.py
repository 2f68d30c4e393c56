"""
A broker with faults that a real one shows only by chance: it resets connections, is slow, or falls silent.

Like a real one, it handles the requests of one connection one after the other. It stores nothing.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any, Final

from aiokafka.protocol.admin import ApiVersionResponse_v0, DescribeConfigsRequest_v1, DescribeConfigsResponse_v1
from aiokafka.protocol.metadata import MetadataResponse_v5
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7

from ingest.kafka.metadata_request import OperationsResponse
from streams.contract.permissions import Operation

TOPIC: Final = "callbacks"
_NODE: Final = 1
_TIMED_OUT: Final = 7
_PRODUCE, _METADATA, _API_VERSIONS, _DESCRIBE_CONFIGS = 0, 3, 18, 32
_NO_RIGHT: Final = 29
_TOO_LARGE: Final = 10
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class FakeBroker:
    """
    The leader of all partitions of its topics; it acknowledges after `ack_seconds` seconds.

    A partition in `stuck` has a replica that does not follow: as with a real broker, the whole answer waits for it, no
    longer than the request says, and reports a timeout of that partition; `held_up` counts the other partitions whose
    answer waited for it. Connections of a number in `silent` stay and are never answered again; the first one has
    number 1. `topic_error` is the error code of its topics, 0 for none; `advertised` the port that clients are sent to;
    `knows_brokers` whether it names any broker; `produces` the version of the produce request that it takes.
    `allowed` are the operations on each topic; None when it is too old to tell them.
    `settings` has those of each topic; without an entry a client may not see them. A batch of more than `most_bytes` is
    too large; `refuses` is the error code that all others get, 0 for none. `batches` are all that came.
    """

    def __init__(
        self, partitions: int, ack_seconds: float, resets: Callable[[], bool], topics: tuple[str, ...] = (TOPIC,)
    ) -> None:
        self.port = 0
        self.ack_seconds = ack_seconds
        self.connections = self.most_connections = self.made = self.waiting = self.held_up = 0
        self.silent: set[int] = set()
        self.stuck: set[int] = set()
        self.topic_error = 0
        self.advertised: int | None = None
        self.knows_brokers = True
        self.produces = 7
        self.asked = 0
        self.partitions = partitions
        self.allowed: Collection[Operation] | None = [*Operation]
        self.settings: dict[str, Mapping[str, str | None]] = {}
        self.most_bytes: float = float("inf")
        self.refuses = 0
        self.batches: list[bytes] = []
        self._topics = topics
        self._resets = resets

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests, one after the other, until it is closed or reset."""
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.connections += 1
        self.made = number = self.made + 1
        self.most_connections = max(self.most_connections, self.connections)
        try:
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                answer = await self._answer(await reader.readexactly(size))
                if self._resets():
                    break
                if number in self.silent:
                    continue
                writer.write(struct.pack(">i", len(answer)) + answer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections -= 1
            writer.transport.abort()

    async def _answer(self, request: bytes) -> bytes:
        key, version, correlation, client = struct.unpack(">hhih", request[:10])
        response = await self._handle(key, version, request[10 + client :])
        return struct.pack(">i", correlation) + bytes(response.encode())

    async def _handle(self, key: int, version: int, body: bytes) -> Any:  # noqa: ANN401 - aiokafka has no types
        if key == _API_VERSIONS:
            produce = (_PRODUCE, self.produces, self.produces)
            newest = OperationsResponse.API_VERSION if self.allowed is not None else MetadataResponse_v5.API_VERSION
            others = [(_METADATA, 1, newest), (_API_VERSIONS, 0, 0), (_DESCRIBE_CONFIGS, 1, 1)]
            return ApiVersionResponse_v0(0, [produce, *others])
        if key == _DESCRIBE_CONFIGS:
            return self._described(DescribeConfigsRequest_v1.decode(BytesIO(body)))
        if key == _METADATA:
            return self._metadata() if version < OperationsResponse.API_VERSION else self._operations()
        return await self._produce(ProduceRequest_v7.decode(BytesIO(body)))

    def _operations(self) -> Any:  # noqa: ANN401 - as above
        bits = sum(1 << operation for operation in self.allowed or ())
        topics: list[Any] = [(self.topic_error, topic, False, [], bits) for topic in self._topics]
        return OperationsResponse(0, [], None, _NODE, topics, 0)

    def _metadata(self) -> Any:  # noqa: ANN401 - as above
        self.asked += 1
        brokers = [(_NODE, "127.0.0.1", self.advertised or self.port, None)] if self.knows_brokers else []
        count = 0 if self.topic_error else self.partitions
        partitions: list[Any] = [(0, partition, _NODE, [_NODE], [_NODE], []) for partition in range(count)]
        topics = [(self.topic_error, topic, False, partitions) for topic in self._topics]
        return MetadataResponse_v5(0, brokers, None, _NODE, topics)

    def _described(self, request: Any) -> Any:  # noqa: ANN401 - as above
        resources = []
        for kind, name, _ in request.resources:
            known = self.settings.get(name)
            entries: list[Any] = [(key, value, False, 1, False, []) for key, value in (known or {}).items()]
            resources.append((_NO_RIGHT if known is None else 0, None, kind, name, entries))
        return DescribeConfigsResponse_v1(0, resources)

    async def _produce(self, request: Any) -> Any:  # noqa: ANN401 - as above
        self.waiting += 1
        numbers = {partition for _, partitions in request.topics for partition, _ in partitions}
        if numbers & self.stuck:
            self.held_up += len(numbers - self.stuck)
        await asyncio.sleep(request.timeout / 1000 if numbers & self.stuck else self.ack_seconds)
        self.waiting -= 1
        self.batches += [bytes(batch) for _, partitions in request.topics for _, batch in partitions]
        answers = [
            (name, [(partition, self._code(partition, batch), 1, -1, 0) for partition, batch in partitions])
            for name, partitions in request.topics
        ]
        return ProduceResponse_v7(answers, 0)

    def _code(self, partition: int, batch: bytes) -> int:
        if partition in self.stuck:
            return _TIMED_OUT
        return _TOO_LARGE if len(batch) > self.most_bytes else self.refuses


@asynccontextmanager
async def fake_broker(
    partitions: int,
    ack_seconds: float = 0.0,
    resets: Callable[[], bool] = lambda: False,
    topics: tuple[str, ...] = (TOPIC,),
) -> AsyncIterator[FakeBroker]:
    """Run one within the block; `resets` is asked before every answer whether the connection is reset instead."""
    broker = FakeBroker(partitions, ack_seconds, resets, topics)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    async with server:
        yield broker
