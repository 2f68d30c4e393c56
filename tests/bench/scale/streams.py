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
"""Callbacks a second that a core takes in at most: the backlog lasts for longer than the run."""
_STARTING_SECONDS: Final = 40.0
_PER_ENVELOPE: Final = 50


def measured(workers: int, given: argparse.Namespace) -> Scaled:
    """Measure so many workers on a Kafka of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="routee-bench-") as name,
        KafkaCluster(Path(name) / "kafka", free_port()) as kafka,
        ExitStack() as stack,
    ):
        job = Job(Path(name) / "job", kafka.bootstrap_servers, "scale.", "rocksdict", {})
        backlog = int(workers * given.share * _FASTEST_PER_CORE * (given.seconds + _STARTING_SECONDS))
        written = callbacks.fill(kafka.bootstrap_servers, job.prefix, callbacks.lives(backlog), _PER_ENVELOPE)
        group = Group([_member(job, stack, given.share) for _ in range(workers)], callbacks.PARTITIONS)
        group.wait_until_settled(DEADLINE_SECONDS)
        figures = over(group.workers, given.seconds)
        if sum(worker.done() for worker in group.workers) >= written:
            raise RuntimeError("the backlog ended before the run")
        return Scaled(figures, group.leave(DEADLINE_SECONDS))


def _member(job: Job, stack: ExitStack, share: float) -> Member:
    port = free_port(together=2)
    process = job.start(port)
    stack.callback(process.stop, 30)
    # From its first moment on: with a whole core it would work the backlog off while others start.
    stack.enter_context(held([process.pid], share))
    return Member(process, Worker(process.pid, lambda: accepted(port)), lambda: owned(port))
