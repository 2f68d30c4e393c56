"""
Weeks of traffic in a minute: the state of a worker stops growing once expiry runs.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox.kafka import KafkaCluster
from streams.contract.codec import format_time_ms
from streams.contract.keys import partition_of
from tests.builders import envelope, sms_callback
from tests.support.pipeline.lab import Lab
from tests.support.pipeline.toy_worker import ToyWorker
from tests.support.pipeline.truth import Record, latest

pytestmark = [pytest.mark.kafka, pytest.mark.full, pytest.mark.timeout(600)]
logger = logging.getLogger(__name__)

START = 1_795_300_000_000
HOUR = 3_600_000
MESSAGES_AN_HOUR = 300
RETENTION_HOURS = 48
PLATEAU_DAY = 9
"""Unfinished messages are kept for eight days."""


class Kept(NamedTuple):
    """The figures of a worker at the end of a day."""

    rows: int
    disk: int
    rss: int


def day(number: int, partitions: int) -> Iterator[Record]:
    """Yield a day's envelopes: every message queued, an hour later delivered; one in fifty never."""
    for hour in range(24 * number, 24 * number + 24):
        waiting: list[list[dict[str, object]]] = [[] for _ in range(partitions)]
        now = format_time_ms(START + hour * HOUR)
        for word, began in (("Queued", hour), ("Delivered", hour - 1)):
            for n in range(MESSAGES_AN_HOUR if began >= 0 else 0):
                if word == "Queued" or n % 50:
                    name = f"message-{began}-{n}"
                    body = sms_callback(word, now, message_id=name, sms_id=f"sms-{began}-{n}", campaign=f"c{number}")
                    waiting[partition_of(name, partitions)].append(body)
        yield from ((number, envelope(*bodies, received_at=now)) for number, bodies in enumerate(waiting))


def kept(lab: Lab, worker: ToyWorker, folder: Path) -> Kept:
    """Return the rows by the changelog, the files, and the memory in use."""
    rows = len(latest(lab.read("streams-sms-changelog")))
    disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    pages = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1])
    return Kept(rows, disk, pages * 4096)


@pytest.mark.parametrize("store", ["rocksdict", "memory"])
def test_rows_files_and_memory_stay_flat_over_two_weeks(
    kafka: KafkaCluster, topic_prefix: str, tmp_path: Path, store: str
) -> None:
    with Lab(kafka.bootstrap_servers, topic_prefix, tmp_path, STREAMS_STORE=store) as lab:
        lab.settings["STREAMS_STATE_RETENTION_HOURS"] = str(RETENTION_HOURS)
        lab.create_topics()
        worker = lab.start_ready(rules="product")
        days = []
        for number in range(15):
            lab.produce(list(day(number, lab.partitions)))
            lab.drain()
            days.append(kept(lab, worker, tmp_path / "data"))
            logger.info("day %s: %s", number, days[-1])
        plateau, last = days[PLATEAU_DAY], days[-1]
        assert last.rows <= 1.05 * plateau.rows
        assert last.rss <= plateau.rss + (30 << 20)
        assert last.disk <= plateau.disk + (16 << 20), "RocksDB's own rhythm of compaction is within this"
