"""
Workers of the sink to Parquet on one backlog: ClickHouse would want the core that Kafka has.

A batch is five seconds' work of a tenth of a core, and the records of the first ones are read while other workers
start, with all of the core that is left. So the run of each worker is of whole batches, and without the first ones.
"""

import argparse
import functools
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from kafka.admin import KafkaAdminClient

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from sandbox.process import Process
from streams.contract.topics import SMS_STATUS
from tests.bench import measuring, statuses
from tests.bench.scale.figures import Scaled, Worker, over_batches
from tests.bench.scale.group import Group, Member
from tests.bench.share import held
from tests.bench.workers import DEADLINE_SECONDS

_FASTEST_PER_CORE: Final = 100_000
"""Records a second that a core writes at most: the backlog lasts for longer than the start and the run."""
_STARTING_SECONDS: Final = 1.5
"""Of processor time, for each worker: while the others start, it works with all of the core that is left."""
_WARMING_BATCHES: Final = 1
"""Of each worker: the first one once it has its share has records read before that, and the first use of Arrow."""
_BATCHES_SECONDS: Final = 1.5
"""Of processor time, for each worker: the batches before the run, and the rest of the one under way at its end."""
_LEAVING_SECONDS: Final = 10.0
_GROUP: Final = "routee.sinks-files"
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
        busy = _STARTING_SECONDS + _BATCHES_SECONDS + given.share * (given.seconds + _LEAVING_SECONDS)
        backlog = int(workers * busy * _FASTEST_PER_CORE)
        statuses.fill(kafka.bootstrap_servers, backlog)
        admin = stack.enter_context(closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)))
        members = [_member(folder, environment, admin, stack) for _ in range(workers)]
        group = Group(members, statuses.PARTITIONS)
        group.wait_until_settled(DEADLINE_SECONDS)
        with held([worker.pid for worker in group.workers], given.share):
            figures = over_batches(group.workers, given.seconds, _WARMING_BATCHES)
            if sum(worker.done() for worker in group.workers) >= backlog - len(statuses.STATUSES):
                raise RuntimeError("the backlog ended before the run")
            return Scaled(figures, group.leave(DEADLINE_SECONDS))


def _member(folder: Path, environment: Mapping[str, str], admin: KafkaAdminClient, stack: ExitStack) -> Member:
    port = free_port()
    process = _program(folder, "routee-sinks", "files", {**environment, "SINKS_ADMIN_PORT": str(port)}, str(port))
    process.start()
    measuring.pin(measuring.PROGRAM_CORE, process.pid)
    stack.callback(process.stop, 30)

    def owned() -> set[int]:
        url = f"http://127.0.0.1:{port}/metrics"
        return {*map(int, measuring.label_values(url, "routee_sinks_lag_records", "partition", topic=_TOPIC))}

    # Asked once, when the run begins: each answer costs the worker time that is not its job's.
    owned_in_run = functools.cache(owned)
    return Member(process, Worker(process.pid, lambda: _written(admin, owned_in_run())), lambda: len(owned()))


def _written(admin: KafkaAdminClient, partitions: set[int]) -> int:
    """Return how many records of these partitions are in files, by the commits of the group."""
    (commits,) = admin.list_group_offsets([_GROUP]).values()
    return sum(at.offset for of, at in commits.items() if of.topic == _TOPIC and of.partition in partitions)


def _program(folder: Path, name: str, argument: str, environment: Mapping[str, str], log: str = "") -> Process:
    path = str(Path(sys.executable).with_name(name))
    return Process(name, (path, argument), folder / f"{name}-{argument}{log}.log", environment)
