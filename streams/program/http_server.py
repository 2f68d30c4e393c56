"""
A small HTTP server on aiohttp, for pages and read-only answers. Strangers cannot keep it from answering.

Connections are few and short (`http_bounds`). It also answers when the process has no file descriptor left: it holds
some in reserve, and gives one of them up for a connection that could not be taken otherwise.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from streams.program.http_bounds import Bounds, Connection, Connections, bounded, without_versions
from streams.program.problems import told_as_problems

_NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SPARE_DESCRIPTORS: Final = 8
_BREATH_SECONDS: Final = 0.002
_PAUSE_SECONDS: Final = 0.05
_LAST_ANSWERS_SECONDS: Final = 1.0


class HttpServer:
    """
    Answers GET and HEAD of its routes on a listening socket, within bounds.

    Other methods are answered 405, other paths 404, as problems. When it is full, the connection that has been silent
    longest is closed for the next one. Several processes may serve one socket.
    """

    def __init__(
        self, routes: Iterable[web.AbstractRouteDef], bounds: Bounds | None = None, *middlewares: Middleware
    ) -> None:
        self._bounds = bounds or Bounds()
        self._spare = _Spare()
        # Its descriptor is free when the loop has closed it, which is after this.
        self._connections = Connections(
            self._bounds.connections, lambda: asyncio.get_running_loop().call_soon(self._spare.fill)
        )
        application = web.Application(middlewares=[bounded, told_as_problems, *middlewares])
        application.add_routes(routes)
        application.on_response_prepare.append(without_versions)
        self._runner = web.AppRunner(application, shutdown_timeout=_LAST_ANSWERS_SECONDS)
        self._taking: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to serve. The socket stays the caller's, who closes it after `close`."""
        await self._runner.setup()
        listener.setblocking(False)  # noqa: FBT003 - the standard library takes no keyword
        self._spare.reserve(_SPARE_DESCRIPTORS)
        self._taking = asyncio.create_task(self._take_connections(listener))

    async def close(self) -> None:
        """Take no more connections; end the others, each after the answer that is under way."""
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)
        await self._runner.cleanup()
        self._spare.give_up()

    async def _take_connections(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client = await self._next(listener)
            if client is None:
                continue
            self._connections.make_room()
            try:
                # Awaited one by one: between two of them the loop reads from the ones before.
                await loop.connect_accepted_socket(self._connect, client)
            except OSError:
                client.close()

    async def _next(self, listener: socket.socket) -> socket.socket | None:
        """Return the next connection, None when there is none after all."""
        try:
            client, _ = await asyncio.get_running_loop().sock_accept(listener)
        except OSError as error:
            if error.errno in _NO_DESCRIPTOR:
                return await self._next_without_descriptor(listener)
            await asyncio.sleep(_PAUSE_SECONDS)
            return None
        return client

    async def _next_without_descriptor(self, listener: socket.socket) -> socket.socket | None:
        if self._spare.give_one():
            # Nothing else runs between the two, so nothing else takes the descriptor.
            with contextlib.suppress(OSError):
                return listener.accept()[0]
        elif len(self._connections):
            await asyncio.sleep(_BREATH_SECONDS)  # the last one may have asked already: it is answered first
            self._connections.close_one()
            await asyncio.sleep(0)
            self._spare.fill()
        else:
            await asyncio.sleep(_PAUSE_SECONDS)
            self._spare.fill()
        return None

    def _connect(self) -> Connection:
        if self._runner.server is None:
            raise RuntimeError("start() comes first")
        return Connection(self._runner.server, self._bounds, self._connections)


class _Spare:
    """File descriptors in reserve, while they are wanted."""

    def __init__(self) -> None:
        self._held: list[int] = []
        self._wanted = 0

    def reserve(self, count: int) -> None:
        """Hold so many from now on."""
        self._wanted = count
        self.fill()

    def fill(self) -> None:
        """Hold as many as are wanted, or as there are to be had."""
        with contextlib.suppress(OSError):
            while len(self._held) < self._wanted:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def give_one(self) -> bool:
        """Make one free; returns whether there was one."""
        if not self._held:
            return False
        os.close(self._held.pop())
        return True

    def give_up(self) -> None:
        """Make all free, and hold none any more."""
        self._wanted = 0
        while self.give_one():
            pass
