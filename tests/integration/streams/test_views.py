"""
Workers with the product's rules: callbacks in, HTTP answers out, from either of two workers.
"""

import logging
import re
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.codec import format_time_ms
from streams.contract.keys import partition_of
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.silence import (
    LOOPBACK,
    ask,
    assert_that_silence_keeps_nobody_out,
    closed,
    listens_on,
    open_files,
    silent,
)
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


PAGES = ("/livez", "/readyz", "/metrics")


def get(worker: ToyWorker, path: str, token: str = "", **fields: str) -> tuple[int, bytes]:
    """Ask a worker, for a page at the port of its pages; return the status and the body."""
    port = worker.admin_port if path in PAGES else worker.port
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    asked = Request(f"http://127.0.0.1:{port}{path}", headers=headers | fields)
    try:
        with urlopen(asked, timeout=30) as answer:  # noqa: S310 - the same
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def owned(worker: ToyWorker) -> list[int]:
    """Return the partitions that a worker reports as owned; none while it starts, and may be too busy to answer."""
    worker.require_running()
    status, body = 0, b""
    with suppress(OSError):
        status, body = get(worker, "/readyz")
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


FULL, MASKED, OLD, WORKERS = (f"{word}-0123456789abcdef" for word in ("full", "masked", "old", "workers"))


def test_with_tokens_both_workers_answer_readers_alone_and_each_reader_what_it_may_see(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    tokens = {
        "STREAMS_READ_TOKENS": f"desk:{FULL}:full,board:{MASKED}:masked,board:{OLD}:masked",
        "STREAMS_WORKER_TOKEN": WORKERS,
    }
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, **tokens) as lab:
        lab.create_topics()
        workers = [lab.start(rules="product"), lab.start(rules="product")]
        share_partitions(workers)
        lab.produce([(partition_of(f"message-{n}", 4), envelope(personal(n))) for n in range(20)])
        lab.drain()
        for worker in workers:
            for number in range(20):
                for path in (f"/sms/sms-{number}", f"/messages/message-{number}", f"/campaigns/campaign-{number % 4}"):
                    assert [get(worker, path, wrong)[0] for wrong in ("", "0" * 16, WORKERS[:-1])] == [401] * 3
                    assert get(worker, path, **{"X-Routee-Forwarded": "http://127.0.0.1:1"})[0] == 401
                    assert get(worker, path, FULL)[0] == get(worker, path, MASKED)[0] == 200
                    assert NUMBER not in get(worker, path, MASKED)[1].decode()
                    assert TEXT not in get(worker, path, MASKED)[1].decode()
                    assert get(worker, path, OLD) == get(worker, path, MASKED)
                whole, shown = (orjson.loads(get(worker, f"/sms/sms-{number}", token)[1]) for token in (FULL, MASKED))
                assert (whole["recipient"], whole["message"]) == (NUMBER, TEXT)
                assert (shown["recipient"], shown["message"]) == ("***789", None)
                # Read by the one that does not own it, it is masked there: workers give each other whole answers.
                assert shown == whole | {name: shown[name] for name in PERSONAL}
            assert get(worker, "/sms/unknown", MASKED)[0] == 404
            assert get(worker, "/anything")[0] == 401
            assert get(worker, "/anything", FULL)[0] == 404
            assert [get(worker, page)[0] for page in PAGES] == [200, 200, 200]
            assert [status_of(worker.port, page, FULL) for page in PAGES] == [404] * 3
        page = get(workers[0], "/metrics")[1].decode()
        counted = dict(re.findall(r'^routee_streams_reads_total{reader="(\w+)"} (\S+)$', page, re.MULTILINE))
        assert counted.keys() == {"desk", "board"}
        assert float(counted["desk"]) == 20 * 4 + 4
        assert float(counted["board"]) == 20 * 16 + 1
        assert "routee_streams_refused_reads_total 241.0" in page
        secrets = (FULL, MASKED, OLD, WORKERS)
        assert not [token for token in secrets for worker in workers if token in worker.log + page]


def test_a_stranger_cannot_say_that_a_request_was_forwarded(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """A forwarded request is not forwarded again: it would call an SMS unknown that another worker has."""
    tokens = {"STREAMS_READ_TOKENS": f"desk:{FULL}:full", "STREAMS_WORKER_TOKEN": WORKERS}
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, **tokens) as lab:
        lab.create_topics()
        workers = [lab.start(rules="product"), lab.start(rules="product")]
        share_partitions(workers)
        lab.produce([(partition_of(f"message-{n}", 4), envelope(personal(n))) for n in range(20)])
        lab.drain()
        forwarded = {"X-Routee-Forwarded": "http://127.0.0.1:1"}
        paths = [f"/{kind}-{n}" for n in range(20) for kind in ("sms/sms", "messages/message")]
        for worker in workers:
            assert {get(worker, path, FULL, **forwarded)[0] for path in paths} == {200}
            assert {get(worker, path, WORKERS, **forwarded)[0] for path in paths} == {200, 404, 503}


NUMBER, TEXT = "+306900123789", "Your table is booked"
PERSONAL = ("recipient", "message", "label", "groups", "sender", "campaign_name")


def personal(message: int) -> bytes:
    return orjson.dumps(
        orjson.loads(callback(message, "Delivered"))
        | {"to": NUMBER, "from": NUMBER, "message": TEXT, "label": NUMBER, "groups": [NUMBER]}
        | {"campaignName": f"Call {NUMBER}"}
    )


def status_of(port: int, path: str, token: str) -> int:
    asked = Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    try:
        with urlopen(asked, timeout=30) as answer:  # noqa: S310 - an address of ours
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_the_ports_are_on_loopback_and_bear_strangers(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        worker = lab.start_ready()
        assert listens_on(worker.pid) == {worker.port: LOOPBACK, worker.admin_port: LOOPBACK}
        assert_that_silence_keeps_nobody_out(worker.pid, worker.admin_port)
        with silent(worker.port, 400) as strangers:
            assert status_of(worker.port, "/sms/none", "") == 404
            eventually(lambda: open_files(worker.pid) < 300)
            eventually(lambda: all(closed(one) for one in strangers))
        told = ask(worker.port, b"GET /sms/none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").lower()
        assert b"server: routee" in told
        assert b"aiohttp" not in told


def test_without_tokens_a_web_page_on_this_machine_reads_nothing(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """A page of any site can ask loopback, and one whose name was pointed at loopback can read the answer."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        port = lab.start_ready().port
        for own in (f"127.0.0.1:{port}", f"localhost:{port}"):
            assert first_line(port, f"Host: {own}") == b"HTTP/1.1 404 Not Found"
        for foreign in (
            f"Host: evil.example:{port}",
            f"Host: 127.0.0.1:{port}\r\nOrigin: http://evil.example",
            f"Host: 127.0.0.1:{port}\r\nReferer: http://evil.example/a",
            f"Host: 127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site",
        ):
            assert first_line(port, foreign) == b"HTTP/1.1 403 Forbidden"


def first_line(port: int, fields: str) -> bytes:
    request = f"GET /sms/none HTTP/1.1\r\n{fields}\r\nConnection: close\r\n\r\n"
    return ask(port, request.encode()).partition(b"\r\n")[0]


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


def envelope(*callbacks: bytes) -> bytes:
    return b'{"received_at":"%s","callbacks":[%s]}' % (RECEIVED.encode(), b",".join(callbacks))


def test_faust_shows_none_of_its_own_pages(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        worker = lab.start_ready()
        for path in ("/", "/table/", "/router/", "/stats/", "/graph/"):
            assert get(worker, path)[0] == 404
