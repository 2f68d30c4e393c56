"""
Workers of ingest that share a port, 64 connections for each.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from tests.bench import measuring
from tests.bench.callbacks import PARTITIONS
from tests.bench.ingest_load import SECRET, children, load
from tests.bench.measuring import Figures, say
from tests.bench.scale.figures import Scaled
from tests.bench.share import held
from tests.integration.ingest.process import environment, ingest
from tests.integration.ingest.topics import create_topics

_CONNECTIONS: Final = 64
"""Of each worker."""


def measured(workers: int, given: argparse.Namespace) -> Scaled:
    """Measure so many workers on a Kafka of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="routee-bench-") as folder,
        KafkaCluster(Path(folder) / "kafka", free_port()) as kafka,
    ):
        create_topics(kafka.bootstrap_servers, "scale.", PARTITIONS)
        settings = environment(
            kafka.bootstrap_servers,
            "scale.",
            kafka_partitions=PARTITIONS,
            ingest_secrets=SECRET,
            ingest_workers=workers,
        )
        with ingest(Path(folder), settings) as server:
            server.wait_ready()
            pids = children(server.process.pid) or [server.process.pid]
            with _shared(pids, given.share):
                told = load(server.port, workers * _CONNECTIONS, given.seconds, server.process.pid)
            items = told.rate * given.seconds
            return Scaled(Figures(items, given.seconds, told.cpu * items / 1e6, max(map(measuring.peak_mb, pids))))


@contextmanager
def _shared(pids: Sequence[int], share: float) -> Iterator[None]:
    """Let each process have its share of the measured program's core within the block, and no more."""
    for pid in pids:
        measuring.pin(measuring.PROGRAM_CORE, pid)
    with held(pids, share) as way:
        say(f"{len(pids)} held by {way}")
        yield
