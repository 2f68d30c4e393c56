"""
Crashes of a worker on a real Kafka: nothing is lost, nothing counted twice.

At random moments, and after each step of a flush and of a takeover.
"""

import random
from itertools import chain
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from streams.runtime.recovery import NEAR_RECORDS
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.truth import endless_traffic, traffic
from tests.support.pipeline.worker import CRASHED

pytestmark = pytest.mark.kafka
full = pytest.mark.full


@pytest.mark.parametrize(
    ("store", "kills"),
    [("rocksdict", 1), pytest.param("rocksdict", 5, marks=full), pytest.param("memory", 5, marks=full)],
)
def test_a_worker_that_is_killed_while_it_works_counts_exactly(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, store: str, kills: int
) -> None:
    """Kill -9 at random moments, five times during 200,000 events; each time a new worker goes on."""
    rnd = random.Random(20261122)  # noqa: S311 - the same moments every time
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, STREAMS_STORE=store) as lab:
        lab.create_topics()
        worker = lab.start_ready()
        # 200,000 events for five kills; then as many more as it takes.
        records = iter(traffic(1, 0 if kills == 1 else 61_000, lab.partitions, 50))
        with lab.flowing(chain(records, endless_traffic(2, lab.partitions))):
            for _ in range(kills):
                lab.wait_for_progress(rnd.randrange(5, 60))
                lab.kill(worker)
                worker = lab.start_ready()
        lab.produce(records, pause=0.01)
        lab.verify()


@pytest.mark.parametrize(
    ("table", "step"),
    [
        ("sms", "changelog"),
        ("campaigns", "outputs"),
        pytest.param("sms", "outputs", marks=full),
        pytest.param("sms", "store", marks=full),
        pytest.param("campaigns", "changelog", marks=full),
        pytest.param("campaigns", "store", marks=full),
        pytest.param("", "commit", marks=full),
    ],
)
def test_a_crash_after_a_step_of_a_flush_changes_nothing(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, table: str, step: str
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        crashing = lab.start_ready(crash=[table, step, 1 if step == "commit" else 3])
        with lab.flowing(endless_traffic(2, lab.partitions)):
            assert crashing.wait() == CRASHED
        lab.expel(crashing)
        lab.start()
        lab.verify()


@pytest.mark.parametrize("near", [NEAR_RECORDS, pytest.param(0, marks=full)])
@pytest.mark.parametrize(
    "at",
    [
        ("sms", "claim"),
        pytest.param(("sms", "init"), marks=full),
        pytest.param(("sms", "retire"), marks=full),
        pytest.param(("campaigns", "init"), marks=full),
        pytest.param(("campaigns", "claim"), marks=full),
        pytest.param(("campaigns", "retire"), marks=full),
    ],
)
def test_a_crash_while_taking_over_is_healed_by_the_next_takeover(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, at: tuple[str, str], near: int
) -> None:
    """After a step of a table; with `near=0` the first partitions may work already."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        lab.produce(traffic(3, 400, lab.partitions))
        crashing = lab.start(crash=[*at, 2], near=near)
        assert crashing.wait() == CRASHED
        lab.expel(crashing)
        lab.start()
        lab.verify()


@full
def test_without_the_position_in_the_changelog_replays_are_counted_twice(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """The guard is needed: switched off, the same crash leaves wrong rows."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        # Without a commit, too: the next worker, which knows no position, would end as one whose changelog is lost.
        crashing = lab.start_ready(crash=["sms", "changelog", 3], without=["position", "commits"])
        with lab.flowing(endless_traffic(2, lab.partitions)):
            assert crashing.wait() == CRASHED
        lab.expel(crashing)
        lab.start(without=["position", "contiguity"])
        lab.drain()
        assert any(line.startswith("sms table") for line in lab.differences())
