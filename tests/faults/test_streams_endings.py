"""
Records that end a worker, on a real Kafka: taken in again, and rejected when they do it three times in a row.
"""

from pathlib import Path

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.errors import Exit
from tests.builders import envelope, sms_callback
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker

pytestmark = pytest.mark.kafka

NAMES = ("a", "poison", "c")


def lab_with_poison(kafka: KafkaCluster, topic_prefix: str, tmp_path: Path) -> Lab:
    lab = Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=1)
    lab.create_topics()
    lab.produce([(0, envelope(sms_callback(message_id="before", sms_id="before")))])
    lab.produce([(0, envelope(*(sms_callback(message_id=name, sms_id=name) for name in NAMES)))])
    lab.produce([(0, envelope(sms_callback(message_id="after", sms_id="after")))])
    return lab


def start(lab: Lab, times: int) -> ToyWorker:
    return lab.start(rules="product", memory=["poison", times])


def end_by_memory(lab: Lab) -> str:
    """Let a worker end at the poison; return its log."""
    worker = start(lab, 1)
    assert worker.wait() == Exit.STAGE_RAISED, worker.log
    lab.expel(worker)
    return worker.log


def told(lab: Lab) -> dict[str, list[int]]:
    """Return the revisions of each SMS on the public topic, without repetitions."""
    found: dict[str, set[int]] = {}
    for _, _, value in lab.read("sms.status"):
        record = orjson.loads(value or b"")
        found.setdefault(record["sms_key"], set()).add(record["revision"])
    return {key: sorted(revisions) for key, revisions in found.items()}


def test_a_callback_at_which_memory_ran_out_once_is_applied_by_the_next_worker(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with lab_with_poison(kafka, topic_prefix, tmp_path) as lab:
        log = end_by_memory(lab)
        assert "callback 1: sms could not take it in (1 in a row): MemoryError in run_out" in log
        start(lab, 0)
        lab.drain()
        assert told(lab) == {key: [1] for key in ("before", *NAMES, "after")}
        assert lab.read("callbacks.rejected") == []


def test_a_callback_that_ended_three_workers_in_a_row_is_rejected_and_does_not_stop_its_partition(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    with lab_with_poison(kafka, topic_prefix, tmp_path) as lab:
        for times in (1, 2, 3):
            assert f"({times} in a row)" in end_by_memory(lab)
        last = start(lab, 1)
        lab.drain()
        assert "ended 3 workers in a row: rejected as a bug" in last.log
        assert told(lab) == {key: [1] for key in ("before", "a", "c", "after")}
        ((_, _, value),) = lab.read("callbacks.rejected")
        rejection = orjson.loads(value or b"")
        assert (rejection["reason"], rejection["offset"], rejection["index"]) == ("bug", 1, 1)
        assert rejection["detail"] == "it ended a worker 3 times in a row"
