"""
How fast the sinks work off the lag in Kafka: one process on one core; Kafka, ClickHouse and the clock on the other.

Beside each run kafka-python alone reads the same records on the core of the sink, once with the options that it comes
with and once with those of the sinks, which suit a lag better.
`python -m tests.bench.sinks --help`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from kafka import KafkaConsumer
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition

from sandbox.audit.clickhouse import ClickHouse
from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from sandbox.probes import answers_ok
from sandbox.process import Process
from sinks.kafka.client import CONSUMER_OPTIONS
from streams.contract.topics import SMS_STATUS
from tests.bench import measuring, statuses
from tests.bench.measuring import Figures, say

_TOPIC: Final = SMS_STATUS.name("routee.")
_DEADLINE_SECONDS: Final = 600.0
_EVERY_SECONDS: Final = 0.1
SINKS: Final = ("clickhouse", "parquet", "ndjson")
_READERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "as it comes": {"auto_offset_reset": "earliest", "enable_auto_commit": False},
    "sinks' options": CONSUMER_OPTIONS,
}
"""Options of kafka-python alone."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print a table; 1 when a store does not have the records of the topic."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sinks", description=__doc__)
    parser.add_argument("sinks", nargs="*", choices=[[], *SINKS], metavar="SINK", help=", ".join(SINKS))
    parser.add_argument("--rows", type=int, default=400_000, help="records that wait")
    parser.add_argument("--runs", type=int, default=1, help="runs, of which the median is shown")
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.read:
        servers, rows, reader = given.read
        say(json.dumps(vars(read_alone(servers, int(rows), _READERS[reader]))))
        return 0
    measuring.pin(measuring.OTHER_CORE)
    with (
        tempfile.TemporaryDirectory(prefix="routee-bench-") as folder,
        measuring.stores(Path(folder)) as (kafka, clickhouse),
    ):
        return _table(Bench(Path(folder), kafka, clickhouse), given)


def _table(bench: "Bench", given: argparse.Namespace) -> int:
    began = time.monotonic()
    rows = bench.prepare(given.rows)
    say(f"{rows:,} records prepared in {time.monotonic() - began:.0f} s; median of {given.runs}")
    say(measuring.HEADING)
    for name in given.sinks or SINKS:
        alone: dict[str, list[Figures]] = {reader: [] for reader in _READERS}
        found = []
        for run in range(given.runs):
            for reader, figures in alone.items():
                figures.append(bench.kafka_alone(reader))
            found.append(bench.clickhouse(run) if name == "clickhouse" else bench.files(name))
        say(Figures.median(found).row(name))
        for reader, figures in alone.items():
            shares = [one.per_second / other.per_second for one, other in zip(found, figures, strict=True)]
            reading = Figures.median(figures).row(f"kafka-python, {reader}")
            say(f"{reading}   {name} reaches {statistics.median(shares):.0%} of it")
    return 0 if bench.agrees else 1


