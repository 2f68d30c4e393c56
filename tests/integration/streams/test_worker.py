"""
Worker processes on a real Kafka: start, stop, find their state again, share the work, take the largest envelope.
"""

import signal
import time
from pathlib import Path

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.topics import CHANGELOGS
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.truth import endless_traffic, traffic

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_stops_in_seconds_leaves_nothing_undone_and_finds_its_rows_again(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, number: signal.Signals
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, STREAMS_PROGRESS_MS="0") as lab:
        lab.create_topics()
        first = lab.start_ready()
        with lab.flowing(endless_traffic(1, lab.partitions)):
            lab.wait_for_progress(20)
            began = time.monotonic()
            first.stop(number)
            assert time.monotonic() - began < 10
        assert first.log.splitlines()[-1].endswith("streams: stopped")
        second = lab.start_ready()
        claims = len(CHANGELOGS) * lab.partitions
        assert second.restored == [claims], "the claims of this takeover, and no row"
        lab.verify()


def test_two_workers_share_the_partitions_and_one_takes_over_when_the_other_leaves(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        first = lab.start_ready()
        lab.produce(traffic(2, 300, lab.partitions))
        second = lab.start_ready()
        assert "worker-0" in first.log
        assert "worker-1" in second.log
        lab.produce(traffic(2, 500, lab.partitions), pause=0.005)
        first.stop()
        lab.produce(traffic(2, 600, lab.partitions))
        lab.verify()


def test_the_largest_envelope_of_the_smallest_events_fits_in_one_checkpoint(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    events = [[f"{number:x}", "g0", 1] for number in range(56_000)]
    value = orjson.dumps({"events": events})
    assert 850_000 < len(value) < 950_000
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        lab.start_ready()
        lab.produce([(0, value)])
        lab.verify()


def test_a_worker_that_cannot_start_says_why_in_one_line(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        worker = lab.start(rules="product")
        assert worker.wait() == 1
        assert f"topic {topic_prefix}callbacks.raw does not exist: run `routee-streams topics`" in worker.log
        assert "Traceback" not in worker.log
