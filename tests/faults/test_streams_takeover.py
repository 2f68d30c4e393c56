"""
Partitions that lack many rows are restored while the others work; a worker restores before it joins.
"""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.errors import Exit
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.pipeline.truth import Record, endless_traffic
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
full = pytest.mark.full


def readiness(worker: ToyWorker) -> tuple[int, list[int]]:
    """Return the status of /readyz, and the partitions of the SMS that it names as active."""
    worker.require_running()
    if not worker.is_listening():
        return 0, []
    try:
        with urlopen(f"http://127.0.0.1:{worker.admin_port}/readyz", timeout=30) as answer:
            return answer.status, orjson.loads(answer.read())["partitions"]["sms"]
    except HTTPError as error:
        return error.code, orjson.loads(error.read())["partitions"]["sms"]


def committed(lab: Lab) -> dict[int, int]:
    """Return the offset that the group has committed of each partition of the source."""
    return {tp.partition: offset for tp, offset in lab.committed().items() if tp.topic.endswith("callbacks.raw")}


@contextmanager
def with_a_past(kafka: KafkaCluster, prefix: str, folder: Path) -> Iterator[tuple[Lab, Iterator[Record]]]:
    """Yield a lab with rows in every changelog and no worker, and more traffic for it."""
    with Lab(kafka.bootstrap_servers, prefix, folder) as lab:
        lab.create_topics()
        records = endless_traffic(51, lab.partitions)
        first = lab.start_ready("past")
        lab.produce(islice(records, 60))
        lab.drain()
        first.stop()
        yield lab, records


def longest(lab: Lab) -> int:
    """Return the partition whose rows are restored last."""
    ends = lab.ends("streams-sms-changelog")
    return int(max(ends, key=lambda tp: ends[tp]).partition)


def start_with_one_held_back(lab: Lab, gate: Path, **faults: Any) -> tuple[ToyWorker, int]:  # noqa: ANN401 - JSON
    """Start a worker without rows; return it, and its last partition, when it works on all but that one."""
    last = longest(lab)
    worker = lab.start("empty", near=0, gate=[last, str(gate)], **faults)
    others = [number for number in range(lab.partitions) if number != last]
    eventually(lambda: readiness(worker) == (503, others), 60)
    return worker, last


def produce_until_all_move_but(lab: Lab, held_back: int, records: Iterator[Record]) -> None:
    """Send traffic; return when the group has committed offsets of each partition but one."""
    before = committed(lab)
    lab.produce(islice(records, 60))

    def moved() -> set[int]:
        return {number for number, offset in committed(lab).items() if offset > before.get(number, 0)}

    eventually(lambda: len(moved()) >= lab.partitions - 1, 60)
    assert held_back not in moved()


def test_partitions_go_on_while_another_is_restored(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> None:
    with with_a_past(kafka, topic_prefix, tmp_path) as (lab, records):
        gate = tmp_path / "gate"
        worker, held_back = start_with_one_held_back(lab, gate)
        produce_until_all_move_but(lab, held_back, records)
        assert "still_restoring=" in worker.log
        assert worker.takeovers == 0, "it is not ready"
        gate.touch()
        eventually(worker.is_ready, 60)
        lab.verify()


def test_a_partition_that_was_read_before_it_is_restored_is_noticed(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """Without that guard records are dropped, and the next record comes with a gap."""
    with with_a_past(kafka, topic_prefix, tmp_path) as (lab, records):
        gate = tmp_path / "gate"
        worker, held_back = start_with_one_held_back(lab, gate, without=["unread"])
        produce_until_all_move_but(lab, held_back, records)
        gate.touch()
        eventually(lambda: "streams: ready" in worker.log, 60)
        lab.produce(islice(records, 60))
        assert worker.wait() == Exit.SOURCE_GAP


@pytest.mark.parametrize("ending", ["SIGTERM", "SIGKILL"])
def test_a_worker_that_ends_while_a_partition_is_restored_loses_nothing(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, ending: str
) -> None:
    with with_a_past(kafka, topic_prefix, tmp_path) as (lab, records):
        worker, _ = start_with_one_held_back(lab, tmp_path / "gate")
        lab.produce(islice(records, 30))
        worker.signal(signal.Signals[ending])
        assert worker.wait() == (0 if ending == "SIGTERM" else -signal.SIGKILL)
        lab.expel(worker)
        lab.start_ready("empty")
        lab.verify()


def test_a_group_that_changes_while_a_partition_is_restored_loses_nothing(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with with_a_past(kafka, topic_prefix, tmp_path) as (lab, records):
        gate = tmp_path / "gate"
        first, _ = start_with_one_held_back(lab, gate)
        with lab.flowing(records):
            second = lab.start_ready("past")
            lab.wait_for_progress(30)
            gate.touch()
            eventually(lambda: readiness(first)[0] == 200, 60)
            second.stop()
            eventually(lambda: len(readiness(first)[1]) == lab.partitions, 60)
        lab.wait_for_truth()


@full
@pytest.mark.parametrize("store", ["rocksdict", "memory"])
def test_workers_that_come_and_go_while_everything_is_restored_later_count_exactly(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, store: str
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=4, STREAMS_STORE=store) as lab:
        lab.create_topics()
        running = [lab.start_ready(near=0) for _ in range(2)]
        with lab.flowing(endless_traffic(52, lab.partitions)):
            for change in range(8):
                lab.wait_for_progress(30)
                leaving = running.pop(0)
                if change % 2:
                    lab.kill(leaving)
                else:
                    leaving.stop()
                running.append(lab.start_ready(near=0))
        lab.verify()


def test_a_worker_restores_its_future_partitions_before_it_joins(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with with_a_past(kafka, topic_prefix, tmp_path) as (lab, records):
        first = lab.start_ready("past")
        lab.produce(islice(records, 300))
        lab.drain()
        second = lab.start_ready("empty", near=0)
        reckoned = re.search(r"reading ahead \(partitions=(\[.*?\])", second.log)
        assert reckoned, second.log
        share = orjson.loads(reckoned[1])
        assert readiness(second) == (200, share)
        assert second.restored[0] <= 2 * 2 * len(share), "claims only, of both tables"
        second.stop()
        eventually(lambda: len(readiness(first)[1]) == lab.partitions, 60)
        third = lab.start_ready("empty")
        assert "reading ahead" not in third.log
        assert readiness(third) == (200, share), "of which it has the rows"
        lab.verify()


def test_a_worker_that_is_told_to_stop_while_it_reads_ahead_stops(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with with_a_past(kafka, topic_prefix, tmp_path) as (lab, _):
        lab.start_ready("past")
        reading = lab.start("empty", near=0, gate=[lab.partitions - 1, str(tmp_path / "gate")])
        eventually(lambda: "reading ahead" in reading.log, 60)
        assert readiness(reading) == (503, [])
        reading.stop()
