"""Secrets and texts stay where they belong, at every log level and with every kind of request."""

import socket
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED
from tests.integration.ingest.process import environment, ingest
from tests.integration.ingest.topics import create_topics, records_in
from tests.integration.ingest.wire import PATH, SECRET, Server, post
from tests.support.wait import eventually_async

pytestmark = pytest.mark.kafka

TEXT, RECIPIENT = "Your table is booked", "+306900000001"
CALLBACK = f'{{"messageId":"m1","message":"{TEXT}","to":"{RECIPIENT}"}}'.encode()
REPORT = f'{{"trackingId":"t","callbackInfo":{{"url":"https://x.example{PATH}"}}}}'.encode()
SPELLINGS = [
    post(CALLBACK),
    post(REPORT),
    post(REPORT[:-1]),
    post(SECRET.encode()),
    post(CALLBACK, path=f"/callbacks?secret={SECRET}"),
    post(CALLBACK, path=f"/callbacks/{SECRET}/more"),
    post(CALLBACK, path=f"/callbacks/{SECRET[:-1]}%{ord(SECRET[-1]):02x}"),
    post(CALLBACK, path=f"/{SECRET}"),
    post(CALLBACK, f"Expect: {SECRET}\r\n"),
    post(CALLBACK, f"Content-Encoding: {SECRET}\r\n"),
    post(CALLBACK, f"Transfer-Encoding: {SECRET}\r\n"),
    post(CALLBACK).replace(b"POST", b"PUT"),
    post(CALLBACK).replace(b"HTTP/1.1", b"HTTP/3.3"),
    post(CALLBACK).replace(b"Host: a", b"Host a"),
]


def answer_to(port: int, request: bytes) -> bytes:
    """Return all that a server answers to one request."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(4096), b""))


def test_a_secret_is_in_no_topic_log_line_metric_or_answer(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    create_topics(kafka.bootstrap_servers, topic_prefix)
    settings = environment(
        kafka.bootstrap_servers, topic_prefix, ingest_secrets=SECRET, ingest_access_log=1, log_level="debug"
    )
    with ingest(tmp_path, settings) as server:
        server.wait_ready()
        answers = b"".join(answer_to(server.port, request) for request in SPELLINGS)
        assert answers.count(b"HTTP/1.1 ") == len(SPELLINGS)
        assert answers.count(b"HTTP/1.1 200") == 6
        page = server.get("/metrics")[1]
        assert server.stop() == 0
    topics = [CALLBACKS_RAW, CALLBACKS_REJECTED]
    read = [records_in(kafka.bootstrap_servers, topic.name(topic_prefix)) for topic in topics]
    stored = b"".join(record.value for records in read for _, record in records)
    assert stored.count(b"***") == 3
    for told in (stored.decode(), server.log, page, answers.decode()):
        assert SECRET not in told
    assert TEXT in stored.decode()
    assert TEXT not in server.log
    assert RECIPIENT not in server.log


async def test_wrong_secrets_by_the_thousand_are_counted_and_told_in_two_lines(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1_000):
        wire = await server.talk(post(CALLBACK, path=f"/callbacks/{number:032x}"))
        if number < 100:
            assert (await wire.reply()).status == 404
            await wire.close()
    total = server.service.metrics.total
    await eventually_async(lambda: total("refused", "guess") == 900)
    assert total("refused", "not-found") == 100
    assert not server.stored_bytes
    assert not server.service.known_heads
    assert len(caplog.records) == 2
    assert SECRET not in caplog.text
