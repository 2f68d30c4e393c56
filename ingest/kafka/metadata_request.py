"""
Kafka's Metadata request in its version 8 (brokers since 2.3), which tells the operations that a user may do.

aiokafka has it up to version 5.
"""

from collections.abc import Set as AbstractSet
from typing import Any, ClassVar, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from streams.contract.permissions import Operation

_TOLD_NOTHING: Final = -(1 << 31)
_TEXT: Final = String("utf-8")


class OperationsResponse(Response):  # type: ignore[misc] # aiokafka has no types
    """The topics, each with the field of its authorized operations."""

    API_KEY: ClassVar[int] = MetadataRequest_v5.API_KEY
    API_VERSION: ClassVar[int] = 8
    SCHEMA: ClassVar[Any] = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT))),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", _TEXT),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _Struct(RequestStruct):  # type: ignore[misc] # as above
    API_KEY: ClassVar[int] = MetadataRequest_v5.API_KEY
    API_VERSION: ClassVar[int] = 8
    RESPONSE_TYPE: ClassVar[Any] = OperationsResponse
    SCHEMA: ClassVar[Any] = Schema(
        ("topics", Array(_TEXT)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class OperationsRequest(Request[_Struct]):  # type: ignore[misc] # as above
    """Asks for topics and the operations on them; brokers older than Kafka 2.3 do not know it."""

    API_KEY: ClassVar[int] = MetadataRequest_v5.API_KEY
    VERSION: ClassVar[int] = _Struct.API_VERSION

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        """Return the request as aiokafka sends it."""
        return request_struct_class(self._topics, False, False, True)  # noqa: FBT003 - the fields of the schema


def operations_in(bits: int) -> AbstractSet[Operation] | None:
    """Return the operations of a field of authorized operations, None when the broker told none."""
    return None if bits == _TOLD_NOTHING else {operation for operation in Operation if bits >> operation & 1}
