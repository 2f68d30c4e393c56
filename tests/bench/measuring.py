"""
The benchmarks' instruments: cores, processor time, memory, a program's own metrics, medians.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from typing import Final, Self
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port

PROGRAM_CORE: Final = 0
"""The core of the program that is measured; everything else has the other one."""
OTHER_CORE: Final = 1

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_SECONDS: Final = 5.0

HEADING: Final = f"{'':28} {'items':>9} {'per second':>10} {'CPU s/million':>14} {'RSS MB':>7}"


@dataclass(frozen=True)
class Figures:
    """One program on one load: wall seconds, CPU seconds of the process, peak memory in MB."""

    items: float
    seconds: float
    cpu: float
    rss: float

    @property
    def per_second(self) -> float:
        """Return the rate."""
        return self.items / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """Return the CPU seconds for a million items."""
        return self.cpu * 1e6 / self.items

    def row(self, name: str) -> str:
        """Return the figures as a line below `HEADING`."""
        return f"{name:28} {self.items:9,.0f} {self.per_second:10,.0f} {self.cpu_per_million:14.1f} {self.rss:7.0f}"

    @classmethod
    def median(cls, runs: Sequence[Self]) -> Self:
        """Return the median of each figure."""
        return cls(*map(median, zip(*map(astuple, runs), strict=True)))


def pin(core: int, pid: int = 0) -> None:
    """Keep a process, and what it starts from then on, on one core, where the machine has it."""
    there = os.sched_getaffinity(pid)
    os.sched_setaffinity(pid, {core} & set(range(os.cpu_count() or 1)) or there)


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mb(pid: int) -> int:
    """Return the most memory that a process had in RAM."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def metric(url: str, name: str) -> float:
    """Return the sum of all samples of a metric; 0 while the page does not answer."""
    return sum(samples(url, name))


def samples(url: str, name: str, **labels: str) -> list[float]:
    """Return the samples of a metric that have these labels; none while the page does not answer."""
    return [sample.value for sample in _samples(url, name, labels)]


def label_values(url: str, name: str, label: str, **labels: str) -> set[str]:
    """Return the values of a label in the samples of a metric with these other labels; none while nothing answers."""
    return {sample.labels[label] for sample in _samples(url, name, labels)}


def _samples(url: str, name: str, labels: Mapping[str, str]) -> list[Sample]:
    try:
        with urlopen(url, timeout=_PAGE_SECONDS) as page:  # noqa: S310 - our own program
            text = page.read().decode()
    except OSError:
        return []
    return [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def yardstick_ms() -> float:
    """Return how long the core of the measured program takes for a fixed piece of Python work, in ms: its speed now."""
    code = (
        f"import os, time; os.sched_setaffinity(0, {{{PROGRAM_CORE}}}); took = []\n"
        "for _ in range(15):\n"
        "    started, total, kept = time.process_time(), 0, {}\n"
        "    for number in range(60_000): kept[number & 1023] = (number, total); total += len(kept)\n"
        "    took.append(time.process_time() - started)\n"
        "print(sorted(took)[7] * 1000)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


@contextmanager
def stores(folder: Path) -> Iterator[tuple[KafkaCluster, ClickHouseServer]]:
    """Run a broker and an engine for the length of the block."""
    with (
        KafkaCluster(folder / "kafka", free_port()) as kafka,
        ClickHouseServer(folder / "clickhouse", free_port()) as clickhouse,
    ):
        yield kafka, clickhouse


def say(line: str) -> None:
    """Show a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
