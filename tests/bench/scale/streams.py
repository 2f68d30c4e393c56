"""
Workers of streams on one backlog, envelopes of 50.
"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from tests.bench import callbacks
from tests.bench.scale.figures import Scaled, Worker, over
from tests.bench.scale.group import Group, Member
from tests.bench.share import held
from tests.bench.workers import DEADLINE_SECONDS, Job, accepted, owned

_FASTEST_PER_CORE: Final = 45_000
"""Callbacks a second that a core takes in at most: the backlog lasts for longer than the start and the run."""
_STARTING_SECONDS: Final = 2.5
"""Of processor time, for each worker: while the others start, it works with all of the core that is left."""
_LEAVING_SECONDS: Final = 20.0
_PER_ENVELOPE: Final = 50


def measured(workers: int, given: argparse.Namespace) -> Scaled:
    """Measure so many workers on a Kafka of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="routee-bench-") as name,
        KafkaCluster(Path(name) / "kafka", free_port()) as kafka,
        ExitStack() as stack,
    ):
        job = Job(Path(name) / "job", kafka.bootstrap_servers, "scale.", "rocksdict", {})
        busy = _STARTING_SECONDS + given.share * (given.seconds + _LEAVING_SECONDS)
        bodies = callbacks.lives(int(workers * busy * _FASTEST_PER_CORE))
        written = callbacks.fill(kafka.bootstrap_servers, job.prefix, bodies, _PER_ENVELOPE)
        group = Group([_member(job, stack) for _ in range(workers)], callbacks.PARTITIONS)
        group.wait_until_settled(DEADLINE_SECONDS)
        # Only now: a worker that stands still while it starts ends, because it may have been replaced.
        with held([worker.pid for worker in group.workers], given.share):
            figures = over(group.workers, given.seconds)
            if sum(worker.done() for worker in group.workers) >= written:
                raise RuntimeError("the backlog ended before the run")
            return Scaled(figures, group.leave(DEADLINE_SECONDS))


def _member(job: Job, stack: ExitStack) -> Member:
    port = free_port(together=2)
    process = job.start(port)
    stack.callback(process.stop, 30)
    return Member(process, Worker(process.pid, lambda: accepted(port)), lambda: owned(port))
