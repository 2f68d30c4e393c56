"""
Records that do more to the rows than one checkpoint can hold, on a real Kafka, with crashes between their pieces.
"""

import random
from pathlib import Path

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.state.changelog.batches import MAX_BATCH_BYTES
from streams.state.rows.reserved_keys import POSITION
from tests.builders import NOW, envelope, sms_callback
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.truth import Record, Truth, endless_traffic, latest, traffic
from tests.support.pipeline.worker import CRASHED

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
full = pytest.mark.full


def large_record() -> list[Record]:
    """Return a record of eleven pieces whose rows are more than a checkpoint can hold, and a small one after it."""
    records = traffic(31, 1_700, 1, 5_200, row_bytes=12_000)
    rows = Truth([(record, offset) for offset, record in enumerate(records[:1])], 1).rows[0]
    assert sum(len(row.get("padding", "")) for row in rows.values()) > 1.1 * MAX_BATCH_BYTES
    assert len(records[0][1]) < 200_000
    return records


def crash(lab: Lab, step: str, times: int) -> bytes:
    """Let so many workers one after the other crash after this step of their first flush; return their position."""
    for _ in range(times):
        crashing = lab.start(crash=["sms", step, 1])
        assert crashing.wait() == CRASHED
        lab.expel(crashing)
    return latest(lab.read("streams-sms-changelog")).get((0, POSITION), b"")


@pytest.mark.parametrize(
    ("step", "crashes"),
    [
        ("changelog", 2),
        pytest.param("changelog", 9, marks=full),
        pytest.param("outputs", 2, marks=full),
        pytest.param("store", 9, marks=full),
    ],
)
def test_a_record_larger_than_a_checkpoint_is_counted_exactly_through_a_crash_after_each_of_its_pieces(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, step: str, crashes: int
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=1) as lab:
        lab.create_topics()
        lab.produce(large_record())
        position = crash(lab, step, crashes)
        assert position == (b"" if step == "outputs" else b"0:%d" % (500 * crashes))
        lab.start()
        lab.verify()


@full
def test_an_envelope_of_thousands_of_small_callbacks_for_messages_with_long_texts_is_counted_exactly_through_crashes(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """With the product's own rules: each callback writes the row of its message anew, over 15 MiB in all."""
    texts = [sms_callback("Queued", message_id=f"m{n}", sms_id=f"s{n}", message="x" * 4096) for n in range(4_500)]
    records = [(0, envelope(*texts[begin : begin + 150])) for begin in range(0, len(texts), 150)]
    status = {"name": "Delivered", "updatedDate": NOW}
    records.append((0, envelope(*({"messageId": f"m{n}", "smsId": f"s{n}", "status": status} for n in range(4_500)))))
    rows = MemoryRows()
    taken = [outputs_of(SmsStage(Policy()).apply(rows, 0, at, value)) for at, (_, value) in enumerate(records)]
    assert len(taken[-1]) == len(texts)
    assert sum(len(row) for key, row in rows.written.items() if key.startswith(b"m:")) > MAX_BATCH_BYTES
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=1) as lab:
        lab.create_topics()
        worker = lab.start(rules="product")
        lab.produce(records[:-1])
        lab.drain()
        lab.kill(worker)
        lab.produce(records[-1:])
        for _ in range(3):
            crashing = lab.start(rules="product", crash=["sms", "changelog", 1])
            assert crashing.wait() == CRASHED
            lab.expel(crashing)
        changelog = latest(lab.read("streams-sms-changelog"))
        assert changelog[0, POSITION].startswith(b"30:"), "in the middle of the last envelope"
        lab.start(rules="product")
        lab.drain()
        told = dict.fromkeys((key, value) for _, key, value in lab.read("sms.status"))
        assert [*told] == [(output.key, output.value) for outputs in taken for output in outputs]
        found = {
            key: orjson.loads(row)
            for (_, key), row in latest(lab.read("streams-sms-changelog")).items()
            if not key.startswith(b"\0")
        }
        assert found == rows.rows


@full
def test_without_the_pieces_taken_in_the_position_they_are_counted_twice(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """The guard is needed: switched off, the same crash leaves wrong rows."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=1) as lab:
        lab.create_topics()
        lab.produce(large_record())
        crash(lab, "changelog", 2)
        lab.start(without=["taken"])
        lab.drain()
        assert any(line.startswith("sms table") for line in lab.differences())


@full
def test_workers_that_are_killed_among_large_records_count_exactly(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    rnd = random.Random(20261123)  # noqa: S311 - the same moments every time
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        worker = lab.start_ready()
        with lab.flowing(endless_traffic(32, lab.partitions, 2_000, row_bytes=4_000), pause=0.3):
            for _ in range(5):
                lab.wait_for_progress(rnd.randrange(2, 6))
                lab.kill(worker)
                worker = lab.start_ready()
        lab.verify()


@full
def test_workers_that_leave_and_join_among_large_records_count_exactly(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path
) -> None:
    """A rebalance comes between two pieces: the pieces taken in are flushed, and the rest is left to the next owner."""
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path) as lab:
        lab.create_topics()
        running = [lab.start_ready()]
        # Each record takes longer than a rebalance.
        with lab.flowing(endless_traffic(33, lab.partitions, 10_000, row_bytes=4_000), pause=2.0):
            for _ in range(3):
                lab.wait_for_progress(2)
                running.append(lab.start_ready())
                lab.wait_for_progress(2)
                leaving = running.pop(0)
                leaving.stop()
        lab.verify()
