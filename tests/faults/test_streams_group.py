"""
Several workers of one group: killed one at a time, leaving and joining under load, static members.
"""

import random
import signal
import threading
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.truth import traffic

pytestmark = [pytest.mark.kafka, pytest.mark.full, pytest.mark.timeout(300)]


def flowing(lab: Lab, seed: int, keys: int) -> threading.Thread:
    """Send traffic in the background, a record every 10 ms."""
    records = traffic(seed, keys, lab.partitions)
    producing = threading.Thread(target=lab.produce, args=(records, 0.01), daemon=True)
    producing.start()
    return producing


@pytest.mark.parametrize(("workers", "store"), [(2, "rocksdict"), (2, "memory"), (3, "rocksdict")])
def test_workers_that_are_killed_one_at_a_time_count_exactly(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, workers: int, store: str
) -> None:
    """Each is killed twice; every other time the group has to notice by itself."""
    rnd = random.Random(20261122)  # noqa: S311 - the same moments every time
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, STREAMS_STORE=store) as lab:
        lab.create_topics()
        running = [lab.start_ready() for _ in range(workers)]
        producing = flowing(lab, 21, 18_000)
        for kill in range(2 * workers):
            lab.wait_for_progress(rnd.randrange(5, 60), deadline=60)
            dead = running.pop(0)
            dead.kill()
            if kill % 2:
                lab.expel(dead)
            running.append(lab.start_ready())
        producing.join()
        lab.verify(deadline=60)


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_that_leave_and_join_under_load_count_exactly(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, workers: int
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4) as lab:
        lab.create_topics()
        running = [lab.start_ready() for _ in range(workers)]
        producing = flowing(lab, 22, 12_000)
        for _ in range(4):
            lab.wait_for_progress(30, deadline=60)
            leaving = running.pop(0)
            leaving.signal(signal.SIGTERM)
            assert leaving.wait() == 0
            lab.wait_for_progress(30, deadline=60)
            running.append(lab.start_ready())
        producing.join()
        lab.verify(deadline=60)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_static_member_that_comes_back_within_its_session_goes_on(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, end: signal.Signals
) -> None:
    """The group does not notice, so nobody is asked to give anything up: the new epochs alone keep order."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4) as lab:
        lab.create_topics()
        one = lab.start_ready(static="one")
        lab.start_ready(static="two")
        producing = flowing(lab, 23, 8_000)
        for _ in range(3):
            lab.wait_for_progress(30, deadline=60)
            one.signal(end)
            one.wait()
            one = lab.start_ready(static="one")
        producing.join()
        lab.verify(deadline=60)


def test_two_workers_with_one_name_do_not_both_write(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    """The younger has the partitions; the elder ends, or writes nothing."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        lab.start_ready(static="one", without=["alarms"])
        producing = flowing(lab, 24, 3_000)
        lab.wait_for_progress(30, deadline=60)
        lab.start_ready(static="one", without=["alarms"])
        producing.join()
        lab.verify(deadline=60)
