"""
Workers with `STREAMS_STANDBY=on`: a hot standby takes over at once, and nothing is counted twice.
"""

import random
import re
import signal
from itertools import islice
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.pipeline.truth import endless_traffic
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
full = pytest.mark.full

CHANGELOGS = tuple(f"streams-{table}-changelog" for table in ("sms", "campaigns", "deliveries", "alarms"))


def standing_by(worker: ToyWorker) -> list[set[int]]:
    """Return the worker's standby partitions after each rebalance."""
    worker.require_running()
    found = re.findall(r"standing by \(partitions=\[([\d, ]*)\]", worker.log)
    return [set(map(int, numbers.split(","))) for numbers in found]


@pytest.mark.parametrize("ending", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=full)])
@pytest.mark.parametrize("store", ["rocksdict", pytest.param("memory", marks=full)])
def test_a_hot_standby_has_nothing_to_restore_when_another_worker_ends(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, store: str, ending: signal.Signals
) -> None:
    with Lab(
        kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, STREAMS_STORE=store, STREAMS_STANDBY="on"
    ) as lab:
        lab.create_topics()
        records = endless_traffic(61, lab.partitions)
        ends_first, stays = lab.start_ready("a"), lab.start_ready("b")
        lab.produce(islice(records, 300))
        lab.drain()
        eventually(lambda: len(standing_by(ends_first)) > 0 and len(standing_by(stays)) > 0, 60)
        theirs = standing_by(stays)[-1]
        assert len(theirs) == 2
        assert standing_by(ends_first)[-1] == set(range(4)) - theirs
        written = sum(end for tp, end in lab.ends(*CHANGELOGS).items() if tp.partition in theirs)
        eventually(lambda: (stays.metric("routee_streams_standby_records_total") or 0) >= written, 60)
        assert stays.metric("routee_streams_standby_partitions") == len(theirs)

        takeovers = stays.takeovers
        ends_first.signal(ending)
        ends_first.wait()
        lab.expel(ends_first)
        eventually(lambda: stays.takeovers > takeovers, 60)
        claims = lab.partitions * len(CHANGELOGS)
        assert stays.restored[-1] <= 2 * claims < written
        assert stays.metric("routee_streams_standby_partitions") == 0, "there is nobody else"
        lab.produce(islice(records, 30))
        lab.verify()


@full
def test_a_worker_without_partitions_stands_by_for_all(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=2, STREAMS_STANDBY="on") as lab:
        lab.create_topics()
        records = endless_traffic(63, lab.partitions)
        working = [lab.start_ready("a"), lab.start_ready("b")]
        lab.produce(islice(records, 60))
        lab.drain()
        spare = lab.start_ready("c")
        eventually(lambda: standing_by(spare) == [{0, 1}], 60)
        dead = working[0]
        takeovers = spare.takeovers
        lab.kill(dead)
        eventually(lambda: spare.takeovers > takeovers, 60)
        assert spare.restored[-1] <= 2 * len(CHANGELOGS), "claims"
        lab.produce(islice(records, 30))
        lab.verify()


@pytest.mark.parametrize("store", ["rocksdict", pytest.param("memory", marks=full)])
@pytest.mark.parametrize("changes", [2, pytest.param(10, marks=full)])
def test_standbys_that_join_and_leave_count_exactly(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, changes: int, store: str
) -> None:
    """Three workers, five partitions, and standbys that poll all the time: reading ahead meets every change."""
    rnd = random.Random(20261123)  # noqa: S311 - the same moments every time
    with Lab(
        kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=5, STREAMS_STORE=store, STREAMS_STANDBY="on"
    ) as lab:
        lab.create_topics()
        running = [lab.start_ready(look=0.01) for _ in range(3)]
        with lab.flowing(endless_traffic(62, lab.partitions)):
            for change in range(changes):
                lab.wait_for_progress(rnd.randrange(5, 60))
                leaving = running.pop(0)
                if change % 2:
                    lab.kill(leaving)
                else:
                    leaving.stop()
                lab.wait_for_progress(rnd.randrange(5, 60))
                running.append(lab.start_ready(look=0.01))
            eventually(lambda: all(map(standing_by, running)), 60)
        lab.verify()
