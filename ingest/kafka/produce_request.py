"""
Kafka's Produce request in its version 7 (brokers since 2.1) as bytes, and its answer. Pure.

aiokafka writes and reads it value by value, which takes longer than all other work on a request.
"""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from struct import Struct
from typing import Any, ClassVar, Final, Self

from aiokafka.protocol.api import RequestStruct, ResponseHeader_v0
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7

from streams.program.produce import ALL_IN_SYNC, produce_parts

_HEADER: Final = Struct(">hhih")  # kind and version of the request, its number, length of the client's name
_COUNT: Final = Struct(">i")
_LENGTH: Final = Struct(">h")
_OUTCOME: Final = Struct(">ihqqq")  # partition, error code, offset, time, first offset of the partition


class ProduceResponse(ProduceResponse_v7):  # type: ignore[misc] # aiokafka has no types
    """The outcome of each batch: topic, partition, and Kafka's error code (0: all in-sync replicas have it)."""

    def __init__(self, outcomes: Sequence[tuple[str, int, int]]) -> None:
        self.outcomes = outcomes

    @classmethod
    def decode(cls, data: BytesIO | bytes) -> Self:
        """Read the part behind the response's header; struct.error when it ends too early."""
        view = memoryview(data if isinstance(data, bytes) else data.read())
        (topics,), at = _COUNT.unpack_from(view), _COUNT.size
        outcomes = []
        for _ in range(topics):
            (length,) = _LENGTH.unpack_from(view, at)
            at += _LENGTH.size + length
            topic = str(view[at - length : at], "utf-8")
            (partitions,) = _COUNT.unpack_from(view, at)
            at += _COUNT.size
            end = at + partitions * _OUTCOME.size
            outcomes += [(topic, partition, code) for partition, code, *_ in _OUTCOME.iter_unpack(view[at:end])]
            at = end
        return cls(outcomes)

    def __repr__(self) -> str:
        """Return the outcomes, for aiokafka's log."""
        return f"{type(self).__name__}({self.outcomes})"


class ProduceRequest(RequestStruct):  # type: ignore[misc] # aiokafka has no types
    """
    Batches of records per topic and partition, to be acknowledged by all in-sync replicas.

    `timeout_ms` is how long the broker waits for them.
    """

    API_KEY: ClassVar[int] = ProduceRequest_v7.API_KEY
    API_VERSION: ClassVar[int] = ProduceRequest_v7.API_VERSION
    RESPONSE_TYPE: ClassVar[Any] = ProduceResponse
    SCHEMA: ClassVar[Any] = ProduceRequest_v7.SCHEMA

    def __init__(self, timeout_ms: int, batches_of: Mapping[str, Sequence[tuple[int, bytes | bytearray]]]) -> None:
        self._timeout_ms = timeout_ms
        self._batches_of = batches_of

    def header(self, number: int, client: str) -> bytes:
        """Return the header of the request, the name of the client being its last field."""
        name = client.encode()
        return _HEADER.pack(self.API_KEY, self.API_VERSION, number, len(name)) + name

    def parse_response_header(self, read_buffer: BytesIO) -> ResponseHeader_v0:
        """Read the header of the answer, for aiokafka: the number of the request."""
        return ResponseHeader_v0(*_COUNT.unpack(read_buffer.read(_COUNT.size)))

    def parts(self) -> Iterator[bytes | bytearray]:
        """Yield the part behind the request's header: the batches themselves, not copies of them."""
        return produce_parts(ALL_IN_SYNC, self._timeout_ms, self._batches_of.items())

    def encode(self) -> bytes:
        """Return the parts as one, a copy."""
        return b"".join(self.parts())

    def __repr__(self) -> str:
        """Return where the batches go, not what they hold: callbacks have no place in a log."""
        places = {topic: [partition for partition, _ in batches] for topic, batches in self._batches_of.items()}
        return f"{type(self).__name__}({places})"
