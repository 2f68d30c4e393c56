"""
Workers under measure: real processes on one core, looked at from outside.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.request import urlopen

from sandbox.ports import free_port
from sandbox.process import Process
from tests.bench import measuring
from tests.bench.callbacks import PARTITIONS
from tests.bench.measuring import Figures

DEADLINE_SECONDS: Final = 600.0
_EVERY_SECONDS: Final = 0.25
_SLOWEST_PER_SECOND: Final = 5_000
"""Callbacks that a worker takes in at least, when there are many."""


class Job:
    """The topics of one prefix, and a worker on them."""

    def __init__(self, folder: Path, servers: str, prefix: str, store: str, settings: dict[str, str]) -> None:
        folder.mkdir()
        self.prefix = prefix
        self.servers = servers
        self.partitions = int(settings.get("KAFKA_PARTITIONS", PARTITIONS))
        self.state = folder / "state"
        """The worker's STREAMS_DATA_DIR."""
        self._folder = folder
        self._environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "KAFKA_TOPIC_PREFIX": prefix,
            "KAFKA_PARTITIONS": str(PARTITIONS),
            "STREAMS_DATA_DIR": str(self.state),
            "STREAMS_STORE": store,
            **settings,
        }
        self._port = free_port(together=2)
        topics = self._program("topics")
        topics.start()
        topics.require_success(60)

    def _program(self, argument: str, **settings: str) -> Process:
        path = str(Path(sys.executable).with_name("routee-streams"))
        environment = {**self._environment, **settings}
        return Process("streams", (path, argument), self._folder / f"{argument}.log", environment)

    def start(self, port: int, **settings: str) -> Process:
        """Start a worker with its read API on a port and its pages on the next; the caller stops it."""
        process = self._program("worker", STREAMS_WEB_PORT=str(port), STREAMS_ADMIN_PORT=str(port + 1), **settings)
        process.start()
        measuring.pin(measuring.PROGRAM_CORE, process.pid)
        return process

    @contextmanager
    def worker(self) -> Iterator[Process]:
        """Run a worker for the length of the block; it is killed if it does not stop."""
        process = self.start(self._port)
        try:
            yield process
        finally:
            process.stop(30)

    def accepted(self) -> int:
        """Return how many callbacks were taken in."""
        return accepted(self._port)

    def is_ready(self) -> bool:
        """Tell whether the worker has taken over all partitions."""
        return owned(self._port) == self.partitions

    def restored(self) -> tuple[int, float]:
        """Return how many rows the worker restored at its start, and the seconds; 0 seconds: it is not done yet."""
        page = f"http://127.0.0.1:{pages_of(self._port)}/metrics"
        rows, seconds = (measuring.metric(page, f"routee_streams_restore{name}") for name in ("d_records", "_seconds"))
        return int(rows), seconds

    def forget_local_state(self) -> None:
        """Delete the worker's folder."""
        shutil.rmtree(self.state)

    def local_state_bytes(self) -> int:
        """Return how much disk the worker's folder takes."""
        return sum(file.stat().st_size for file in self.state.rglob("*") if file.is_file())

    def measure(self, process: Process, wanted: int, before: int = 0) -> Figures:
        """
        Measure from the first callback to the last: starting Python and joining a group are not the job.

        `before` is how many callbacks the state contains already.
        """
        samples = self.watch(process, wanted, before)
        return stretch(samples[0], samples[-1])

    def watch(self, process: Process, wanted: int, before: int = 0) -> list["Sample"]:
        """Look at a worker a few times a second, from its first callback until it has taken in so many."""
        samples: list[Sample] = []

        def is_done() -> bool:
            # Each answer costs the worker time that is not the job's.
            time.sleep(_EVERY_SECONDS)
            accepted = self.accepted()
            if accepted > before:
                cpu, rss = measuring.cpu_seconds(process.pid), measuring.peak_mb(process.pid)
                samples.append(Sample(accepted, time.monotonic(), cpu, rss))
            return accepted >= before + wanted

        process.wait_until(is_done, DEADLINE_SECONDS + wanted / _SLOWEST_PER_SECOND)
        return samples


class Team:
    """Workers of one group, two at first; others join and leave; all are stopped at the end of the block."""

    def __init__(self, job: Job, workers: int = 2) -> None:
        self._job = job
        self._workers = workers
        self._running: dict[int, Process] = {}

    def __enter__(self) -> Self:
        for _ in range(self._workers):
            self.join()
        self.wait_until_settled()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.stop(30)

    def join(self, port: int = 0) -> None:
        """Start one more worker."""
        port = port or free_port(together=2)
        self._running[port] = self._job.start(port)

    def leave(self) -> None:
        """Stop the oldest worker as a person would."""
        self._running.pop(next(iter(self._running))).stop(30)

    def kill(self) -> None:
        """Kill the oldest worker; the others have to notice."""
        self._running.pop(next(iter(self._running))).kill()

    def kill_and_replace(self) -> None:
        """Kill the oldest worker and start it again, as a supervisor does."""
        port = next(iter(self._running))
        self._running.pop(port).kill()
        self.join(port)

    @property
    def ports(self) -> list[int]:
        """Return where the workers answer."""
        return [*self._running]

    def accepted(self) -> int:
        """Return how many callbacks the workers have taken in."""
        return sum(accepted(port) for port in self._running)

    def wait_until_taken_in(self, count: int) -> None:
        """Return when so many callbacks are taken in."""
        self._newest.wait_until(lambda: self.accepted() >= count, DEADLINE_SECONDS)

    def wait_until_settled(self) -> None:
        """Return when every worker has partitions, and all partitions a worker."""
        self._newest.wait_until(self._is_settled, DEADLINE_SECONDS)

    def wait_until_standing_by(self) -> None:
        """Return when every partition has a hot standby, if there is a second worker."""
        if len(self._running) > 1:
            self._newest.wait_until(lambda: sum(map(at_hand, self._running)) == PARTITIONS, DEADLINE_SECONDS)

    @property
    def _newest(self) -> Process:
        return self._running[next(reversed(self._running))]

    def _is_settled(self) -> bool:
        shares = [owned(port) for port in self._running]
        return all(shares) and sum(shares) == PARTITIONS


@dataclass(frozen=True)
class Sample:
    """The work a worker had done at a moment."""

    accepted: int
    at: float
    cpu: float
    rss: int


def nearest(samples: list[Sample], accepted: int) -> Sample:
    """Return the sample that is nearest to a number of callbacks."""
    return min(samples, key=lambda sample: abs(sample.accepted - accepted))


def stretch(begin: Sample, end: Sample) -> Figures:
    """Return the figures between two samples."""
    return Figures(end.accepted - begin.accepted, end.at - begin.at, end.cpu - begin.cpu, end.rss)


def accepted(port: int) -> int:
    """Return how many callbacks a worker has taken in."""
    return _metric(port, "routee_streams_accepted_total")


def at_hand(port: int) -> int:
    """Return how many standby partitions a worker has."""
    return _metric(port, "routee_streams_standby_partitions")


def _metric(port: int, name: str) -> int:
    return int(measuring.metric(f"http://127.0.0.1:{pages_of(port)}/metrics", name))


def pages_of(port: int) -> int:
    """Return the port of the pages of the worker whose read API is on a port."""
    return port + 1


def owned(port: int) -> int:
    """Return how many partitions of the SMS a worker owns, none during a takeover."""
    try:
        with urlopen(f"http://127.0.0.1:{pages_of(port)}/readyz", timeout=5) as page:
            return len(json.load(page)["partitions"]["sms"])
    except OSError:
        return 0
