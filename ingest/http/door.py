"""
Takes connections from the listening socket: each is judged by its address and counted before anything is done for it.
"""

import asyncio
import logging
import socket
import ssl
from typing import Any, Final

from ingest.causes import Cause
from ingest.http.connection import Connection
from ingest.http.networks import Address, parse_address
from ingest.http.seldom import Seldom
from ingest.http.service import Service

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 64
"""So many connections are taken before callbacks get their turn again."""

_PAUSE_SECONDS: Final = 0.1


class Door:
    """
    The way in from one listening socket, with TLS if there is a context.

    A connection counts from the moment in which the kernel gives it: its handshake is a part of it, and takes no longer
    than a request may. A stranger, one that there is no place for, and one whose handshake fails get no answer.
    """

    def __init__(self, service: Service, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        self._service = service
        self._listener = listener
        self._context = context
        self._strangers = Seldom(service.clock)
        self._shortages = Seldom(service.clock)
        self._closed = False

    def open(self) -> None:
        """Begin to take connections."""
        if not self._closed:
            self._listener.settimeout(0)
            asyncio.get_running_loop().add_reader(self._listener, self._take_some)

    def close(self) -> None:
        """Take no more connections, and close the socket."""
        self._closed = True
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()

    def _take_some(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, place = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:  # it has hung up meanwhile
                continue
            except OSError as error:
                self._pause(error)
                return
            self._take(client, parse_address(place[0]))

    def _take(self, client: socket.socket, peer: Address | None) -> None:
        service = self._service
        if service.allowlist is not None and not service.allowlist.admits(peer):
            client.close()
            self._tell_stranger(peer)
            return
        connection = Connection(service, peer)
        if not service.connections.add(connection):
            service.metrics.refused(Cause.CONNECTIONS)
            client.close()
            return
        connection.arriving = asyncio.create_task(self._welcome(client, connection))
        connection.arriving.add_done_callback(lambda task: self._settle(task, client, connection))

    async def _welcome(self, client: socket.socket, connection: Connection) -> None:
        client.settimeout(0)
        limits: dict[str, Any] = {}
        if self._context is not None:
            limits["ssl_handshake_timeout"] = self._service.limits.request_seconds
            limits["ssl_shutdown_timeout"] = self._service.limits.linger_seconds
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: connection, client, ssl=self._context, **limits
        )

    def _settle(self, task: asyncio.Task[Any], client: socket.socket, connection: Connection) -> None:
        connection.arriving = None
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            return
        client.close()
        self._service.connections.remove(connection)
        if error is not None:
            self._service.metrics.refused(Cause.HANDSHAKE)
        if error is not None and not isinstance(error, OSError):
            logger.error("a connection could not be made", exc_info=error)

    def _tell_stranger(self, peer: Address | None) -> None:
        self._service.metrics.refused(Cause.ADDRESS)
        if count := self._strangers.note():
            logger.warning(
                "connections from outside INGEST_ALLOWED_NETWORKS are closed, the last one came from %s",
                peer,
                extra={"connections": count},
            )

    def _pause(self, error: OSError) -> None:
        """
        Look away for a moment when the kernel gives no connection, mostly for want of descriptors.

        The socket would tell again and again that one waits. Meanwhile silent connections make room.
        """
        if count := self._shortages.note():
            logger.error("no connection can be taken: %s", error.strerror, extra={"times": count})
        asyncio.get_running_loop().remove_reader(self._listener)
        for _ in range(_AT_ONCE):
            self._service.connections.shed()
        self._service.clock.call_later(_PAUSE_SECONDS, self.open)
