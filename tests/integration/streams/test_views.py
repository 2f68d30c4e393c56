"""
The product's own workers: samples in, answers out, from either of two workers.
"""

from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.codec import format_time_ms
from streams.contract.keys import partition_of
from tests.support.pipeline.lab import Lab, ToyWorker
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

RECEIVED = format_time_ms(1_795_300_000_000)


def callback(message: int, status: str) -> bytes:
    return orjson.dumps(
        {
            "messageId": f"message-{message}",
            "smsId": f"sms-{message}",
            "campaignTrackingId": f"campaign-{message % 4}",
            "status": {"name": status, "updatedDate": RECEIVED},
            "price": 0.05,
        }
    )


def get(worker: ToyWorker, path: str) -> tuple[int, bytes]:
    try:
        with urlopen(f"http://127.0.0.1:{worker.port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def owned(worker: ToyWorker) -> list[int]:
    """Return the partitions that a worker says it works on."""
    worker.require_running()
    status, body = get(worker, "/readyz") if worker.is_listening() else (0, b"")
    partitions: list[int] = orjson.loads(body)["partitions"]["sms"] if status == 200 else []
    return partitions


def test_any_of_two_workers_answers_for_every_message_and_campaign(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, STREAMS_WEB_HOST="127.0.0.1") as lab:
        lab.create_topics()
        workers = [lab.start(rules="product"), lab.start(rules="product")]

        eventually(lambda: all(owned(worker) for worker in workers), 60, every=0.2)
        assert sorted(owned(workers[0]) + owned(workers[1])) == [0, 1, 2, 3]
        lab.produce([(partition_of(f"message-{n}", 4), envelope(callback(n, "Delivered"))) for n in range(20)])
        lab.drain()
        for worker in workers:
            for number in range(20):
                status, body = get(worker, f"/messages/MESSAGE-{number}")
                assert status == 200
                assert orjson.loads(body)["sms"][0]["status"] == "Delivered"
            for number in range(4):
                status, body = get(worker, f"/campaigns/campaign-{number}")
                assert (status, orjson.loads(body)["messages_delivered"]) == (200, 5)
            assert get(worker, "/messages/nobody")[0] == 404
            assert get(worker, "/campaigns/none")[0] == 404
            assert get(worker, "/livez")[0] == 200
        metrics = b"".join(get(worker, "/metrics")[1] for worker in workers).decode().splitlines()
        applied = [line for line in metrics if "routee_streams_callbacks_total" in line and 'verdict="applied"' in line]
        assert sum(float(line.split()[-1]) for line in applied) == 20


def envelope(*callbacks: bytes) -> bytes:
    return b'{"received_at":"%s","callbacks":[%s]}' % (RECEIVED.encode(), b",".join(callbacks))


def test_faust_shows_none_of_its_own_pages(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        worker = lab.start_ready()
        for path in ("/", "/table/", "/router/", "/stats/", "/graph/"):
            assert get(worker, path)[0] == 404
