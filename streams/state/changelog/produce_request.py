"""
aiokafka's Produce request, encoded in one go: otherwise encoding some MB blocks the event loop.
"""

from typing import Any

from aiokafka.protocol import produce

from streams.program.produce import produce_parts


class _InOneGo(produce.ProduceRequest_v7):  # type: ignore[misc] # aiokafka has no types
    required_acks: int
    timeout: int
    topics: list[tuple[str, list[tuple[int, bytes]]]]

    def encode(self) -> bytes:
        return b"".join(produce_parts(self.required_acks, self.timeout, self.topics))


class ProduceRequest(produce.ProduceRequest):  # type: ignore[misc]
    """Replaces aiokafka's for producers without transactions; brokers older than Kafka 2.1 get aiokafka's own."""

    def build(self, request_struct_class: type[Any]) -> Any:  # noqa: ANN401 - as aiokafka has it
        """Return the request in the version negotiated with the broker."""
        newest = request_struct_class is produce.ProduceRequest_v7
        return super().build(_InOneGo if newest else request_struct_class)
