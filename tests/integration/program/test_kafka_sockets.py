"""
Attempts of kafka-python to connect that fail: none leaves its socket to the collector, whose warning fails some test.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.net.inet import KafkaNetSocket

from sandbox.ports import LOOPBACK, free_port
from tests.support.wait import eventually


@contextmanager
def refusing() -> Iterator[int]:
    """Yield a port that refuses connections."""
    yield free_port()


@contextmanager
def silent() -> Iterator[int]:
    """Yield a port that neither takes nor refuses one: its queue is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((LOOPBACK, 0), backlog=0))
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@contextmanager
def hanging_up() -> Iterator[int]:
    """Yield a port that takes connections and closes them at once."""
    with socket.create_server((LOOPBACK, 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Give the sockets that the client opens; so none is closed by the collector."""
    sockets: list[socket.socket] = []

    def open_socket(_: KafkaNetSocket, *of: int) -> socket.socket:
        sockets.append(socket.socket(*of))
        return sockets[-1]

    monkeypatch.setattr(KafkaNetSocket, "socket", open_socket)
    return sockets


class Context(ssl.SSLContext):
    """A context for clients that keeps the sockets it makes in `opened`."""

    opened: list[socket.socket]

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:  # noqa: ANN401 - as in the standard library
        made = super().wrap_socket(*arguments, **options)
        self.opened.append(made)
        return made


@pytest.mark.parametrize(("broker", "protocol"), [(refusing, "PLAINTEXT"), (silent, "PLAINTEXT"), (hanging_up, "SSL")])
def test_a_failed_attempt_closes_its_socket(
    broker: Callable[[], AbstractContextManager[int]], protocol: str, opened: list[socket.socket]
) -> None:
    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    context.opened = opened
    with broker() as port, pytest.raises(KafkaError):
        KafkaConsumer(
            bootstrap_servers=f"{LOOPBACK}:{port}",
            security_protocol=protocol,
            ssl_context=context,
            bootstrap_timeout_ms=300,
        )
    assert opened != []
    eventually(lambda: all(one.fileno() == -1 for one in opened), 10)
