"""
More callbacks than can be stored, from very many clients: ingest keeps those it takes, and stays small and quick.
"""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from streams.contract.topics import CALLBACKS_RAW
from tests.integration.ingest.process import Ingest, Load, environment, ingest
from tests.integration.ingest.topics import callbacks_in, create_topics
from tests.support.fault_proxy import FaultProxy
from tests.support.flood import Seen
from tests.support.wait import eventually_async

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

PARTITIONS = 2
BODY_BYTES = 262_144
PENDING_MB, BASE_MB = 16, 100
# Two envelopes of three such bodies at a time: at most 30 callbacks a second can be stored.
KAFKA_DELAY_SECONDS = 0.2
# Every client posts within 9 s at most: a connection without its first byte is closed after 10.
RATE = 300
HEALTHY_SECONDS = 2.0


def peak_mb(pid: int) -> float:
    """Return the most that a process has had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


async def flood(server: Ingest, connections: int, seconds: float) -> Seen:
    """Flood the server, and return the answers that the clients saw."""
    arguments = [str(server.port), "/callbacks", str(connections), str(BODY_BYTES), str(RATE), str(seconds)]
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.flood", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await running.communicate()
    return Seen(**json.loads(out))


async def healthy(server: Ingest, load: Load) -> None:
    """Return when callbacks are stored again; that must be soon."""
    stored = len(load.stored)
    async with asyncio.timeout(HEALTHY_SECONDS):
        while not await asyncio.to_thread(server.is_ready) or len(load.stored) == stored:
            pass


@pytest.mark.parametrize(
    ("connections", "seconds", "p99_seconds"), [(500, 5.0, 2.0), pytest.param(2_500, 60.0, 1.0, marks=pytest.mark.full)]
)
async def test_a_flood_is_refused_at_once_and_costs_no_more_memory_than_is_set(
    tmp_path: Path, topic_prefix: str, connections: int, seconds: float, p99_seconds: float
) -> None:
    behind, before = free_port(), free_port()
    advertised = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{before}"}
    kafka = KafkaCluster(tmp_path / "kafka", behind, properties=advertised)
    try:
        await asyncio.to_thread(kafka.start)
        async with FaultProxy(before, behind) as proxy:
            await asyncio.to_thread(create_topics, kafka.bootstrap_servers, topic_prefix, PARTITIONS)
            settings = environment(
                kafka.bootstrap_servers,
                topic_prefix,
                kafka_partitions=PARTITIONS,
                ingest_max_pending_bytes=PENDING_MB << 20,
                ingest_max_connections_per_address=8192,  # the flood has one
            )
            with ingest(tmp_path, settings, is_measured=True) as server:
                await eventually_async(server.is_ready, 30)
                proxy.delay(KAFKA_DELAY_SECONDS)
                others = Load(server.port, pause_seconds=0.02)
                others.start(4)
                seen = await flood(server, connections, seconds)
                await healthy(server, others)
                await others.stop()
                assert peak_mb(server.process.pid) < PENDING_MB + BASE_MB
                assert seen.cut == 0
                assert seen.refused > 8 * seen.stored > 0
                assert others.p99() < p99_seconds
                topic = CALLBACKS_RAW.name(topic_prefix)
                found = await asyncio.to_thread(lambda: [*callbacks_in(kafka.bootstrap_servers, topic)])
                kept = {callback["messageId"] for callback in found}
                assert kept >= {*others.stored, *seen.keys}
    finally:
        await asyncio.to_thread(kafka.stop)
