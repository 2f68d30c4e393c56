"""
One keep-alive HTTP/1.1 connection to the callback URL, as thin as a load generator needs it.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """A callback URL, taken apart."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the target of an http or https URL; ValueError names the fault of the URL."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("a callback URL looks like http://127.0.0.1:8080/callbacks/SECRET")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        return cls(parts.hostname, parts.port or _PORTS[parts.scheme], path, tls)

    @property
    def address(self) -> str:
        """Return `host:port`."""
        return f"{self.host}:{self.port}"

    def head(self) -> bytes:
        """Return the head of every request up to the value of Content-Length."""
        lines = (
            f"POST {self.path} HTTP/1.1",
            f"Host: {self.address}",
            "User-Agent: Routee (emulated)",
            "Content-Type: application/json;charset=UTF-8",
            "Content-Length: ",
        )
        return "\r\n".join(lines).encode("ascii")


class Connection(asyncio.Protocol):
    """Posts one body at a time; connects when it has to. Any OSError means: no answer, connection gone."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._head = target.head()
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None

    async def post(self, body: bytes) -> int:
        """Return the status of the answer; raises OSError. A caller that limits the time must `drop` when it is up."""
        transport = self._transport or await self._connect()
        self._answer = asyncio.get_running_loop().create_future()
        transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        return await self._answer

    def drop(self) -> None:
        """Close at once; a request in flight fails."""
        if self._transport:
            self._transport.abort()
        self._transport = None
        self._answer = None

    async def _connect(self) -> asyncio.Transport:
        target = self._target
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: self, target.host, target.port, ssl=target.tls
        )
        self._transport = transport
        self._parser = HttpResponseParser(self)
        return transport

    def data_received(self, data: bytes) -> None:
        """Read (a piece of) the answer."""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(ConnectionError(f"no HTTP answer: {error}"))

    def on_message_complete(self) -> None:
        """Hand over the status of an answer that came whole."""
        answer, self._answer = self._answer, None
        keep = self._parser.should_keep_alive()
        if not keep:
            self.drop()
        if answer and not answer.done():
            answer.set_result(self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request in flight: the server has closed the connection."""
        self._fail(exc or ConnectionResetError("closed without an answer"))

    def _fail(self, error: Exception) -> None:
        answer = self._answer
        self.drop()
        if answer and not answer.done():
            answer.set_exception(error)