class Bench:
    """The sinks, one after the other, on the same records."""

    def __init__(self, folder: Path, kafka: KafkaCluster, clickhouse: ClickHouseServer) -> None:
        self._folder = folder
        self._kafka = kafka
        self._clickhouse = clickhouse
        self._rows = 0
        self._port = free_port()
        self.agrees = True
        self._environment: Mapping[str, str] = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA_PARTITIONS": str(statuses.PARTITIONS),
            "CLICKHOUSE_URL": clickhouse.url,
            "SINKS_ADMIN_PORT": str(self._port),
            "SINKS_FILES_ROOT": str(folder / "files"),
        }

    def prepare(self, rows: int) -> int:
        """Make the topics, and fill one of them; returns how many records it has."""
        self._run("routee-streams", "topics")
        statuses.fill(self._kafka.bootstrap_servers, rows)
        self._rows = sum(_ends(self._kafka.bootstrap_servers).values())
        return self._rows

    def kafka_alone(self, reader: str) -> Figures:
        """Read all records and drop them, in a process of its own on the sink's core."""
        servers = self._kafka.bootstrap_servers
        command = [sys.executable, "-m", __spec__.name, "--read", servers, str(self._rows), reader]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as reading:
            measuring.pin(measuring.PROGRAM_CORE, reading.pid)
            told, _ = reading.communicate(timeout=_DEADLINE_SECONDS)
        return Figures(**json.loads(told))

    def clickhouse(self, run: int) -> Figures:
        """Let the sink write every record to a database of its own."""
        name = f"run_{run}"
        database = ClickHouse(self._clickhouse.url, self._clickhouse.user, name)
        self._run("routee-sinks", "schema", CLICKHOUSE_DATABASE=name)
        sql = "SELECT count() FROM sms_status_history FORMAT TSV"
        figures = self._measure("clickhouse", lambda: int(database.text(sql)), CLICKHOUSE_DATABASE=name)
        sms, newest = map(int, database.text("SELECT count(), countIf(revision = 3) FROM sms FORMAT TSV").split())
        self.agrees &= sms == newest == self._rows // len(statuses.STATUSES)
        database.text(f"DROP DATABASE {name} SYNC")
        return figures

    @contextmanager
    def consuming(self, name: str) -> Iterator[Callable[[], int]]:
        """Let the sink write to a database of its own within the block; gives a way to count the rows of `sms`."""
        database = ClickHouse(self._clickhouse.url, self._clickhouse.user, name)
        self._run("routee-sinks", "schema", CLICKHOUSE_DATABASE=name)
        process = self._program("routee-sinks", "clickhouse", {"CLICKHOUSE_DATABASE": name})
        process.start()
        measuring.pin(measuring.PROGRAM_CORE, process.pid)
        url = f"http://127.0.0.1:{self._port}"
        try:
            process.wait_until(lambda: answers_ok(f"{url}/readyz"), _DEADLINE_SECONDS)
            yield lambda: int(database.text("SELECT count() FROM sms FORMAT TSV"))
        finally:
            process.stop(15)

    def files(self, file_format: str) -> Figures:
        """Let the sink write every record to files."""
        root = Path(tempfile.mkdtemp(dir=self._folder))

        def written() -> int:
            names = (file.name.partition(".")[0] for file in root.glob("sms_status/*/[!.]*"))
            return sum(int(last) - int(first) + 1 for _, first, last in (name.split("-") for name in names))

        return self._measure("files", written, SINKS_FILES_ROOT=str(root), SINKS_FILES_FORMAT=file_format)

    def _measure(self, sink: str, written: Callable[[], int], **environment: str) -> Figures:
        """Time from the first batch to the last: the start of Python and the joining of a group do not count."""
        process = self._program("routee-sinks", sink, environment)
        process.start()
        measuring.pin(measuring.PROGRAM_CORE, process.pid)
        process.wait_until(lambda: written() > 0, _DEADLINE_SECONDS)
        first, started, cpu = written(), time.monotonic(), measuring.cpu_seconds(process.pid)
        while written() < self._rows:
            time.sleep(_EVERY_SECONDS)
            process.wait_until(lambda: time.monotonic() < started + _DEADLINE_SECONDS, 0)
        seconds, cpu = time.monotonic() - started, measuring.cpu_seconds(process.pid) - cpu
        figures = Figures(self._rows - first, seconds, cpu, measuring.peak_mb(process.pid))
        process.stop(15)
        self._forget(f"routee.sinks-{sink}")
        return figures

    def _forget(self, group: str) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self._kafka.bootstrap_servers)
        admin.delete_groups([group])
        admin.close()

    def _run(self, name: str, argument: str, **environment: str) -> None:
        process = self._program(name, argument, environment)
        process.start()
        process.require_success(60)

    def _program(self, name: str, argument: str, environment: Mapping[str, str]) -> Process:
        path = str(Path(sys.executable).with_name(name))
        log = self._folder / f"{name}-{argument}.log"
        return Process(name, (path, argument), log, {**self._environment, **environment})


def _ends(bootstrap_servers: str) -> dict[TopicPartition, int]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers)
    ends: dict[TopicPartition, int] = consumer.end_offsets(
        [TopicPartition(_TOPIC, number) for number in range(statuses.PARTITIONS)]
    )
    consumer.close()
    return ends


def read_alone(bootstrap_servers: str, rows: int, options: Mapping[str, Any]) -> Figures:
    """Read the topic by kafka-python alone, with these options."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, **options)
    consumer.assign([TopicPartition(_TOPIC, number) for number in range(statuses.PARTITIONS)])
    consumer.seek_to_beginning()
    first = _polled(consumer)
    started, cpu, read = time.monotonic(), time.process_time(), first
    while read < rows:
        read += _polled(consumer)
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    consumer.close()
    return Figures(read - first, seconds, cpu, measuring.peak_mb(os.getpid()))


def _polled(consumer: KafkaConsumer) -> int:
    return sum(map(len, consumer.poll(timeout_ms=200, max_records=5_000).values()))


if __name__ == "__main__":
    sys.exit(main())
