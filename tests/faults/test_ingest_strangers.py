"""
Strangers by the thousand, silent, hanging in handshakes, guessing: Routee posts on, and ingest stays small and quick.
"""

import asyncio
import json
import re
import socket
import ssl
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.topics import CALLBACKS_RAW
from streams.program.descriptors import raise_limit
from tests.integration.ingest.process import Ingest, Load, environment, ingest
from tests.integration.ingest.topics import callbacks_in, create_topics
from tests.integration.ingest.wire import PATH, SECRET, post
from tests.support.strangers import Seen
from tests.support.wait import eventually, eventually_async

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

TLS = Path(__file__).parents[1] / "integration" / "ingest" / "tls"
BASE_MB, CONNECTION_KB = 100, 12
STALLED = 300


def peak_mb(pid: int) -> float:
    """Return the most that a process has had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def open_files(pid: int) -> int:
    return len([*Path(f"/proc/{pid}/fd").iterdir()])


async def strangers(server: Ingest, silent: int, guessing: int, seconds: float) -> Seen:
    """Let strangers come for so long, and return what became of them."""
    arguments = [str(server.port), str(silent), str(guessing), str(seconds)]
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.strangers", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await running.communicate()
    return Seen(**json.loads(out))


class Siege(NamedTuple):
    """So many silent strangers, more or fewer than the most connections, for so long; Routee's p99 must stay below."""

    silent: int
    most: int
    seconds: float
    p99_seconds: float = float("inf")


@pytest.mark.parametrize(
    "siege",
    [
        Siege(600, 400, 5.0),
        pytest.param(Siege(5_000, 8_192, 60.0, 0.1), marks=pytest.mark.full),
        pytest.param(Siege(5_000, 2_000, 60.0, 0.1), marks=pytest.mark.full),
    ],
)
async def test_silent_and_guessing_strangers_keep_no_callback_out_and_cost_little(
    kafka: KafkaCluster, tmp_path: Path, topic_prefix: str, siege: Siege
) -> None:
    await asyncio.to_thread(create_topics, kafka.bootstrap_servers, topic_prefix)
    settings = environment(
        kafka.bootstrap_servers, topic_prefix, ingest_secrets=SECRET, ingest_max_connections=siege.most
    )
    with ingest(tmp_path, settings, is_measured=True) as server:
        await eventually_async(server.is_ready, 120)
        routee = Load(server.port, PATH, pause_seconds=0.02)
        routee.start(8)
        await eventually_async(lambda: len(routee.stored) > 100, 60)
        coming = asyncio.create_task(strangers(server, siege.silent, guessing=16, seconds=siege.seconds))
        there = 0.9 * min(siege.silent, siege.most)
        await asyncio.to_thread(eventually, lambda: server.metric("connections") > there, 60)
        newcomer = Load(server.port, PATH, pause_seconds=0.02)
        newcomer.start(2)
        seen = await coming
        await eventually_async(lambda: len(newcomer.stored) > 20, 60)
        loads = (routee, newcomer)
        for load in loads:
            await load.stop()
        causes = ("connections", "guess", "not-found", "kafka", "overload")
        shed, guesses, misses, *late = (server.metric(f'refused_total{{cause="{cause}"}}') for cause in causes)
        peak = peak_mb(server.process.pid)
        assert "Traceback" not in server.log
        assert server.stop() == 0
    assert sum(load.cut for load in loads) == 0
    assert sum(load.refused for load in loads) <= sum(late), "only for Kafka, which may be slow on a busy machine"
    assert peak < BASE_MB + min(siege.silent, siege.most) * CONNECTION_KB / 1024
    assert misses >= 100
    assert guesses > 0
    assert min(seen.ended, shed) >= siege.silent - siege.most
    assert routee.p99() < siege.p99_seconds
    topic = CALLBACKS_RAW.name(topic_prefix)
    found = await asyncio.to_thread(lambda: [*callbacks_in(kafka.bootstrap_servers, topic)])
    kept = {callback["messageId"] for callback in found}
    assert kept >= {*routee.stored, *newcomer.stored}


def test_stalled_handshakes_are_bounded_and_keep_no_callback_out(
    kafka: KafkaCluster, tmp_path: Path, topic_prefix: str
) -> None:
    create_topics(kafka.bootstrap_servers, topic_prefix)
    raise_limit()
    most = 50
    settings = environment(
        kafka.bootstrap_servers,
        topic_prefix,
        ingest_max_connections=most,
        ingest_tls_cert=TLS / "cert.pem",
        ingest_tls_key=TLS / "key.pem",
    )
    with ingest(tmp_path, settings) as server, ExitStack() as stack:
        eventually(lambda: "listening on" in server.log)
        before = open_files(server.process.pid)
        for number in range(STALLED):
            stalled = stack.enter_context(
                socket.create_connection(("127.0.0.1", server.port), 30, (f"127.0.1.{1 + number % 200}", 0))
            )
            stalled.send(b"\x16\x03\x01\x02\x00\x01"[: number % 7])
            if number % 50 == 49:
                eventually(lambda: posted(server.port))
                assert open_files(server.process.pid) <= before + most + 10
        assert server.stop() == 0
        assert "Traceback" not in server.log


def posted(port: int) -> bool:
    """Post one callback over TLS; returns whether it was stored."""
    context = ssl.create_default_context(cafile=TLS / "cert.pem")
    with (
        socket.create_connection(("127.0.0.1", port), 30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(post(path="/callbacks"))
        return client.recv(4096).startswith(b"HTTP/1.1 200")
