"""Mutated bytes: each callback ends up in one of the two topics, and the server stays."""

import asyncio
import random
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED
from tests.integration.ingest.process import environment, ingest
from tests.integration.ingest.topics import callbacks_in, create_topics, records_in
from tests.integration.ingest.wire import SECRET, Wire, post, serving
from tests.support.mutation import mutated

SAMPLES = [sample.read_bytes() for sample in sorted((Path(__file__).parents[1] / "samples").glob("*.json"))]
PIPELINED = 50


@pytest.mark.full
@pytest.mark.kafka
@pytest.mark.timeout(600)
async def test_200_000_mutated_callbacks_are_all_kept(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    await asyncio.to_thread(create_topics, kafka.bootstrap_servers, topic_prefix)
    with ingest(tmp_path, environment(kafka.bootstrap_servers, topic_prefix, ingest_secrets=SECRET)) as server:
        await asyncio.to_thread(server.wait_ready)
        await asyncio.gather(*(post_mutated(server.port, seed, 20_000) for seed in range(10)))
        accepted = server.metric("accepted_total")
        assert server.process.poll() is None
        assert server.stop() == 0
        assert "Traceback" not in server.log

    stored = sum(1 for _ in callbacks_in(kafka.bootstrap_servers, CALLBACKS_RAW.name(topic_prefix)))
    rejected = sum(1 for _ in records_in(kafka.bootstrap_servers, CALLBACKS_REJECTED.name(topic_prefix)))
    assert stored == accepted
    assert stored + rejected == 200_000


async def post_mutated(port: int, seed: int, count: int) -> None:
    """Post so many mutated samples over one connection; each must be answered 200."""
    chance = random.Random(seed)  # noqa: S311 - a seed that repeats
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
    for _ in range(count // PIPELINED):
        bodies = [mutated(chance, chance.choice(SAMPLES)) for _ in range(PIPELINED)]
        await wire.send(b"".join(map(post, bodies)))
        assert await wire.statuses(PIPELINED) == [200] * PIPELINED
    await wire.close()


@pytest.mark.parametrize("count", [1_000, pytest.param(50_000, marks=[pytest.mark.full, pytest.mark.timeout(600)])])
async def test_mutated_requests_are_answered_or_cut_and_the_server_stays(count: int) -> None:
    """Heads and bodies alike; an unfinished request ends with the client."""
    chance = random.Random(11)  # noqa: S311 - as above
    requests = [post(sample, fields) for sample in SAMPLES for fields in ("", "X-A: b\r\n", "Expect: 100-continue\r\n")]
    async with serving() as server:
        for _ in range(count // PIPELINED):
            answers = await asyncio.gather(
                *(whole_answer(server.port, mutated(chance, chance.choice(requests), 5)) for _ in range(PIPELINED))
            )
            assert all(answer == b"" or answer.startswith(b"HTTP/1.1 ") for answer in answers)
            assert all(SECRET.encode() not in answer for answer in answers)
        assert server.service.publisher.pending.size == 0
        assert SECRET.encode() not in server.stored_bytes
        assert await (await server.connect()).is_open()


async def whole_answer(port: int, request: bytes) -> bytes:
    """Send bytes and the end, and return the answer up to the server's end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    writer.write_eof()
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer
