"""
The webhook on a real Kafka: every notice is delivered, in order, also over restarts, takeovers and refusals.
"""

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from sandbox.kafka import KafkaCluster
from streams.contract.permissions import webhook_group
from streams.contract.topics import DELIVERY_ALARMS
from streams.domain.alarms.notice import notice_of, secret_bytes
from streams.metrics import notices_metric
from streams.runtime import webhook
from streams.runtime.webhook import Webhook
from tests.integration.streams.test_lists import HERE, ask
from tests.support.pipeline.lab import Lab
from tests.support.receiver import Receiver, receiver
from tests.support.wait import eventually
from tests.unit.streams.domain.alarms.feed import example_alarms
from tests.unit.streams.domain.alarms.test_notice import SECRET, verify_of_the_readme

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

DAY_SECONDS = 24 * 60 * 60

OPENED, CLOSED = example_alarms()


def alarm(number: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the record
    """Return a record of an alarm, every second one of a closing."""
    return (CLOSED if number % 2 else OPENED) | {"revision": number + 1, "generation": 0, **fields}


class Bench:
    """The topic, a receiver, and workers' webhooks."""

    def __init__(self, servers: str, prefix: str, to: Receiver) -> None:
        self.topic, self.group, self.receiver = DELIVERY_ALARMS.name(prefix), webhook_group(prefix), to
        self._servers = servers
        admin = KafkaAdminClient(bootstrap_servers=servers)
        admin.create_topics({self.topic: {"num_partitions": 2, "replication_factor": 1}})
        admin.wait_for_topics([self.topic], timeout_ms=60_000)
        admin.close()
        self._producer = KafkaProducer(bootstrap_servers=servers)

    def write(self, *records: dict[str, Any]) -> None:
        for record in records:
            self._producer.send(self.topic, orjson.dumps(record), key=record["alarm"].encode(), partition=0)
        self._producer.flush()

    def webhook(self, **options: Any) -> Webhook:  # noqa: ANN401 - its options
        return Webhook(
            self.receiver.url,
            secret_bytes(SECRET),
            self.topic,
            self.group,
            {"bootstrap_servers": self._servers},
            notices_metric(CollectorRegistry()),
            **options,
        )

    def committed(self) -> int | None:
        consumer = KafkaConsumer(bootstrap_servers=self._servers, group_id=self.group, enable_auto_commit=False)
        try:
            offset: int | None = consumer.committed(TopicPartition(self.topic, 0))
            return offset
        finally:
            consumer.close()

    async def commits(self, wanted: int) -> None:
        await asyncio.to_thread(eventually, lambda: self.committed() == wanted, 60)

    async def receives(self, wanted: int) -> None:
        await asyncio.to_thread(eventually, lambda: len(self.receiver.requests) >= wanted, 60)

    def revisions(self) -> list[int]:
        return [one.told[1]["revision"] for one in self.receiver.requests]


@pytest.fixture
def bench(kafka: KafkaCluster, topic_prefix: str) -> Iterator[Bench]:
    with receiver() as to:
        yield Bench(kafka.bootstrap_servers, topic_prefix, to)


async def test_each_opening_and_closing_is_told_once_and_signed(bench: Bench) -> None:
    bench.write(alarm(0))  # before the first start
    async with bench.webhook():
        await bench.commits(1)
        bench.write(alarm(1), alarm(2, level="suspected"), alarm(3, muted_until="2026-11-29T12:00:00.000Z"), alarm(4))
        await bench.commits(5)
    assert [one.told for one in bench.receiver.requests] == [("alarm.closed", alarm(1)), ("alarm.opened", alarm(4))]
    bench.write(alarm(5))  # while no worker runs
    async with bench.webhook():
        await bench.commits(6)
    assert bench.revisions() == [2, 5, 6]
    verified = verify_of_the_readme()
    for one in bench.receiver.requests:
        assert verified(one.headers, one.body, SECRET, int(one.headers["webhook-timestamp"]))


async def test_a_notice_is_told_again_until_it_is_taken_and_the_others_wait(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []

    def pause_after(attempts: int) -> float:
        pauses.append(attempts)
        return 0.01

    monkeypatch.setattr(webhook, "pause_after", pause_after)
    caplog.set_level(logging.INFO)
    async with bench.webhook():
        await bench.commits(0)
        bench.receiver.statuses[:] = [500, 503, 302, 404, 200]
        bench.write(alarm(0), alarm(1))
        await bench.commits(2)
    ids = [one.id for one in bench.receiver.requests]
    first, second = notice_of(alarm(0)), notice_of(alarm(1))
    assert first is not None
    assert second is not None
    assert ids == [first.id] * 5 + [second.id]
    assert pauses == [1, 2, 3, 4]
    told = [line for line in caplog.messages if "STREAMS_ALARM_WEBHOOK" in line]
    assert [line.rpartition(": ")[2] for line in told[:-1]] == [f"status {status}" for status in (500, 503, 302, 404)]
    assert told[-1] == "STREAMS_ALARM_WEBHOOK takes notices again"
    assert "s3cret" not in caplog.text


async def test_a_worker_that_ends_before_its_commit_leaves_the_notice_to_the_next_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: the receiver knows the repetition by its id."""
    async with bench.webhook():
        await bench.commits(0)

    async def crash(*_: object) -> None:
        raise asyncio.CancelledError

    bench.write(alarm(0), alarm(1))
    with monkeypatch.context() as patch:
        patch.setattr("aiokafka.AIOKafkaConsumer.commit", crash)
        async with bench.webhook():
            await bench.receives(1)
    assert bench.committed() == 0
    async with bench.webhook(), bench.webhook():
        await bench.commits(2)
    assert bench.revisions() == [1, 1, 2]
    assert bench.receiver.requests[0].id == bench.receiver.requests[1].id


async def test_a_worker_that_waits_for_the_receiver_ends_at_once_and_another_one_goes_on(bench: Bench) -> None:
    async with bench.webhook():
        await bench.commits(0)
        bench.receiver.statuses[:] = [503] * 3
        bench.write(alarm(0))
        await bench.receives(3)
    async with bench.webhook():
        await bench.commits(1)
    assert {*bench.revisions()} == {1}


async def test_a_notice_is_given_up_after_a_day(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "pause_after", lambda _: 0.01)
    async with bench.webhook():
        await bench.commits(0)
    bench.receiver.statuses[:] = [503] * 10_000
    bench.write(alarm(0), alarm(1))
    later = [DAY_SECONDS - 60.0]
    async with bench.webhook(clock=lambda: time.time() + later[0]):
        await bench.receives(3)
        assert "given up" not in caplog.text
        later[0] = DAY_SECONDS + 1.0
        await bench.commits(2)
    assert [*dict.fromkeys(bench.revisions())] == [1, 2]
    assert bench.revisions().count(2) == 1
    assert caplog.text.count("given up") == 2


@pytest.mark.timeout(600)
def test_a_worker_tells_the_webhook_and_takes_mutes(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    def command(*arguments: str) -> str:
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA_TOPIC_PREFIX": topic_prefix,
            "KAFKA_PARTITIONS": "1",
        }
        done = subprocess.run(
            [sys.executable, "-m", "streams", "alarms", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with receiver() as to:
        told = {"STREAMS_ALARM_WEBHOOK": to.url, "STREAMS_ALARM_WEBHOOK_SECRET": SECRET}
        with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=1, **HERE, **told) as lab:
            lab.create_topics()
            worker = lab.start_ready(rules="product")
            consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, group_id=webhook_group(topic_prefix))
            place = TopicPartition(DELIVERY_ALARMS.name(topic_prefix), 0)
            eventually(lambda: consumer.committed(place) == 0, 60)
            producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
            producer.send(place.topic, orjson.dumps(alarm(0)), key=b"an alarm", partition=0).get(60)
            eventually(lambda: [one.told for one in to.requests] == [("alarm.opened", alarm(0))], 60)
            consumer.close()
            producer.close()
            assert command("mute", '["GR", "A"]', "--hours", "2").startswith('["GR","A"] is muted until 20')
            assert command("mute", "account", "--hours", "2").startswith("account is muted until 20")
            assert command("unmute", "account") == "account is not muted\n"

            def mutes() -> list[str]:
                status, answer, _ = ask(worker, "/alarms")
                return [one["subject"] for one in answer["mutes"]] if status == 200 else []

            eventually(lambda: mutes() == ['["GR","A"]'], 60)
            assert not lab.read("callbacks.rejected")
