"""
A server in this process over the log in memory, and a client that speaks in bytes.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson

from ingest.clock import Clock, SystemClock
from ingest.commit.log import MemoryCommitLog
from ingest.http.answer_line import AnswerLine
from ingest.http.connection import Connection
from ingest.http.door import Door
from ingest.http.limits import Limits
from ingest.http.service import Service
from ingest.listener import bind
from ingest.metrics import Metrics
from ingest.server import publisher_to
from ingest.settings import IngestSettings
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED
from tests.support.wait import eventually_async

SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of the tests
PATH = f"/callbacks/{SECRET}"
MAX_BODY = 65_536
NO_CALLBACK = f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
"""A request that is refused, and is no guess of a secret."""
DEADLINE_SECONDS = 30.0


def callback(size: int = 600, **fields: str) -> bytes:
    """Return a callback with a key that no other one has."""
    return json.dumps({"messageId": str(uuid4()), "message": "x" * size, **fields}).encode()


def post(body: bytes | None = None, fields: str = "", path: str = PATH, *, length: bool = True) -> bytes:
    """Return a request; `fields` are further header lines, each with its line end."""
    body = callback() if body is None else body
    framing = f"Content-Length: {len(body)}\r\n" if length else ""
    return f"POST {path} HTTP/1.1\r\nHost: a\r\n{framing}{fields}\r\n".encode() + body


def chunked(*chunks: bytes, fields: str = "", trailer: bytes = b"") -> bytes:
    """Return a request whose body comes in chunks."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return post(b"", "Transfer-Encoding: chunked\r\n" + fields, length=False) + body + b"0\r\n" + trailer + b"\r\n"


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    fields: dict[str, str]
    body: bytes


class Wire:
    """One connection of a client."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: "Server | None" = None
    ) -> None:
        self.reader, self.writer, self._server = reader, writer, server

    async def send(self, *parts: bytes) -> None:
        """Send the parts, each in a segment of its own as far as the kernel plays along."""
        for part in parts:
            self.writer.write(part)
            with contextlib.suppress(ConnectionError):
                await self.writer.drain()
            await asyncio.sleep(0)

    async def reply(self, *, head: bool = False) -> Reply:
        """Return the next answer; asyncio.IncompleteReadError when the server has closed."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            start, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines if line)
            length = 0 if head else int(fields.get("content-length", "0"))
            return Reply(int(start.split()[1]), fields, await self.reader.readexactly(length))

    async def statuses(self, count: int) -> list[int]:
        """Return the next answers' status codes."""
        return [(await self.reply()).status for _ in range(count)]

    async def is_closed(self) -> bool:
        """Return whether the server ends the connection, in an orderly way and without a further byte."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.read(1) == b""

    async def is_open(self) -> bool:
        """Return whether the server, which has read all that was sent, goes on with this connection."""
        assert self._server is not None
        await self._server.has_read()
        return self.writer.get_extra_info("sockname") in self._server.peers()

    def reset(self) -> None:
        """Go away without a goodbye: the server, which may owe answers, is told by a reset."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


class Server:
    """A served port, the records it has stored, and its clients."""

    def __init__(
        self, service: Service, log: MemoryCommitLog, listener: socket.socket, tls: ssl.SSLContext | None
    ) -> None:
        self.service, self.log, self.listener = service, log, listener
        self.port = listener.getsockname()[1]
        self._tls = tls
        self._wires: list[Wire] = []

    async def connect(self) -> Wire:
        """Return a connection of its own."""
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port, ssl=self._tls, server_hostname=None), self)
        self._wires.append(wire)
        return wire

    async def talk(self, *parts: bytes) -> Wire:
        """Connect, and send the parts."""
        wire = await self.connect()
        await wire.send(*parts)
        return wire

    @property
    def callbacks(self) -> list[dict[str, Any]]:
        """The callbacks in the raw topic."""
        return [callback for value in self._values(CALLBACKS_RAW.suffix) for callback in value["callbacks"]]

    @property
    def rejections(self) -> list[dict[str, Any]]:
        """The records in the rejected topic."""
        return self._values(CALLBACKS_REJECTED.suffix)

    @property
    def stored_bytes(self) -> bytes:
        """Every byte of both topics."""
        return b"".join(record.value for records in self.log.records.values() for record in records)

    async def has_read(self) -> None:
        """Return when the server has read every byte that was sent before: it has answered a later client."""
        wire = await self.talk(NO_CALLBACK)
        own = wire.writer.get_extra_info("sockname")
        assert (await wire.reply()).status == 405
        self._wires.remove(wire)
        await wire.close()
        if self._tls is None:  # over TLS, the refused connection lingers
            await eventually_async(lambda: own not in [_peer(line.transport) for line in self._lines()])

    @property
    def open_connections(self) -> int:
        """How many connections the server has."""
        return len(self.service.connections)

    def peers(self) -> list[Any]:
        """Return the addresses of the clients whose connections go on."""
        going_on = [line.transport for line in self._lines() if line.transport is not None and not line.ended]
        return [_peer(transport) for transport in going_on if not transport.is_closing()]

    def _lines(self) -> list[AnswerLine]:
        return [member._line for member in self.service.connections._all() if isinstance(member, Connection)]

    async def hang_up(self) -> None:
        """Close every connection."""
        for wire in self._wires:
            await wire.close()

    def _values(self, suffix: str) -> list[dict[str, Any]]:
        stored = (records for (topic, _), records in self.log.records.items() if topic == suffix)
        return [orjson.loads(record.value) for records in stored for record in records]


def _peer(transport: asyncio.Transport | None) -> object:
    return None if transport is None else transport.get_extra_info("peername")


@contextlib.asynccontextmanager
async def serving(
    limits: Limits | None = None,
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    clock: Clock | None = None,
    **settings: Any,  # noqa: ANN401 - as pydantic takes them
) -> AsyncIterator[Server]:
    """Serve on a free port; settings as keywords, TLS contexts for server and client."""
    given = {
        "ingest_host": "127.0.0.1",
        "ingest_port": 0,
        "ingest_secrets": f"{'f' * 32},{SECRET}",
        "ingest_max_body_bytes": MAX_BODY,
        **settings,
    }
    told = IngestSettings(**given)
    log, metrics = MemoryCommitLog(), Metrics()
    clock = clock or SystemClock()
    service = Service(told, publisher_to(log, told, metrics, clock), metrics, clock, limits)
    service.start()
    listener = bind(told)
    door = Door(service, listener, tls[0] if tls else None)
    door.open()
    server = Server(service, log, listener, tls[1] if tls else None)
    try:
        yield server
    finally:
        log.release()
        door.close()
        await server.hang_up()
        service.drain()
        await service.connections.wait_until_empty(3.0)
        await service.stop()
