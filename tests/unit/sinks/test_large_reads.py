"""Connections to brokers read in large pieces, and end as kafka-python's own do."""

import inspect
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError
from kafka.net import manager
from kafka.net.transport import KafkaTCPTransport
from kafka.protocol import parser
from kafka.protocol.api_message import ApiMessage
from kafka.protocol.consumer.fetch import FetchRequest, FetchResponse
from kafka.protocol.frame import KafkaBytes
from kafka.protocol.parser import KafkaProtocol

from sinks.kafka import private_names
from sinks.kafka.large_reads import LargeAnswer, LargeReads

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


def answered(content: bytes, buffer: type[KafkaBytes]) -> Any:  # noqa: ANN401 - kafka-python has no types
    """Return how a fetch answer with these record batches is read, received in pieces into such a buffer."""
    topic = FetchResponse.FetchableTopicResponse
    parts = [topic.PartitionData(partition_index=number, records=content) for number in range(2)]
    response = FetchResponse[12](responses=[topic(topic="t", partitions=parts)])
    response.with_header(correlation_id=1)
    answer = bytes(response.encode(framed=True, header=True))
    connection = KafkaProtocol()
    connection.send_request(FetchRequest[12](max_wait_ms=0, min_bytes=0, topics=[]), 1)
    pieces = (answer[start : start + 50_000] for start in range(0, len(answer), 50_000))
    ((_, read),) = [one for piece in pieces for one in connection.receive_bytes(piece)]
    assert isinstance(connection._header, buffer)
    return read


@pytest.mark.parametrize("size", [0, 100, 70_000, 300_000])
def test_an_answer_that_is_not_copied_is_read_as_a_copied_one(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    theirs = answered(content, KafkaBytes)
    monkeypatch.setattr(parser, "KafkaBytes", KafkaBytes)
    private_names.receive_by(LargeAnswer)
    ours = answered(content, LargeAnswer)
    assert ours == theirs
    records = [part.records for part in ours.responses[0].partitions]
    assert records == [content, content]
    assert {type(one) for one in records} == {bytes}, "it is no view, which would keep the whole answer in memory"


def test_only_the_rest_of_a_large_answer_is_no_copy() -> None:
    answer = LargeAnswer(100_000)
    answer.write(b"head" + bytes(99_996))
    answer.seek(0)
    assert answer.read(4) == b"head"
    rest = answer.read()
    assert isinstance(rest, memoryview)
    assert (len(rest), answer.tell(), answer.read()) == (99_996, 100_000, b"")
    small = LargeAnswer(8)
    small.write(b"12345678")
    small.seek(2)
    assert small.read() == b"345678"
    assert isinstance(small.read(), bytes)


def test_a_decoder_takes_a_view_for_the_rest_of_an_answer() -> None:
    assert "memoryview(data.read())" in inspect.getsource(ApiMessage.decode)
    assert "KafkaBytes(nbytes)" in inspect.getsource(KafkaProtocol.receive_bytes)
