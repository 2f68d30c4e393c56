"""The server as people run it, over the real Kafka."""

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from kafka.admin import KafkaAdminClient

from sandbox.kafka import KafkaCluster
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED
from streams.program.kafka_problems import another_partition_count
from streams.program.settings import CommonSettings
from tests.integration.ingest.process import COMMAND, Ingest, Load, children, environment, ingest
from tests.integration.ingest.topics import PARTITIONS, body_of, callbacks_in, create_topics, records_in
from tests.support.topic_settings import configure
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


@pytest.mark.parametrize("workers", [1, 2])
def test_a_connection_that_waits_while_the_server_ends_is_answered(
    servers: str, topic_prefix: str, tmp_path: Path, workers: int
) -> None:
    with ingest(tmp_path, environment(servers, topic_prefix, ingest_workers=workers)) as server:
        eventually(lambda: server.metric("ready") == workers)
        processes = [server.process.pid, *children(server.process.pid)]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        keys = [str(uuid4()) for _ in range(200)]
        waiting = [posted(server.port, key) for key in keys]
        for pid in processes:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
        for client in waiting:
            with client:
                assert client.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
        assert server.process.wait(10) == 0
    assert set(keys) == stored_keys(servers, topic_prefix)


def posted(port: int, key: str) -> socket.socket:
    """Return a connection on which a callback was sent and no answer was read."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    body = body_of(key)
    client.sendall(f"POST /callbacks HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return client


async def test_a_worker_that_was_told_to_end_is_followed_by_one_on_the_same_port(
    servers: str, topic_prefix: str, tmp_path: Path
) -> None:
    with ingest(tmp_path, environment(servers, topic_prefix, ingest_workers=2)) as server:
        await eventually_async(lambda: server.metric("ready") == 2)
        told, _ = children(server.process.pid)
        load = Load(server.port)
        load.start(16)
        os.kill(told, signal.SIGTERM)
        await eventually_async(lambda: told not in (now := children(server.process.pid)) and len(now) == 2)
        await load.stop()
        assert (load.cut, load.refused) == (0, 0)
        await eventually_async(lambda: server.metric("ready") == 2)
        connections = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        for _, writer in connections:
            writer.close()


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
    line = f"topic {topic_prefix}callbacks.raw has 4 partitions, not 5: set KAFKA_PARTITIONS=4 "
    for command in ("serve", "check"):
        ended = run(command, env, tmp_path)
        assert ended.returncode == 1
        assert line in ended.stderr
        assert "Traceback" not in ended.stderr


@contextmanager
def administering(servers: str) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=servers)
    try:
        yield admin
    finally:
        admin.close()


def change(servers: str, topic: str, **config: str) -> None:
    """Change settings of a topic, as an operator would; their names have underscores for dots."""
    changes = {name.replace("_", "."): value for name, value in config.items()}
    with administering(servers) as admin:
        configure(admin, topic, changes)


async def test_a_partition_count_that_changes_ends_no_worker_and_readyz_says_why(
    servers: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A start is refused meanwhile. Ingest is ready again when the topic is as before."""
    name = CALLBACKS_RAW.name(topic_prefix)
    env = environment(servers, topic_prefix, ingest_workers=2)
    reason = another_partition_count(name, PARTITIONS + 2, CommonSettings(kafka_partitions=PARTITIONS))
    with ingest(tmp_path, env) as server:
        await eventually_async(lambda: server.metric("ready") == 2)
        load = Load(server.port)
        load.start(4)
        await eventually_async(lambda: load.stored)
        workers = children(server.process.pid)
        with administering(servers) as admin:
            await asyncio.to_thread(admin.create_partitions, {name: PARTITIONS + 2})
        await eventually_async(lambda: server.metric("ready") == 0, deadline=60)
        status, text = await asyncio.to_thread(server.get, "/readyz")
        assert (status, text.strip()) == (503, reason)
        await eventually_async(lambda: load.refused)
        started = await asyncio.to_thread(run, "serve", environment(servers, topic_prefix), tmp_path)
        assert started.returncode == 1
        assert reason in started.stderr
        with administering(servers) as admin:
            await asyncio.to_thread(admin.delete_topics, [name])
            await eventually_async(lambda: name not in admin.list_topics())
            admin.create_topics(
                {name: {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": CALLBACKS_RAW.config}}
            )
        await eventually_async(lambda: server.metric("ready") == 2, deadline=60)
        stored = len(load.stored)
        await eventually_async(lambda: len(load.stored) > stored)
        await load.stop()
        assert load.cut == 0
        assert children(server.process.pid) == workers
        assert server.log.count(f'{reason}"') == 2, "once by each worker"
        assert await asyncio.to_thread(server.stop) == 0


def test_a_topic_that_may_lose_callbacks_is_refused_at_the_start(
    servers: str, topic_prefix: str, tmp_path: Path
) -> None:
    change(servers, CALLBACKS_RAW.name(topic_prefix), retention_bytes="1000000", retention_ms="1000")
    env = environment(servers, topic_prefix)
    for command in ("check", "serve"):
        ended = run(command, env, tmp_path)
        assert ended.returncode == 1
        assert "or set retention.bytes=-1, retention.ms=604800000" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_topic_of_the_version_before_starts_with_one_warning_for_all_workers(
    servers: str, topic_prefix: str, tmp_path: Path
) -> None:
    change(servers, CALLBACKS_RAW.name(topic_prefix), message_timestamp_type="CreateTime", segment_ms="604800000")
    with ingest(tmp_path, environment(servers, topic_prefix, ingest_workers=2)) as server:
        server.wait_ready()
        assert server.log.count("message.timestamp.type=CreateTime") == 1
        assert server.log.count("single copy") == 1
        assert server.stop() == 0


def post_all(port: int, bodies: list[bytes]) -> list[int]:
    """Post bodies on one connection, all at once, and return the status of each."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        head = b"POST /callbacks HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        client.sendall(b"".join(head % len(body) + body for body in bodies))
        answers = b""
        while answers.count(b"\r\n\r\n") < len(bodies):
            answers += client.recv(65_536)
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answers)]


def test_a_topic_that_takes_only_small_records_gets_every_callback_that_fits_alone(
    running: Ingest, servers: str, topic_prefix: str
) -> None:
    name = CALLBACKS_RAW.name(topic_prefix)
    change(servers, name, max_message_bytes="20000")
    texts = [700] * 30 + [30_000] + [700] * 30
    bodies = [b'{"messageId":"m","n":%d,"message":"%s"}' % (n, b"x" * size) for n, size in enumerate(texts)]
    statuses = post_all(running.port, bodies)
    assert statuses == [200] * 30 + [503] + [200] * 30
    stored = [callback["n"] for callback in callbacks_in(servers, name)]
    assert stored == [n for n in range(61) if n != 30]
    assert running.metric('refused_total{cause="too-large-for-kafka"}') == 1
    assert running.is_ready()


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
