"""
The private names of aiokafka's connection that producing without a copy rests on.

aiokafka offers no handle for them. A test compares `PRIVATE_NAMES` with the installed version, so an upgrade that
moves one of them fails there and not in production.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection

PRIVATE_NAMES: Final = (
    ("aiokafka.conn", "AIOKafkaConnection", ("_writer", "_requests", "_versions")),
    ("aiokafka.conn", "AIOKafkaConnection", ("_next_correlation_id", "_client_id", "_request_timeout")),
)
"""(module, class, attributes that its source must mention)."""


def is_open(connection: AIOKafkaConnection) -> bool:
    """Return whether requests can be written."""
    return connection._writer is not None  # noqa: SLF001


def versions_of(connection: AIOKafkaConnection, api_key: int) -> tuple[int, int]:
    """Return the oldest and the newest version of a request that the broker takes; (0, 0) when it knows none."""
    oldest, newest = connection._versions.get(api_key, (0, 0))  # noqa: SLF001
    return oldest, newest


def next_header(connection: AIOKafkaConnection, request: Any) -> tuple[int, bytes]:  # noqa: ANN401 - aiokafka has no types
    """Return the number of the next request on this connection, and its header."""
    number = int(connection._next_correlation_id())  # noqa: SLF001
    return number, request.header(number, connection._client_id)  # noqa: SLF001


def send(
    connection: AIOKafkaConnection,
    number: int,
    request: Any,  # noqa: ANN401 - as above
    parts: Iterable[bytes | bytearray],
) -> asyncio.Future[Any]:
    """
    Write a request, its length first, and return the future of its response.

    aiokafka's reader takes the oldest entry of `_requests` for each response, compares the number, decodes by the
    request and settles the future.
    """
    connection._writer.writelines(parts)  # noqa: SLF001
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    connection._requests.append((number, request, answered))  # noqa: SLF001
    return answered


def timeout_seconds(connection: AIOKafkaConnection) -> float:
    """Return how long a response may take."""
    return float(connection._request_timeout)  # noqa: SLF001
