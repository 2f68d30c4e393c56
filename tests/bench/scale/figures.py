"""
The figures of one number of workers: each worker is asked on its own, before and after.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench import measuring
from tests.bench.measuring import Figures


@dataclass(frozen=True)
class Scaled:
    """The figures of so many workers; seconds until the others have the partitions of one that left, if any may."""

    figures: Figures
    rebalance_seconds: float | None = None


@dataclass(frozen=True)
class Worker:
    """A process under measure, and a way to ask how many items it has done."""

    pid: int
    done: Callable[[], float]


def over(workers: Sequence[Worker], seconds: float) -> Figures:
    """
    Return what the workers do together in that many seconds.

    A worker that has a tenth of a core answers late, so each has a time of its own: rates are added, not items.
    """
    before = [_look(worker) for worker in workers]
    time.sleep(seconds)
    after = [_look(worker) for worker in workers]
    rate = sum((b.done - a.done) / (b.at - a.at) for a, b in zip(before, after, strict=True))
    share = sum((b.cpu - a.cpu) / (b.at - a.at) for a, b in zip(before, after, strict=True))
    return Figures(rate * seconds, seconds, share * seconds, max(measuring.peak_mb(worker.pid) for worker in workers))


@dataclass(frozen=True)
class _Look:
    at: float
    done: float
    cpu: float


def _look(worker: Worker) -> _Look:
    done = worker.done()
    return _Look(time.monotonic(), done, measuring.cpu_seconds(worker.pid))
