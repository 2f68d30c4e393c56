"""
The port of the pages of ingest, and that of the callbacks, which has none.
"""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from tests.integration.ingest.process import COMMAND, Load, children, environment, ingest
from tests.integration.ingest.topics import create_topics
from tests.support.silence import LOOPBACK, ask, assert_that_silence_keeps_nobody_out, listens_on
from tests.support.wait import eventually, eventually_async

PAGES = ["/livez", "/readyz", "/metrics"]


def test_the_pages_are_on_loopback_and_not_where_callbacks_are_posted(tmp_path: Path) -> None:
    everywhere = {"ingest_host": "0.0.0.0", "ingest_open": "yes"}  # noqa: S104 - no address of the machine is left out
    with ingest(tmp_path, environment("127.0.0.1:1", "t.", **everywhere)) as server:
        listening = listens_on(server.process.pid)
        assert listening == {server.port: "00000000", server.admin_port: LOOPBACK}
        assert [server.get(page, server.port)[0] for page in PAGES] == [404] * 3
        assert [server.get(page)[0] for page in PAGES] == [200, 503, 200]
        assert server.get("/callbacks")[0] == 404
        assert b"server: routee" in ask(server.admin_port).lower()


@pytest.mark.parametrize("workers", [1, 2])
def test_silent_strangers_keep_no_probe_out(tmp_path: Path, workers: int) -> None:
    with ingest(tmp_path, environment("127.0.0.1:1", "t.", ingest_workers=workers)) as server:
        pids = children(server.process.pid) if workers > 1 else [server.process.pid]
        assert_that_silence_keeps_nobody_out(pids[0], server.admin_port)
        assert server.stop() == 0


def test_a_frozen_worker_takes_no_page_away(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    """Each answer comes from the other one, and tells of both."""
    create_topics(kafka.bootstrap_servers, topic_prefix)
    with ingest(tmp_path, environment(kafka.bootstrap_servers, topic_prefix, ingest_workers=2)) as server:
        eventually(lambda: server.metric("ready") == 2)
        frozen, other = children(server.process.pid)
        os.kill(frozen, signal.SIGSTOP)
        told = set()
        while frozen in children(server.process.pid):
            told.add(server.readyz(2.0))
        # The next worker may answer before it has found Kafka.
        told.discard((503, "not connected to Kafka yet\n"))
        assert told == {(200, "ok\n"), (503, "1 of the worker processes died or do not respond\n")}
        assert other in children(server.process.pid)
        eventually(lambda: server.metric("ready") == 2 and server.metric("workers_replaced_total") == 1)


async def test_the_pages_answer_for_all_and_tell_that_it_is_stopping(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    create_topics(kafka.bootstrap_servers, topic_prefix)
    with ingest(tmp_path, environment(kafka.bootstrap_servers, topic_prefix)) as server:
        await eventually_async(server.is_ready)
        load = Load(server.port)
        load.start(4)
        await eventually_async(lambda: len(load.stored) > 100)
        await load.stop()
        assert server.metric("accepted_total") == len(load.stored)
        assert server.metric("pending_bytes") == 0
        with socket.create_connection(("127.0.0.1", server.port)) as unfinished:
            unfinished.sendall(b"POST /callbacks HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
            await eventually_async(lambda: server.metric("connections") == 1)
            server.process.send_signal(signal.SIGTERM)
            await eventually_async(lambda: server.get("/readyz") == (503, "shutting down\n"))
        assert server.process.wait(10) == 0


def test_both_ports_in_use_are_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [taken.getsockname()[1] for taken in (one, other)]
        given = environment("127.0.0.1:1", "t.", ingest_port=ports[0], ingest_admin_port=ports[1])
        ended = subprocess.run(
            [*COMMAND, "serve"], env=given, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
    assert ended.returncode == 1
    found = re.findall(r"(INGEST\w+=\S+ INGEST\w+PORT=\d+): Address already in use", ended.stderr)
    assert found == [
        f"INGEST_HOST=127.0.0.1 INGEST_PORT={ports[0]}",
        f"INGEST_ADMIN_HOST=127.0.0.1 INGEST_ADMIN_PORT={ports[1]}",
    ]
