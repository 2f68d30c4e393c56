"""
Faults of Kafka and its clients under a worker: records skipped, brokers away, state gone, changelogs compacted.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from streams.errors import Exit
from streams.state.rows.reserved_keys import CLAIM
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.truth import endless_traffic, latest, traffic
from tests.support.wait import eventually

pytestmark = [
    pytest.mark.kafka,
]
full = pytest.mark.full


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaCluster]:
    """Give a broker that the test may stop, and that compacts eagerly."""
    properties = {"log.cleaner.backoff.ms": "500"}
    cluster = KafkaCluster(tmp_path / "kafka", free_port(), properties=properties)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.mark.parametrize("offset", [0, pytest.param(12, marks=full)])
def test_a_record_that_faust_skips_is_noticed_and_not_lost(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, offset: int
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        lab.produce(traffic(6, 600, lab.partitions))
        skipping = lab.start(skip=[1, offset])
        assert skipping.wait() == Exit.SOURCE_GAP
        lab.expel(skipping)
        lab.start()
        lab.verify()


def test_a_foreign_record_in_the_changelog_stops_a_worker_before_it_believes_its_own_offsets(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        worker = lab.start_ready()
        lab.produce(traffic(10, 100, lab.partitions))
        lab.drain()
        lab.write("streams-sms-changelog", 1, CLAIM, b"not a worker")
        lab.produce(traffic(10, 300, lab.partitions))
        assert worker.wait() == Exit.FOREIGN_WRITE
        assert "foreign-write: " in worker.log.splitlines()[-1]
        assert "streams-sms-changelog[1]: expected offset " in worker.log.splitlines()[-1]
        lab.expel(worker)
        lab.start()
        lab.verify()


@full
def test_without_the_check_a_skipped_record_is_lost(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    """The check is needed: switched off, the same fault leaves wrong rows."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        lab.produce(traffic(6, 600, lab.partitions))
        lab.start(skip=[1, 12], without=["contiguity"])
        lab.drain()
        assert any(line.startswith("sms table") for line in lab.differences())


def test_an_empty_folder_is_filled_from_the_changelogs(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        first = lab.start_ready()
        lab.produce(traffic(8, 500, lab.partitions))
        lab.verify()
        lab.kill(first)
        lab.produce(traffic(8, 900, lab.partitions))
        lab.start_ready("empty")
        lab.verify()


@full
def test_a_broker_that_goes_and_comes_back_costs_nothing(
    own_kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(own_kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        worker = lab.start_ready()
        with lab.flowing(endless_traffic(7, lab.partitions)):
            lab.wait_for_progress(20)
            own_kafka.kill_broker(1)
            own_kafka.start_broker(1)
            lab.supervise(worker)
        lab.verify()


@full
def test_a_changelog_compacted_to_its_last_records_restores_the_same_rows(
    own_kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    eager = {"segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "1000"}
    with Lab(own_kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics(eager)
        first = lab.start_ready()
        lab.produce(traffic(9, 3_000, lab.partitions), pause=0.01)
        lab.verify()
        lab.kill(first)

        def is_compacted() -> bool:
            changelog = lab.read("streams-sms-changelog")
            return len(changelog) < 1.3 * len(latest(changelog))

        # Only closed segments are compacted; a worker that takes over begins a new one in each partition.
        second = lab.start_ready("second")
        eventually(is_compacted, 60, every=1.0)
        lab.kill(second)
        lab.start_ready("third")
        lab.produce(traffic(9, 3_300, lab.partitions))
        lab.verify()
