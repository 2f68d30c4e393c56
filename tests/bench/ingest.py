"""
How fast and how cheap ingest is: durable 200s a second, latency, processor time, memory, and a peer in the same run.

The server has one core to itself; Kafka and the clients share another. Every 200 is counted again in Kafka.
`python -m tests.bench.ingest --help`.
"""

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from statistics import median

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from streams.contract.topics import CALLBACKS_RAW
from tests.bench.ingest_load import HEAD, SECRET, Figures, children, cpu_seconds, load, middle, resident_mb
from tests.bench.share import limited
from tests.integration.ingest.process import Ingest, environment, ingest
from tests.integration.ingest.topics import callbacks_in, create_topics
from tests.support.listening import accepts_connections
from tests.support.wait import eventually

_SERVER_CORE, _OTHER_CORE = 0, 1
_CONNECTIONS = (1, 16, 64, 256, 512, 1000, 5000)
_PARTITIONS = (4, 8, 32)
_IDLE = 5000
_SHARE = 0.2
_SOAK_MINUTES = 10
_GO_SERVER = Path(__file__).with_name("go_ingest")


@dataclass(frozen=True)
class Plan:
    """How many runs, and how long each."""

    runs: int
    seconds: float


class Bench:
    """A Kafka for all servers that are measured, and the folder they run in."""

    def __init__(self, plan: Plan, folder: Path, kafka: KafkaCluster) -> None:
        self._plan, self._folder, self._kafka = plan, folder, kafka
        self._count = 0
        self.lost = 0

    def goals(self) -> None:
        """Measure the goals of ingest, one round after the other, each with every server."""
        _say("\nbeside FastAPI with send_and_wait, 8 partitions", HEAD)
        loads = (1, 64, 256, 512)
        command = [sys.executable, "-m", "tests.bench.ingest_baseline"]
        with self._serving() as server, self._peer(command) as (port, pid):
            rounds = [
                [*(self._load(server, connections) for connections in loads), load(port, 256, self._plan.seconds, pid)]
                for _ in range(self._plan.runs)
            ]
        *ours, baseline = (middle(runs) for runs in zip(*rounds, strict=True))
        for connections, figures in zip(loads, ours, strict=True):
            _say(figures.row(f"ingest, {connections} connections"))
        _say(baseline.row("FastAPI, 256 connections"))
        at_256 = ours[loads.index(256)]
        _say(f"at 256: {at_256.rate / baseline.rate:.1f} times its rate, 1/{baseline.cpu / at_256.cpu:.1f} of its CPU")

    def go(self) -> None:
        """Measure ingest beside a server in Go, one run of each in turns."""
        if which("go") is None:
            _say("\nleft out: beside net/http with franz-go, which needs Go")
            return
        _say("\nbeside net/http with franz-go, 8 partitions", HEAD)
        program = str(self._folder / "go-ingest")
        build = ["go", "build", "-o", program, "."]
        subprocess.run(build, cwd=_GO_SERVER, env=os.environ | {"GOFLAGS": "-mod=readonly"}, check=True)
        for connections in (64, 256):
            with self._serving() as server, self._peer([program], GOMAXPROCS="1") as (port, pid):
                rounds = [
                    (self._load(server, connections), load(port, connections, self._plan.seconds, pid))
                    for _ in range(self._plan.runs)
                ]
            ours, theirs = (middle(runs) for runs in zip(*rounds, strict=True))
            _say(ours.row(f"ingest, {connections} connections"), theirs.row(f"Go, {connections} connections"))
            share = median(mine.cpu / its.cpu for mine, its in rounds)
            _say(f"at {connections}: {ours.rate / theirs.rate:.2f} times its rate, {share:.2f} of its CPU")

    def connections(self) -> None:
        """Measure from one connection to thousands."""
        _say("\nkeep-alive connections, 8 partitions", HEAD)
        with self._serving() as server:
            for connections in _CONNECTIONS:
                self._row(server, connections, f"{connections} connections")

    def partitions(self) -> None:
        """Measure few and many partitions."""
        _say("\npartitions, 256 connections", HEAD)
        for partitions in _PARTITIONS:
            with self._serving(partitions) as server:
                self._row(server, 256, f"{partitions} partitions")

    def workers(self) -> None:
        """
        Measure one worker, and two.

        With two on two cores, Kafka and the clients take from the same two. So the second table gives each worker a
        fifth of the server's core, on which nothing else runs: it shows whether a second worker doubles the first.
        """
        with ExitStack() as stack:
            servers = [stack.enter_context(self._serving(workers=workers)) for workers in (1, 2)]
            _say("\nworkers, 8 partitions, 256 connections", HEAD)
            self._beside(servers, 256)
            for server in servers:
                for pid in children(server.process.pid) or [server.process.pid]:
                    stack.enter_context(limited(pid, _SHARE))
                    _settle_on({_SERVER_CORE}, pid)
            _say(f"\nworkers that have {_SHARE:.0%} of a core each, 128 connections", HEAD)
            self._beside(servers, 128)

    def _beside(self, servers: Sequence[Ingest], connections: int) -> None:
        """Measure servers in turns: the processor changes its speed, but not for one of them only."""
        rounds = [[self._load(server, connections) for server in servers] for _ in range(self._plan.runs)]
        one, two = (middle(runs) for runs in zip(*rounds, strict=True))
        _say(one.row("1 worker"), two.row("2 workers"), f"2 workers: {two.rate / one.rate:.2f} times the rate of one")

    def soak(self) -> None:
        """Watch memory over ten minutes of work."""
        _say("\nten minutes, 64 connections", HEAD)
        with self._serving() as server:
            for minute in range(1, _SOAK_MINUTES + 1):
                _say(load(server.port, 64, 60.0, server.process.pid).row(f"minute {minute}"))

    def idle(self) -> None:
        """Measure the cost of idle connections."""
        _say(f"\n{_IDLE} idle connections")
        with self._serving() as server:
            pid = server.process.pid
            load(server.port, 64, 1.0, pid)
            before = resident_mb(pid)
            held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(_IDLE)]
            eventually(lambda: server.metric("connections") > _IDLE)
            cpu, began = cpu_seconds(pid), time.monotonic()
            time.sleep(5.0)
            share = (cpu_seconds(pid) - cpu) / (time.monotonic() - began)
            _say(f"memory {before:.1f} -> {resident_mb(pid):.1f} MB, CPU {share:.1%} of a core")
            for one in held:
                one.close()

    def _row(self, server: Ingest, connections: int, name: str) -> None:
        _say(middle([self._load(server, connections) for _ in range(self._plan.runs)]).row(name))

    def _load(self, server: Ingest, connections: int) -> Figures:
        return load(server.port, connections, self._plan.seconds, server.process.pid)

    @contextmanager
    def _serving(self, partitions: int = 8, workers: int = 1) -> Iterator[Ingest]:
        """Run a server on a core of its own, and count its 200s again in Kafka."""
        settings = self._settings(partitions) | {"INGEST_WORKERS": str(workers)}
        folder = self._folder / settings["KAFKA_TOPIC_PREFIX"]
        folder.mkdir()
        with ingest(folder, settings, is_measured=True) as server:
            _settle_on({_SERVER_CORE} if workers == 1 else {_SERVER_CORE, _OTHER_CORE}, server.process.pid)
            server.wait_ready()
            yield server
            accepted = int(server.metric("accepted_total"))
        topic = CALLBACKS_RAW.name(settings["KAFKA_TOPIC_PREFIX"])
        stored = sum(1 for _ in callbacks_in(self._kafka.bootstrap_servers, topic))
        self.lost += max(0, accepted - stored)
        _say(f"{'':>28} answered 200: {accepted}, in Kafka: {stored}")

    @contextmanager
    def _peer(self, command: Sequence[str], **more: str) -> Iterator[tuple[int, int]]:
        """Run another server on the same core, with the settings of ingest; gives its port and process."""
        port = free_port()
        settings = self._settings(8) | {"INGEST_PORT": str(port)} | more
        log = (self._folder / f"{Path(command[-1]).name}.log").open("wb")
        with log, subprocess.Popen(command, env=settings, stderr=log) as server:
            _settle_on({_SERVER_CORE}, server.pid)
            eventually(lambda: accepts_connections(port), 30)
            try:
                yield port, server.pid
            finally:
                server.terminate()

    def _settings(self, partitions: int) -> dict[str, str]:
        self._count += 1
        prefix = f"bench{self._count}."
        create_topics(self._kafka.bootstrap_servers, prefix, partitions)
        return environment(self._kafka.bootstrap_servers, prefix, kafka_partitions=partitions, ingest_secrets=SECRET)


