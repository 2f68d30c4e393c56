"""
A TCP proxy that can be told to fail, for tests of what a program does when the wire to its server does.

It rewrites nothing: a Kafka broker behind it has to advertise the proxy's address as its own.
"""

import asyncio
from typing import Self

from sandbox.ports import LOOPBACK

_CHUNK = 65_536


class FaultProxy:
    """
    Passes bytes between clients of one port and the server at another, both on this machine, within the block.

    One fault at a time, until `restore`: after `cut` connections are reset and new ones too; after `delay` bytes to the
    server arrive later by so many seconds; after `swallow` every connection is half-open: it stays, takes bytes and
    delivers none. Such a connection never delivers again, as one that a router on the way has forgotten; connections
    made after `restore` work.
    """

    def __init__(self, port: int, target: int) -> None:
        self._port, self._target = port, target
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._cut = self._swallowing = False
        self.delay_seconds = 0.0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for link in self._links:
            link.reset()
        await asyncio.gather(*(link.ended for link in self._links), return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection, and every new one."""
        self._cut = True
        for link in self._links:
            link.reset()

    def delay(self, seconds: float) -> None:
        """Deliver to the server later."""
        self.delay_seconds = seconds

    def swallow(self) -> None:
        """Deliver nothing in either direction, and leave the connections open."""
        self._swallowing = True
        for link in self._links:
            link.deaf = True

    def restore(self) -> None:
        """End the fault."""
        self._cut = self._swallowing = False
        self.delay_seconds = 0.0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        link = _Link(self, deaf=self._swallowing)
        self._links.add(link)
        try:
            await link.run(reader, writer, self._target)
        finally:
            self._links.discard(link)


class _Link:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, proxy: FaultProxy, *, deaf: bool) -> None:
        self.deaf = deaf
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._proxy = proxy
        self._writers: list[asyncio.StreamWriter] = []

    def reset(self) -> None:
        """End both connections at once."""
        for writer in self._writers:
            writer.transport.abort()

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int) -> None:
        """Pass bytes on until one side ends, which ends the other."""
        self._writers.append(writer)
        try:
            server_reader, server_writer = await asyncio.open_connection(LOOPBACK, target)
            self._writers.append(server_writer)
            pumps = [self._pump(reader, server_writer, delayed=True), self._pump(server_reader, writer, delayed=False)]
            running = [asyncio.ensure_future(pump) for pump in pumps]
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            self.reset()
            await asyncio.gather(*running, return_exceptions=True)
        except ConnectionError:
            pass  # the server is not there: its clients are reset
        finally:
            self.reset()
            self.ended.set_result(None)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, delayed: bool) -> None:
        loop = asyncio.get_running_loop()
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.ensure_future(self._deliver(due, writer))
        try:
            while data := await reader.read(_CHUNK):
                if not self.deaf:
                    due.put_nowait((loop.time() + (self._proxy.delay_seconds if delayed else 0.0), data))
        except ConnectionError:
            pass  # that is an end like any other
        finally:
            delivering.cancel()

    async def _deliver(self, due: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            when, data = await due.get()
            await asyncio.sleep(when - loop.time())
            if not self.deaf:
                writer.write(data)
