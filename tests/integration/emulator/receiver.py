"""
A callback URL of the tests' own: keeps what comes, answers as it is told.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[[bytes], int | None]
"""Body → status, None to stay silent."""


@dataclass
class Receiver:
    """The bodies that came, in order; `connections` were opened, `most_at_once` of them at a time."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_at_once: int = 0


@asynccontextmanager
async def receiver(
    answer: Answer = lambda _: 200, tail: bytes = b"Content-Length: 0\r\n\r\n"
) -> AsyncIterator[Receiver]:
    """Give a server on a free port; `tail` is what follows the status line of its answers."""
    received = Receiver()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.connections += 1
        received.open += 1
        received.most_at_once = max(received.most_at_once, received.open)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                received.heads.append(head)
                received.bodies.append(body)
                if status := answer(body):
                    writer.write(b"HTTP/1.1 %d Whatever\r\n%b" % (status, tail))
                if b"close" in tail:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            received.open -= 1
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    received.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callbacks/s3cret"
    async with server:
        yield received