PARTS = ("goals", "go", "connections", "partitions", "workers", "idle", "soak")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its tables; returns 1 when a 200 is missing in Kafka."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ingest", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--runs", type=int, default=5, help="runs of which the median is shown")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a run")
    parser.add_argument("--quick", action="store_true", help="one run of a second: whether it works, not how well")
    given = parser.parse_args(arguments)
    plan = Plan(1, 1.0) if given.quick else Plan(given.runs, given.seconds)
    _say(f"median of {plan.runs} runs of {plan.seconds} s")
    with _alone(), tempfile.TemporaryDirectory(prefix="bench-ingest-") as name:
        folder = Path(name)
        with KafkaCluster(folder / "kafka", free_port()) as kafka:
            bench = Bench(plan, folder, kafka)
            for part in given.parts or PARTS:
                getattr(bench, part)()
    return 1 if bench.lost else 0


@contextmanager
def _alone() -> Iterator[None]:
    """Leave the server's core to it, and let connections be as many as the machine allows."""
    cores = os.sched_getaffinity(0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _settle_on({_OTHER_CORE}, 0)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _settle_on(cores: set[int], pid: int) -> None:
    """Keep a process on these cores, as far as the machine has them."""
    os.sched_setaffinity(pid, cores & _ALL_CORES or _ALL_CORES)


_ALL_CORES = os.sched_getaffinity(0)


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
