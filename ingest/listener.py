"""
The listening socket: bound once, and closed without resetting a connection that the kernel has already taken.
"""

import asyncio
import contextlib
import ctypes
import select
import socket
import struct
import sys
from typing import Final

from ingest.errors import CannotListenError
from ingest.settings import IngestSettings
from streams.program import listening
from streams.program.listening import Endpoint

_BACKLOG: Final = 2048

# Linux: <asm-generic/socket.h>, and a `struct sock_fprog` of one `struct sock_filter` that returns 0 bytes of a packet.
_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
_RETURN_NOTHING: Final = struct.pack("=HBBI", 0x06, 0, 0, 0)

_WAITING_SECONDS: Final = 1.0


def bind(settings: IngestSettings, *, shared: bool = False) -> socket.socket:
    """
    Return a socket that listens for callbacks; `shared` lets more of our sockets be bound to its address.

    Raises CannotListenError, in one line for people.
    """
    try:
        return Endpoint("INGEST", settings.ingest_host, settings.ingest_port).bind(backlog=_BACKLOG, shared=shared)
    except listening.CannotListenError as error:
        raise CannotListenError(f"cannot listen on {error}") from error


def open_to_connections(listener: socket.socket) -> None:
    """Let connections come, also to a socket that a worker before left by `take_last_connections`."""
    with contextlib.suppress(FileNotFoundError):
        if sys.platform == "linux":
            listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


async def take_last_connections(listener: socket.socket) -> None:
    """
    Return when the door has taken every connection that waits, and no more of them come; then it may be closed.

    To close a listening socket resets the connections that wait in it, and their requests with them. So Linux is told
    first to drop what arrives: a client that begins now tries again after a second, and finds another worker or none.
    Elsewhere, and where the kernel takes such a filter from root only, a connection that comes in the last moment is
    reset; its client got no answer, and Routee posts again.
    """
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):
            _drop_packets(listener)
    waiting = select.poll()
    waiting.register(listener.fileno(), select.POLLIN)
    # Without a descriptor left, nothing more can be taken.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_WAITING_SECONDS):
            while waiting.poll(0):  # noqa: ASYNC110 - that the door has taken the last one has no event
                await asyncio.sleep(0)


def _drop_packets(listener: socket.socket) -> None:
    program = ctypes.create_string_buffer(_RETURN_NOTHING)
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))
