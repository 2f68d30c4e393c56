"""
Whether n workers of ingest do n times the work of one: 1, 2, 4 and 8 that share a port, on the same Kafka.

Each worker has a tenth of a core and no more (`tests.bench.share`), so that eight fit beside each other on the core of
the measured programs; Kafka and the load, 64 connections per worker, have the other one. `scaled` is the rate over n
times that of one worker; where other programs want the core, too, it says nothing, and the processor time of a million
callbacks says what more workers cost. `python -m tests.bench.scale --help`.
"""

import argparse
import sys
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
from tests.bench.share import held
from tests.integration.ingest.process import environment, ingest
from tests.integration.ingest.topics import create_topics

_WORKERS: Final = (1, 2, 4, 8)
_CONNECTIONS: Final = 64
"""Of each worker."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each number of workers and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument(
        "--workers", type=int, nargs="+", default=_WORKERS, help="the first one is what others scale by"
    )
    parser.add_argument("--share", type=float, default=0.1, help="of a core for each worker")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of a run")
    parser.add_argument("--runs", type=int, default=1, help="runs, of which the median is shown")
    given = parser.parse_args(arguments)
    measuring.pin(measuring.OTHER_CORE)
    say(f"ingest, {given.share:g} of a core for each worker, {_CONNECTIONS} connections per worker")
    before = measuring.yardstick_ms()
    # All numbers of workers once, then all again: the processor's speed changes within minutes.
    rounds = [[_measured(number, given) for number in given.workers] for _ in range(given.runs)]
    say(f"{measuring.HEADING} {'scaled':>7}")
    medians = [Figures.median(runs) for runs in zip(*rounds, strict=True)]
    one = medians[0].per_second / given.workers[0]
    for number, figures in zip(given.workers, medians, strict=True):
        say(f"{figures.row(f'{number} workers')} {figures.per_second / one / number:7.2f}")
    say(f"yardstick: {before:.1f} ms before, {measuring.yardstick_ms():.1f} ms after")
    return 0


def _measured(workers: int, given: argparse.Namespace) -> Figures:
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
            return Figures(items, given.seconds, told.cpu * items / 1e6, max(map(measuring.peak_mb, pids)))


@contextmanager
def _shared(pids: Sequence[int], share: float) -> Iterator[None]:
    """Let each process have its share of the measured program's core within the block, and no more."""
    for pid in pids:
        measuring.pin(measuring.PROGRAM_CORE, pid)
    with held(pids, share) as way:
        say(f"{len(pids)} held by {way}")
        yield


if __name__ == "__main__":
    sys.exit(main())
