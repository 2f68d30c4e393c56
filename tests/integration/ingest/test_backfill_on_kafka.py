"""
`routee-ingest backfill` as a process, on the real Kafka: the records that it stores, and none by a second run.
"""

import asyncio
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from sandbox.emulator.pull.options import APPLICATION_ID, APPLICATION_SECRET
from sandbox.kafka import KafkaCluster
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW, CAMPAIGN_PROGRESS, SMS_STATUS
from streams.program.kafka_problems import missing_topic
from tests.integration.ingest.process import environment
from tests.integration.ingest.test_backfill import TRAFFIC, World, assert_healed, with_losses, world
from tests.integration.ingest.topics import PARTITIONS, create_topics, read_partitions
from tests.support.wait import eventually_async

pytestmark = pytest.mark.kafka


def create_results(servers: str, prefix: str) -> None:
    client = KafkaAdminClient(bootstrap_servers=servers)
    names = [topic.name(prefix) for topic in (SMS_STATUS, CAMPAIGN_PROGRESS)]
    try:
        client.create_topics({name: {"num_partitions": PARTITIONS, "replication_factor": 1} for name in names})
        client.wait_for_topics(names, timeout_ms=60_000)
    finally:
        client.close()


class Results:
    """Writes the records of streams to Kafka, and takes in the callbacks that were stored there."""

    def __init__(self, servers: str, prefix: str, at: World) -> None:
        self._servers, self._prefix, self._at = servers, prefix, at
        self._written = self._taken = 0

    def write(self) -> None:
        """Write the records that are not written yet."""
        producer = KafkaProducer(bootstrap_servers=self._servers)
        for suffix, record in self._at.pipeline.outputs[self._written :]:
            key = record.get("message_id") or record.get("campaign_tracking_id")
            if suffix in (SMS_STATUS.suffix, CAMPAIGN_PROGRESS.suffix):
                value = orjson.dumps(record)
                producer.send(self._prefix + suffix, value, partition=partition_of(str(key), PARTITIONS))
        producer.flush(60)
        producer.close()
        self._written = len(self._at.pipeline.outputs)

    def take_in(self) -> list[dict[str, Any]]:
        """Take in the stored envelopes that were not taken in yet, and return them."""
        found = read_partitions(self._servers, CALLBACKS_RAW.name(self._prefix))
        records = [(partition, record.value) for partition, some in sorted(found.items()) for record in some]
        for partition, value in records:
            self._at.pipeline.take_in(partition, len(self._at.pipeline.log), value)
        self._at.pipeline.settle()
        return [orjson.loads(value) for _, value in records]


def told(kafka: KafkaCluster, prefix: str, url: str) -> dict[str, str]:
    return environment(
        kafka.bootstrap_servers, prefix, routee_api_url=url, routee_auth_url=url, log_format="text",
        routee_application_id=APPLICATION_ID, routee_application_secret=APPLICATION_SECRET,
        backfill_requests_per_second=100, backfill_grace_seconds=0, backfill_admin_port=0,
    )  # fmt: skip


async def start(folder: Path, settings: dict[str, str], *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ingest", "backfill", *options, env=settings, cwd=folder,
        stderr=asyncio.subprocess.STDOUT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def backfill(folder: Path, settings: dict[str, str], *options: str) -> str:
    process = await start(folder, settings, *options)
    said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, said.decode()
    return said.decode()


async def test_a_watching_backfill_heals_the_losses_and_a_second_run_stores_nothing(
    tmp_path: Path, kafka: KafkaCluster, topic_prefix: str
) -> None:
    """The envelopes say that they were pulled; SIGTERM ends it with 0; the rules make the truth of it."""
    servers = kafka.bootstrap_servers
    create_topics(servers, topic_prefix)
    create_results(servers, topic_prefix)
    begun = int(time.time()) - 2 * 86_400
    async with world(start=begun) as at:
        settings = told(kafka, topic_prefix, at.api.url) | {"PYTHONPATH": str(Path.cwd())}
        at.post(with_losses(TRAFFIC, begun))
        results = Results(servers, topic_prefix, at)
        results.write()
        begin = datetime.fromtimestamp(begun, UTC).isoformat()
        dry = await backfill(tmp_path, settings, "--from", begin, "--dry-run")
        assert "would be healed" in dry
        asked = at.api.asked["/sms/tracking"]
        process = await start(tmp_path, settings, "--watch")
        try:
            await eventually_async(lambda: at.api.asked["/sms/tracking"] > asked, deadline=120)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
        finally:
            if process.returncode is None:
                process.kill()
        await backfill(tmp_path, settings, "--from", begin)
        await backfill(tmp_path, settings)
        envelopes = results.take_in()
        assert envelopes
        assert {envelope["source"] for envelope in envelopes} == {"pull"}
        assert_healed(at)
        results.write()
        before = sum(map(len, read_partitions(servers, CALLBACKS_RAW.name(topic_prefix)).values()))
        assert "healed: none; 0 reports" in await backfill(tmp_path, settings, "--from", begin)
        await backfill(tmp_path, settings)
        assert sum(map(len, read_partitions(servers, CALLBACKS_RAW.name(topic_prefix)).values())) == before


async def test_each_missing_topic_is_a_line(tmp_path: Path, kafka: KafkaCluster, topic_prefix: str) -> None:
    """The line names the topic and the command that creates it."""
    async with world() as at:
        settings = told(kafka, topic_prefix, at.api.url) | {"PYTHONPATH": str(Path.cwd())}
        process = await start(tmp_path, settings)
        said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 1
    names = [topic.name(topic_prefix) for topic in (SMS_STATUS, CAMPAIGN_PROGRESS)]
    lines = said.decode().splitlines()
    assert [missing_topic(name) in line for name, line in zip(names, lines, strict=True)] == [True, True]
