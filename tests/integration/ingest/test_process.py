"""The server as people run it, over the real Kafka."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED
from tests.integration.ingest.process import COMMAND, Ingest, Load, environment, ingest
from tests.integration.ingest.topics import PARTITIONS, callbacks_in, create_topics, records_in
from tests.support.wait import eventually, eventually_async

pytestmark = pytest.mark.kafka

Stored = Callable[[], set[object]]


@pytest.fixture
def servers(kafka: KafkaCluster, topic_prefix: str) -> str:
    create_topics(kafka.bootstrap_servers, topic_prefix)
    return kafka.bootstrap_servers


@pytest.fixture
def running(servers: str, topic_prefix: str, tmp_path: Path) -> Iterator[Ingest]:
    with ingest(tmp_path, environment(servers, topic_prefix)) as server:
        server.wait_ready()
        yield server


def stored_keys(servers: str, prefix: str) -> set[object]:
    stored = callbacks_in(servers, CALLBACKS_RAW.name(prefix))
    return {callback["messageId"] for callback in stored}


def run(command: str, env: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, command], env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


async def test_every_200_is_in_kafka_and_sigterm_loses_none(running: Ingest, servers: str, topic_prefix: str) -> None:
    load = Load(running.port)
    load.start(32)
    await eventually_async(lambda: len(load.stored) > 2_000, deadline=60)
    assert await asyncio.to_thread(running.stop) == 0
    await load.stop()
    assert load.cut == 0
    assert load.refused == 0
    assert load.slowest_seconds < 2.0
    assert set(load.stored) == await asyncio.to_thread(stored_keys, servers, topic_prefix)


async def test_after_kill_9_every_200_is_in_kafka(running: Ingest, servers: str, topic_prefix: str) -> None:
    load = Load(running.port)
    load.start(32)
    await eventually_async(lambda: len(load.stored) > 1_000, deadline=60)
    running.process.kill()
    await load.stop()
    assert set(load.stored) <= await asyncio.to_thread(stored_keys, servers, topic_prefix)


async def test_workers_share_the_port_and_their_metrics(servers: str, topic_prefix: str, tmp_path: Path) -> None:
    with ingest(tmp_path, environment(servers, topic_prefix, ingest_workers=2)) as server:
        await eventually_async(lambda: server.metric("ready") == 2)
        load = Load(server.port)
        load.start(16)
        await eventually_async(lambda: len(load.stored) > 500, deadline=60)
        await load.stop()
        assert {server.metric("accepted_total") for _ in range(10)} == {len(load.stored)}
        assert await asyncio.to_thread(server.stop) == 0
    assert set(load.stored) == await asyncio.to_thread(stored_keys, servers, topic_prefix)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_worker_that_dies_is_started_again(servers: str, topic_prefix: str, tmp_path: Path) -> None:
    with ingest(tmp_path, environment(servers, topic_prefix, ingest_workers=2)) as server:
        eventually(lambda: server.metric("ready") == 2)
        victim, other = children(server.process.pid)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(left := children(server.process.pid)) == 2 and victim not in left and other in left)
        eventually(lambda: server.metric("ready") == 2)
        assert server.stop() == 0
        assert "a worker died and is started again" in server.log


async def test_a_frozen_worker_is_told_and_replaced_and_no_200_is_lost(
    servers: str, topic_prefix: str, tmp_path: Path
) -> None:
    with ingest(tmp_path, environment(servers, topic_prefix, ingest_workers=2)) as server:
        await eventually_async(lambda: server.metric("ready") == 2)
        load = Load(server.port)
        load.start(16)
        await eventually_async(lambda: len(load.stored) > 500, deadline=60)
        frozen, other = children(server.process.pid)
        os.kill(frozen, signal.SIGSTOP)
        readyz = await asyncio.to_thread(eventually, lambda: not_ready(server))
        assert readyz == (503, "1 of the worker processes died or do not respond\n")
        await eventually_async(lambda: frozen not in children(server.process.pid), deadline=10)
        stored = len(load.stored)
        await eventually_async(lambda: len(load.stored) > stored + 500, deadline=60)
        await eventually_async(lambda: server.metric("ready") == 2 and server.metric("workers_missing") == 0)
        assert server.metric("workers_replaced_total") == 1
        assert other in children(server.process.pid), "it was busy, and responded"
        assert await asyncio.to_thread(server.stop) == 0
        await load.stop()
        assert server.log.count("a worker does not respond and is replaced") == 1
    assert set(load.stored) <= await asyncio.to_thread(stored_keys, servers, topic_prefix)


def not_ready(server: Ingest) -> tuple[int, str] | None:
    """Return the answer of `/readyz` unless it is that all is well, or none came."""
    answer = server.readyz(0.3)
    return answer if answer[0] == 503 else None


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_closed_terminal_loses_no_callback(
    servers: str, topic_prefix: str, tmp_path: Path, workers: int
) -> None:
    with ingest(tmp_path, environment(servers, topic_prefix, ingest_workers=workers)) as server:
        await eventually_async(lambda: server.metric("ready") == workers)
        load = Load(server.port)
        load.start(16)
        await eventually_async(lambda: len(load.stored) > 1_000, deadline=60)
        server.process.send_signal(signal.SIGHUP)
        assert await asyncio.to_thread(server.process.wait, 10) == 0
        await load.stop()
    assert (load.cut, load.refused) == (0, 0)
    assert set(load.stored) == await asyncio.to_thread(stored_keys, servers, topic_prefix)


def test_workers_do_not_outlive_the_process_that_started_them(servers: str, topic_prefix: str, tmp_path: Path) -> None:
    with ingest(tmp_path, environment(servers, topic_prefix, ingest_workers=2)) as server:
        eventually(lambda: len(children(server.process.pid)) == 2)
        workers = children(server.process.pid)
        server.process.kill()
        server.process.wait()
        eventually(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers))


def test_garbage_is_found_in_the_rejected_topic(running: Ingest, servers: str, topic_prefix: str) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(b"POST /callbacks HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        assert client.recv(99).startswith(b"HTTP/1.1 200")
    ((_, record),) = records_in(servers, CALLBACKS_REJECTED.name(topic_prefix))
    assert b'"reason":"not-json"' in record.value
    assert running.metric('rejected_total{reason="not-json"}') == 1


async def test_a_topic_that_is_missing_is_waited_for(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with ingest(tmp_path, environment(kafka.bootstrap_servers, topic_prefix)) as server:
        await eventually_async(lambda: "does not exist" in server.get("/readyz")[1])
        load = Load(server.port)
        load.start(1)
        await eventually_async(lambda: load.refused)
        assert not load.stored
        create_topics(kafka.bootstrap_servers, topic_prefix)
        await eventually_async(lambda: load.stored)
        await load.stop()
        assert f"topic {topic_prefix}callbacks.raw does not exist" in server.log


def test_another_partition_count_is_one_clear_line(servers: str, topic_prefix: str, tmp_path: Path) -> None:
    env = environment(servers, topic_prefix, kafka_partitions=PARTITIONS + 1)
    line = f"topic {topic_prefix}callbacks.raw has 4 partitions, KAFKA_PARTITIONS says 5"
    for command in ("serve", "check"):
        ended = run(command, env, tmp_path)
        assert ended.returncode == 1
        assert line in ended.stderr
        assert "Traceback" not in ended.stderr


def test_check_is_content_when_all_is_well(servers: str, topic_prefix: str, tmp_path: Path) -> None:
    ended = run("check", environment(servers, topic_prefix), tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_check_names_every_problem_at_once(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    env = environment(
        kafka.bootstrap_servers,
        topic_prefix,
        ingest_tls_cert="cert.pem",
        ingest_tls_key="cert.pem",
        ingest_allowed_networks="nobody.invalid",
    )
    ended = run("check", env, tmp_path)
    assert ended.returncode == 1
    told = ended.stderr.splitlines()
    parts = (
        "INGEST_TLS_CERT=cert.pem",
        "INGEST_TLS_KEY=cert.pem",
        "nobody.invalid cannot be looked up",
        "callbacks.raw does not exist",
        "callbacks.rejected does not exist",
    )
    assert len(told) == len(parts)
    assert all(part in line for part, line in zip(parts, told, strict=True))
