"""
Workers with the product's rules: callbacks in, HTTP answers out, from either of two workers.
"""

import logging
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.codec import format_time_ms
from streams.contract.keys import partition_of
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka
logger = logging.getLogger(__name__)

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
        with urlopen(f"http://127.0.0.1:{worker.port}{path}", timeout=30) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def owned(worker: ToyWorker) -> list[int]:
    """Return the partitions that a worker reports as owned."""
    worker.require_running()
    status, body = get(worker, "/readyz") if worker.is_listening() else (0, b"")
    partitions: list[int] = orjson.loads(body)["partitions"]["sms"] if status == 200 else []
    return partitions


def share_partitions(workers: list[ToyWorker]) -> None:
    """Wait until each of two workers owns some partitions, and together they own all."""

    def is_shared() -> bool:
        first, second = map(owned, workers)
        return bool(first and second) and sorted(first + second) == [0, 1, 2, 3]

    eventually(is_shared, 60, every=0.2)


def test_any_of_two_workers_answers_for_every_message_and_campaign(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, STREAMS_WEB_HOST="127.0.0.1") as lab:
        lab.create_topics()
        workers = [lab.start(rules="product"), lab.start(rules="product")]
        share_partitions(workers)
        lab.produce([(partition_of(f"message-{n}", 4), envelope(callback(n, "Delivered"))) for n in range(20)])
        lab.drain()
        for worker in workers:
            for number in range(20):
                status, body = get(worker, f"/messages/MESSAGE-{number}")
                assert status == 200
                assert orjson.loads(body)["sms"][0]["status"] == "Delivered"
                status, body = get(worker, f"/sms/SMS-{number}")
                assert (status, orjson.loads(body)["message_id"]) == (200, f"message-{number}")
            for number in range(4):
                status, body = get(worker, f"/campaigns/campaign-{number}")
                assert (status, orjson.loads(body)["messages_delivered"]) == (200, 5)
            assert get(worker, "/messages/unknown")[0] == 404
            assert get(worker, "/sms/unknown")[0] == 404
            assert get(worker, "/campaigns/none")[0] == 404
            assert get(worker, "/livez")[0] == 200
        metrics = b"".join(get(worker, "/metrics")[1] for worker in workers).decode().splitlines()
        applied = [line for line in metrics if "routee_streams_callbacks_total" in line and 'verdict="applied"' in line]
        assert sum(float(line.split()[-1]) for line in applied) == 20


def test_rows_of_a_dead_worker_are_never_called_unknown(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    """Until its partitions are taken over, the answer is "ask again"."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, STREAMS_WEB_HOST="127.0.0.1") as lab:
        lab.create_topics()
        workers = [lab.start(rules="product", session=60.0), lab.start(rules="product", session=60.0)]
        share_partitions(workers)
        lab.produce([(partition_of(f"message-{n}", 4), envelope(callback(n, "Delivered"))) for n in range(20)])
        lab.drain()
        paths = [f"/{kind}/{word}-{n}" for n in range(20) for kind, word in (("sms", "sms"), ("messages", "message"))]
        dead, alive = workers
        dead.kill()
        answers = [get(alive, path)[0] for path in paths]
        assert set(answers) == {200, 503}
        assert get(alive, "/sms/unknown")[0] == 503
        lab.expel(dead)

        def all_found() -> bool:
            found = {get(alive, path)[0] for path in paths}
            assert found <= {200, 503}
            return found == {200}

        eventually(all_found, 60, every=0.1)
        assert get(alive, "/sms/unknown")[0] == 404


@pytest.mark.full
def test_answers_take_less_than_ten_milliseconds_while_callbacks_flow(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """At 2,000 callbacks a second, of any of two workers, one request at a time."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, STREAMS_WEB_HOST="127.0.0.1") as lab:
        lab.create_topics()
        workers = [lab.start(rules="product"), lab.start(rules="product")]
        share_partitions(workers)
        records = [
            (partition, envelope(*(callback(n, word) for n in some)))
            for partition in range(4)
            for some in batched([n for n in range(16_000) if partition_of(f"message-{n}", 4) == partition], 50)
            for word in ("Queued", "Delivered")
        ]
        random.Random(5).shuffle(records)  # noqa: S311 - the same order every time
        seconds: dict[str, list[float]] = {}
        with threads_taking_turns(0.0002), lab.flowing(cycle(records), pause=0.025):
            lab.wait_for_progress(40)
            for number in range(400):
                for path in (f"/sms/sms-{number}", f"/messages/message-{number}", f"/campaigns/campaign-{number % 4}"):
                    began = time.perf_counter()
                    assert get(workers[number % 2], path)[0] in {200, 404}
                    seconds.setdefault(path.split("/")[1], []).append(time.perf_counter() - began)
        p99 = {name: quantiles(taken, n=100)[98] for name, taken in seconds.items()}
        logger.info("%s", {name: f"p50 {median(seconds[name]):.4f} s, p99 {p99[name]:.4f} s" for name in p99})
        assert max(p99.values()) < 0.010


@contextmanager
def threads_taking_turns(seconds: float) -> Iterator[None]:
    """Shorten the interpreter's switch interval, so that the sending and the asking thread do not delay each other."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def batched(numbers: list[int], size: int) -> Iterator[list[int]]:
    """Cut a list into pieces of `size` numbers."""
    return (numbers[at : at + size] for at in range(0, len(numbers), size))


def envelope(*callbacks: bytes) -> bytes:
    return b'{"received_at":"%s","callbacks":[%s]}' % (RECEIVED.encode(), b",".join(callbacks))


def test_faust_shows_none_of_its_own_pages(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        worker = lab.start_ready()
        for path in ("/", "/table/", "/router/", "/stats/", "/graph/"):
            assert get(worker, path)[0] == 404
