"""
Workers of the sink to Parquet on one backlog: ClickHouse would want the core that Kafka has.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from sandbox.process import Process
from streams.contract.topics import SMS_STATUS
from tests.bench import measuring, statuses
from tests.bench.scale.figures import Scaled, Worker, over
from tests.bench.scale.group import Group, Member
from tests.bench.share import held
from tests.bench.workers import DEADLINE_SECONDS

_FASTEST_PER_CORE: Final = 130_000
"""Records a second that a core writes at most: the backlog lasts for longer than the start and the run."""
_STARTING_SECONDS: Final = 1.5
"""Of processor time, for each worker: while the others start, it works with all of the core that is left."""
_LEAVING_SECONDS: Final = 10.0
_TOPIC: Final = SMS_STATUS.name("routee.")


def measured(workers: int, given: argparse.Namespace) -> Scaled:
    """Measure so many workers on a Kafka of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="routee-bench-") as name,
        KafkaCluster(Path(name) / "kafka", free_port()) as kafka,
        ExitStack() as stack,
    ):
        folder = Path(name)
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA_PARTITIONS": str(statuses.PARTITIONS),
            "SINKS_FILES_ROOT": str(folder / "files"),
            "SINKS_FILES_FORMAT": "parquet",
        }
        topics = _program(folder, "routee-streams", "topics", environment)
        topics.start()
        topics.require_success(60)
        busy = _STARTING_SECONDS + given.share * (given.seconds + _LEAVING_SECONDS)
        backlog = int(workers * busy * _FASTEST_PER_CORE)
        statuses.fill(kafka.bootstrap_servers, backlog)
        group = Group([_member(folder, environment, stack) for _ in range(workers)], statuses.PARTITIONS)
        group.wait_until_settled(DEADLINE_SECONDS)
        with held([worker.pid for worker in group.workers], given.share):
            figures = over(group.workers, given.seconds)
            if sum(worker.done() for worker in group.workers) >= backlog - len(statuses.STATUSES):
                raise RuntimeError("the backlog ended before the run")
            return Scaled(figures, group.leave(DEADLINE_SECONDS))


def _member(folder: Path, environment: Mapping[str, str], stack: ExitStack) -> Member:
    port = free_port()
    process = _program(folder, "routee-sinks", "files", {**environment, "SINKS_ADMIN_PORT": str(port)}, str(port))
    process.start()
    measuring.pin(measuring.PROGRAM_CORE, process.pid)
    stack.callback(process.stop, 30)
    url = f"http://127.0.0.1:{port}/metrics"
    return Member(
        process,
        Worker(process.pid, partial(measuring.metric, url, "routee_sinks_rows_total")),
        lambda: len(measuring.samples(url, "routee_sinks_lag_records", topic=_TOPIC)),
    )


def _program(folder: Path, name: str, argument: str, environment: Mapping[str, str], log: str = "") -> Process:
    path = str(Path(sys.executable).with_name(name))
    return Process(name, (path, argument), folder / f"{name}-{argument}{log}.log", environment)
