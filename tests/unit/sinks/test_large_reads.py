"""Connections to brokers read in large pieces, and end as kafka-python's own do."""

import inspect
import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from kafka.errors import KafkaConnectionError
from kafka.net import manager
from kafka.net.transport import KafkaTCPTransport

from sinks.kafka import private_names
from sinks.kafka.large_reads import LargeReads

Pair = tuple[LargeReads, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Return a connection, and the broker's end of it: bytes that are sent at one end are there at the other."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        yield LargeReads(SimpleNamespace(), ours), theirs


def assert_ended(transport: LargeReads) -> None:
    found, error = transport._sock_recv()
    assert found == b""
    assert isinstance(error, KafkaConnectionError)


def test_an_answer_comes_in_order_and_in_one_piece(pair: Pair) -> None:
    transport, broker = pair
    answer = bytes(range(256)) * 300
    broker.sendall(answer)
    assert transport._sock_recv() == (answer, None)


def test_bytes_that_do_not_come_are_no_error(pair: Pair) -> None:
    transport, _ = pair
    assert transport._sock_recv() == (b"", None)


def test_an_end_is_an_error_behind_the_last_bytes(pair: Pair) -> None:
    transport, broker = pair
    broker.sendall(b"last")
    broker.close()
    assert transport._sock_recv() == (b"last", None)
    assert_ended(transport)


def test_a_cut_connection_is_an_error(pair: Pair) -> None:
    transport, broker = pair
    transport._sock.sendall(b"a request that is never read: the end is a reset")
    broker.close()
    assert_ended(transport)


def test_clients_connect_by_it_once_they_are_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "KafkaTCPTransport", KafkaTCPTransport)
    private_names.connect_by(LargeReads)
    assert manager.KafkaTCPTransport is LargeReads
    assert " = KafkaTCPTransport(" in inspect.getsource(manager.KafkaConnectionManager._build_transport)
