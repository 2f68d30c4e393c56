"""
How fast streams and sinks work off what lies in Kafka, each alone on a core, Kafka and ClickHouse on the other.

`python -m tests.bench.pipeline --help`. Callbacks have all 20 fields, about 800 bytes, three per SMS.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.request import urlopen
from uuid import UUID

import orjson
from kafka import KafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from sandbox.audit.clickhouse import ClickHouse
from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from sandbox.process import Process
from streams.contract.codec import format_time
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW
from tests.builders import sms_callback

_PROGRAM_CORE, _OTHER_CORE = 0, 1
_PARTITIONS: Final = 8
_CAMPAIGNS: Final = 20
_DEADLINE_S: Final = 600.0
_STEPS: Final = (("Queued", 30), ("Sent", 29), ("Delivered", 26))
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_TEXT: Final = (
    "Dear customer, the autumn sale starts tomorrow at nine in all our shops. Show this message at the till for "
    "15 per cent off. Text STOP to hear no more."
)


@dataclass(frozen=True)
class Figures:
    """One program on one load: wall seconds from its start on, CPU seconds of the process, peak memory in MB."""

    items: int
    seconds: float
    cpu: float
    rss: int

    def row(self, name: str) -> str:
        """Return the figures as a line of the table."""
        rate, cpu = self.items / self.seconds, self.cpu * 1e6 / self.items
        return f"{name:28} {self.items:9,} {rate:10,.0f} {cpu:14.1f} {self.rss:7}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pipeline", description=__doc__)
    parser.add_argument("--callbacks", type=int, default=150_000)
    parser.add_argument("--envelope", type=int, default=50, help="callbacks per raw record")
    parser.add_argument("--store", default="rocksdict", choices=("rocksdict", "memory"))
    given = parser.parse_args(arguments)
    os.sched_setaffinity(0, {_OTHER_CORE})
    with tempfile.TemporaryDirectory(prefix="routee-bench-") as folder, stores(Path(folder)) as (kafka, clickhouse):
        bench = Bench(Path(folder), kafka, clickhouse, given.store)
        bench.prepare(given.callbacks, given.envelope)
        _say(f"{'':28} {'items':>9} {'per second':>10} {'CPU s/million':>14} {'RSS MB':>7}")
        _say(bench.streams().row(f"streams, envelopes of {given.envelope}"))
        _say(bench.clickhouse_sink().row("sink to ClickHouse, rows"))
        _say(bench.files_sink().row("sink to Parquet, rows"))
    return 0


@contextmanager
def stores(folder: Path) -> Iterator[tuple[KafkaCluster, ClickHouseServer]]:
    """Run a broker and an engine for the length of the block."""
    with (
        KafkaCluster(folder / "kafka", free_port()) as kafka,
        ClickHouseServer(folder / "clickhouse", free_port()) as clickhouse,
    ):
        yield kafka, clickhouse


class Bench:
    """The programs, one after the other, on the same records."""

    def __init__(self, folder: Path, kafka: KafkaCluster, clickhouse: ClickHouseServer, store: str) -> None:
        self._folder = folder
        self._kafka = kafka
        self._database = ClickHouse(clickhouse.url, clickhouse.user, "routee")
        self._web_port, self._sinks_port = free_port(), free_port()
        self._callbacks = 0
        self._environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA_PARTITIONS": str(_PARTITIONS),
            "CLICKHOUSE_URL": clickhouse.url,
            "STREAMS_DATA_DIR": str(folder / "state"),
            "STREAMS_STORE": store,
            "STREAMS_WEB_PORT": str(self._web_port),
            "SINKS_METRICS_PORT": str(self._sinks_port),
            "SINKS_FILES_ROOT": str(folder / "files"),
        }

    def prepare(self, callbacks: int, envelope: int) -> None:
        """Make topics and schema, and fill the raw topic."""
        for command in (("routee-streams", "topics"), ("routee-sinks", "schema")):
            process = self._program(*command)
            process.start()
            process.require_success(60)
        self._callbacks = callbacks
        fill(self._kafka.bootstrap_servers, callbacks, envelope)

    def streams(self) -> Figures:
        """Let a worker take in everything."""
        return self._measure(("routee-streams", "worker"), self._taken_in, lambda: self._callbacks)

    def clickhouse_sink(self) -> Figures:
        """Let the sink write every status to ClickHouse."""
        return self._measure(("routee-sinks", "clickhouse"), self._rows_written, lambda: self._callbacks)

    def files_sink(self) -> Figures:
        """Let the sink write every status to files."""
        return self._measure(("routee-sinks", "files"), self._rows_in_files, lambda: self._callbacks)

    def _program(self, name: str, argument: str) -> Process:
        path = str(Path(sys.executable).with_name(name))
        return Process(name, (path, argument), self._folder / f"{name}-{argument}.log", self._environment)

    def _measure(self, command: tuple[str, str], done: Callable[[], int], wanted: Callable[[], int]) -> Figures:
        """Time from the first item to the last: starting Python and joining a group is not what is measured."""
        process = self._program(*command)
        process.start()
        os.sched_setaffinity(process.pid, {_PROGRAM_CORE})
        _wait(process, lambda: done() > 0)
        first, started, cpu = done(), time.monotonic(), _cpu(process.pid)
        _wait(process, lambda: done() >= wanted())
        figures = Figures(wanted() - first, time.monotonic() - started, _cpu(process.pid) - cpu, _peak_mb(process.pid))
        process.stop(15)
        return figures

    def _taken_in(self) -> int:
        return int(metric(f"http://127.0.0.1:{self._web_port}/metrics", "routee_streams_accepted_total"))

    def _rows_written(self) -> int:
        return int(self._database.text("SELECT count() FROM sms_status_history FORMAT TSV"))

    def _rows_in_files(self) -> int:
        names = (file.stem for file in (self._folder / "files" / "sms_status").glob("*/*.parquet"))
        return sum(int(last) - int(first) + 1 for _, first, last in (name.split("-") for name in names))


def fill(bootstrap_servers: str, callbacks: int, envelope: int) -> None:
    """Write envelopes of callbacks to the raw topic, each of one partition, as ingest would."""
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", linger_ms=20, batch_size=500_000)
    chance, now = random.Random(1), datetime.now(UTC)  # noqa: S311 - the same load in every run
    waiting: dict[int, list[bytes]] = {}
    messages = [str(UUID(int=chance.getrandbits(128))) for _ in range(callbacks // len(_STEPS))]
    for status, seconds_ago in _STEPS:
        at = format_time(now - timedelta(seconds=seconds_ago))
        for number, message in enumerate(messages):
            partition = partition_of(message, _PARTITIONS)
            bodies = waiting.setdefault(partition, [])
            bodies.append(_body(message, number % _CAMPAIGNS, status, at))
            if len(bodies) == envelope:
                _send(producer, partition, waiting.pop(partition))
    for partition, bodies in waiting.items():
        _send(producer, partition, bodies)
    producer.flush()
    producer.close()


def _body(message: str, campaign: int, status: str, at: str) -> bytes:
    reason = {"detailedStatus": status, "description": "The SMS was sent and it was delivered to its recipient."}
    return orjson.dumps(
        sms_callback(
            status,
            at,
            message_id=message,
            sms_id=message[::-1],
            campaign=f"c0ffee00-0000-4000-8000-{campaign:012d}",
            reason=reason,
            message=_TEXT,
        )
    )


def _send(producer: KafkaProducer, partition: int, bodies: list[bytes]) -> None:
    head = f'{{"received_at":"{format_time(datetime.now(UTC))}","callbacks":['.encode()
    topic = CALLBACKS_RAW.name("routee.")
    producer.send(topic, head + b",".join(bodies) + b"]}", partition=partition)


def metric(url: str, name: str) -> float:
    """Return the sum of all samples of a metric; 0 while the page does not answer."""
    try:
        with urlopen(url, timeout=5) as page:  # noqa: S310 - our own program
            text = page.read().decode()
    except OSError:
        return 0.0
    families = text_string_to_metric_families(text)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def _wait(process: Process, condition: Callable[[], bool]) -> None:
    process.wait_until(condition, _DEADLINE_S)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - figures are for people


if __name__ == "__main__":
    sys.exit(main())
