"""
Probes of whether a program is ready.
"""

import socket
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Final

from sandbox.ports import LOOPBACK

_PROBE_SECONDS: Final = 2.0
# Proxies of the environment have no say about this machine.
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# Kafka's Metadata request, version 1, for no topic: key, version, correlation id, client id (none), topics (none).
_METADATA: Final = struct.pack(">hhihi", 3, 1, 1, -1, 0)
_INT16: Final = struct.Struct(">h")
_INT32: Final = struct.Struct(">i")


def answers_ok(url: str) -> bool:
    """Return whether a GET of an address on this machine is answered with 200."""
    try:
        with _DIRECT.open(url, timeout=_PROBE_SECONDS) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's own number
    except (OSError, urllib.error.HTTPError):
        return False


def known_brokers(port: int) -> set[int]:
    """
    Return the numbers of the brokers that the broker at this port tells its clients of; none while it is silent.

    Spoken by hand: a client library would take longer to import than to ask, and would ask the dead ones too.
    """
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_PROBE_SECONDS) as connection:
            connection.sendall(_INT32.pack(len(_METADATA)) + _METADATA)
            with connection.makefile("rb") as answer:
                (size,) = _INT32.unpack(answer.read(_INT32.size))
                return set(_brokers(answer.read(size)))
    except (OSError, struct.error):  # not there yet, or gone in the middle of it
        return set()


def _brokers(metadata: bytes) -> Iterator[int]:
    _, count = struct.unpack_from(">ii", metadata)
    position = 2 * _INT32.size
    for _ in range(count):
        (number,) = _INT32.unpack_from(metadata, position)
        yield number
        position = _after_string(metadata, position + _INT32.size) + _INT32.size  # host, port
        position = _after_string(metadata, position)  # rack


def _after_string(metadata: bytes, position: int) -> int:
    length: int = _INT16.unpack_from(metadata, position)[0]
    return position + _INT16.size + max(0, length)  # -1 stands for none
