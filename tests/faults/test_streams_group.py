"""
Several workers of one group: killed one at a time, leaving and joining under load.
"""

import random
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.truth import endless_traffic, traffic

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
full = pytest.mark.full


@full
@pytest.mark.parametrize(("workers", "store"), [(2, "rocksdict"), (2, "memory"), (3, "rocksdict")])
def test_workers_that_are_killed_one_at_a_time_count_exactly(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, workers: int, store: str
) -> None:
    """Each is killed twice; every other time the group has to notice by itself."""
    rnd = random.Random(20261122)  # noqa: S311 - the same moments every time
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, STREAMS_STORE=store) as lab:
        lab.create_topics()
        running = [lab.start_ready() for _ in range(workers)]
        with lab.flowing(endless_traffic(21, lab.partitions)):
            for kill in range(2 * workers):
                lab.wait_for_progress(rnd.randrange(5, 60))
                dead = running.pop(0)
                dead.kill()
                if kill % 2:
                    lab.expel(dead)
                running.append(lab.start_ready())
        lab.verify()


@full
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_that_leave_and_join_under_load_count_exactly(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, workers: int
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4) as lab:
        lab.create_topics()
        running = [lab.start_ready() for _ in range(workers)]
        with lab.flowing(endless_traffic(22, lab.partitions)):
            for _ in range(4):
                lab.wait_for_progress(30)
                leaving = running.pop(0)
                leaving.stop()
                lab.wait_for_progress(30)
                running.append(lab.start_ready())
        lab.verify()


@pytest.mark.parametrize("rounds", [1, pytest.param(6, marks=full)])
def test_records_that_were_read_around_a_rebalance_are_read_again_when_nothing_was_ever_committed(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, rounds: int
) -> None:
    """A worker that waits for records while the group changes is given some before it owns their partitions."""
    records = iter(traffic(23, 4_000, 3))
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        older = lab.start_ready(without=["commits"])
        for _ in range(rounds):
            lab.produce([next(records) for _ in range(30)])
            newer = lab.start_ready(without=["commits"])
            lab.produce([next(records) for _ in range(60)], pause=0.005)
            older.stop()
            lab.produce([next(records) for _ in range(9)])
            lab.wait_for_truth()
            newer.require_running()
            older = newer
