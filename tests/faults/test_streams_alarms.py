"""
Alarms on a real Kafka: crashes of workers change none of them.
"""

import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaProducer

from sandbox.kafka import KafkaCluster
from streams.contract.topics import DELIVERY_WATCH, WATCHED_PARTITION
from tests.integration.streams.test_lists import HERE, ask
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.worker import CRASHED
from tests.support.wait import eventually
from tests.unit.streams.domain.alarms.feed import BEGIN, DAY, Account, Campaigns, Line, fault, told
from tests.unit.streams.domain.alarms.test_stage import lines_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

BROKE = BEGIN + DAY + 40
ACCOUNT = Account(
    shares=fault(BROKE, BROKE + 12, [("GR", "A")], ("acme", "shop"), 0.4),
    campaigns=Campaigns(shares={28: 0.3}),
)


def newest(lab: Lab) -> list[dict[str, Any]]:
    """Return the alarms of each revision, in the order of these, without what depends on offsets."""
    records: dict[tuple[str, int, int], Line] = {}
    for _, _, value in lab.read("delivery.alarms"):
        record = orjson.loads(value or b"")
        records[record["alarm"], record["generation"], record["revision"]] = record
    return [plain(records[place]) for place in sorted(records)]


def ticking(lab: Lab) -> set[str]:
    """Return the sources whose ticks there are."""
    lines = [line for _, _, value in lab.read("delivery.watch") for line in (value or b"").split(b"\n")]
    return {told["source"] for told in map(orjson.loads, lines) if "source" in told}


def plain(record: Line) -> Line:
    return {name: value for name, value in record.items() if name not in ("revision", "generation")}


@pytest.mark.parametrize("crashes", [2, pytest.param(20, marks=pytest.mark.full)])
def test_after_crashes_the_alarms_are_those_of_the_rules(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, crashes: int
) -> None:
    chance = random.Random(24)  # noqa: S311 - the same crashes every time
    expected = [plain(record) for record in told(ACCOUNT.lines(BEGIN, BROKE + 24))]
    assert {record["kind"] for record in expected} == {"delivery-drop", "campaign-hanging"}
    lines = lines_of(ACCOUNT, BEGIN, BROKE + 24)
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=2, **HERE) as lab:
        lab.create_topics()
        producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
        # Before the first worker: its own ticks tell later minutes, and time is the least of all.
        for line in lines[:600]:
            producer.send(DELIVERY_WATCH.name(topic_prefix), line, partition=WATCHED_PARTITION)
        producer.flush()
        portion = -(-(len(lines) - 600) // crashes)
        for at in range(crashes):
            worker = lab.start(
                rules="product",
                crash=["alarms", chance.choice(["outputs", "changelog", "store"]), chance.randrange(1, 4)],
            )
            for line in lines[600 + at * portion : 600 + (at + 1) * portion]:
                producer.send(DELIVERY_WATCH.name(topic_prefix), line, partition=WATCHED_PARTITION)
            producer.flush()
            assert worker.wait() == CRASHED
            lab.expel(worker)
        producer.close()
        worker = lab.start_ready(rules="product")

        def nothing_differs() -> bool:
            assert newest(lab) == expected
            return True

        eventually(nothing_differs, 90, every=0.5)
        latest = {record["alarm"]: record for record in expected}
        for query, wanted in (("", (True, False)), ("?open=true", (True,)), ("?open=false", (False,))):
            status, answer, _ = ask(worker, f"/alarms{query}")
            assert status == 200, query
            listed = {one["alarm"]: plain(one) for one in answer["alarms"]}
            assert listed == {name: one for name, one in latest.items() if one["is_open"] in wanted}, query
        assert ask(worker, "/alarms?open=perhaps")[0] == 400
        sources = {
            f"{table}-{number}" for table in ("sms", "campaigns", "deliveries") for number in range(lab.partitions)
        }
        eventually(lambda: ticking(lab) >= sources, 60, every=0.5)
        assert not lab.read("callbacks.rejected")
