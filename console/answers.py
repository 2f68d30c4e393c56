"""
Answers of servers: their bodies over HTTP, and why none came.
"""

import asyncio
import os
import socket
import ssl
from typing import Final

import aiohttp
from aiokafka.errors import BrokerResponseError

from streams.program.brokers import UnusableFilesError

_WORDS: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError), "its certificate is not trusted"),
    ((aiohttp.ClientSSLError, ssl.SSLError), "no connection by TLS"),
    ((aiohttp.ClientConnectorDNSError, socket.gaierror, UnicodeError), "its name is not known"),
    ((TimeoutError,), "not in time"),
    ((aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError), "it ended the connection"),
    ((aiohttp.InvalidURL,), "its address is none"),
    ((aiohttp.ClientPayloadError, aiohttp.ClientResponseError), "its answer is no whole one of HTTP"),
    ((UnusableFilesError,), "a file that its settings name cannot be used"),
)
"""The first that an error is of."""


async def read_up_to(content: aiohttp.StreamReader, most: int) -> bytes:
    """
    Return a body, or its first `most` bytes when it is longer.

    `content.read(most)` would give the part that has come so far.
    """
    try:
        return await content.readexactly(most)
    except asyncio.IncompleteReadError as end:
        return end.partial


def why_silent(error: BaseException) -> str:
    """
    Return in a few words why a server did not answer. People read them: the name of a class would tell them nothing.

    No address is in them, and nothing that the server sent.
    """
    words = next((words for kinds, words in _WORDS if isinstance(error, kinds)), None)
    if words is not None:
        return words
    if isinstance(error, aiohttp.ClientConnectorError):
        return why_silent(error.os_error)
    if isinstance(error, BrokerResponseError):
        return str(error.message).replace("_", " ").lower()
    number = error.errno if isinstance(error, OSError) else None
    # The words of asyncio have the address in them.
    return os.strerror(number).lower() if number else "no connection"
