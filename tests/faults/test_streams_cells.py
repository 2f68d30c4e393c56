"""
Cells of deliveries on a real Kafka: after crashes of workers their sums are those of the SMS.
"""

import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.keys import partition_of
from streams.errors import Exit
from tests.builders import envelope
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.truth import Record
from tests.support.pipeline.worker import CRASHED
from tests.support.wait import eventually
from tests.unit.streams.domain.test_deliveries import HOUR, at, counted, told, traffic

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1_200)]

PARTITIONS = 3
STEPS = [
    *((table, step) for table in ("sms", "deliveries") for step in ("outputs", "changelog", "store", "claim")),
    ("campaigns", "changelog"),
    ("", "commit"),
]


def endless(seed: int) -> Iterator[Record]:
    """Yield envelopes without end: SMS whose details and dates change, so that they move between cells."""
    chance = random.Random(seed)  # noqa: S311 - the same callbacks for a seed
    for batch in count():
        for callback in traffic(chance, 30):
            named = {name: f"{batch}-{callback[name]}" for name in ("messageId", "smsId")}
            received = at(HOUR + chance.uniform(0, 2 * HOUR))
            yield partition_of(named["messageId"], PARTITIONS), envelope(callback | named, received_at=received)


def newest(lab: Lab, topic: str) -> dict[bytes, dict[str, Any]]:
    """Return the newest record of each key of a topic, as a reader finds it."""
    found: dict[bytes, dict[str, Any]] = {}
    for _, key, value in lab.read(topic):
        record = orjson.loads(value or b"")
        known = found.setdefault(key or b"", record)
        if (record["generation"], record["revision"]) > (known["generation"], known["revision"]):
            found[key or b""] = record
    return found


@pytest.mark.parametrize("faults", [2, pytest.param(50, marks=pytest.mark.full)])
def test_after_crashes_the_sums_of_the_cells_are_those_of_the_sms(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, faults: int
) -> None:
    """Each worker ends after some step of a flush or a takeover, or is killed, and the next one goes on."""
    chance = random.Random(20261129)  # noqa: S311 - the same faults every time
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=PARTITIONS, STREAMS_DELIVERY_MS="40") as lab:
        lab.create_topics()
        records = endless(1)
        for _ in range(faults):
            table, step = chance.choice(STEPS)
            times = 1 if step == "claim" else chance.randrange(1, 6)
            worker = lab.start(rules="product", crash=[table, step, times])
            with lab.flowing(records, pause=0.005):
                # A machine that stands still for seconds ends a worker, too, which is a fault like any other.
                assert worker.wait() in (CRASHED, Exit.MAYBE_REPLACED)
            lab.expel(worker)
        lab.start_ready(rules="product")
        lab.drain()

        def nothing_differs() -> bool:
            assert told(newest(lab, "delivery.windows").values()) == counted(newest(lab, "sms.status").values())
            return True

        eventually(nothing_differs, 60, every=0.5)
        assert not lab.read("callbacks.rejected")
