"""
The figures of one number of workers: each worker is asked on its own, before and after.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench import measuring
from tests.bench.measuring import Figures

_EVERY_SECONDS: Final = 0.25
_LONGEST_BATCH_SECONDS: Final = 120.0


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
    return _together(workers, seconds, [*zip(before, after, strict=True)])


def over_batches(workers: Sequence[Worker], seconds: float, warming: int) -> Figures:
    """
    Return the same of workers whose items are done by batches of some seconds' work each.

    The time of a worker begins when a batch is done, after `warming` others, and ends with the first batch that is done
    after so many seconds more: no item is counted without its work. RuntimeError when no batch is done for long.
    """
    missing = batches = [_Batches(worker, warming, seconds) for worker in workers]
    while missing := [one for one in missing if one.are_missing()]:
        time.sleep(_EVERY_SECONDS)
    return _together(workers, seconds, [(one.began, one.latest) for one in batches])


class _Batches:
    """The batches of one worker, seen from outside."""

    def __init__(self, worker: Worker, warming: int, seconds: float) -> None:
        self.began = self.latest = _look(worker)
        self._worker = worker
        self._before_began = warming + 1
        self._seconds = seconds

    def are_missing(self) -> bool:
        """Look at the worker, unless all batches are done already; return whether more are needed."""
        if not self._before_began and self.latest.at - self.began.at >= self._seconds:
            return False
        now = _look(self._worker)
        if now.at - self.latest.at > _LONGEST_BATCH_SECONDS:
            raise RuntimeError("a worker has finished no batch for long: its backlog or its process ended")
        if now.done > self.latest.done:
            self.latest = now
            if self._before_began:
                self._before_began -= 1
                self.began = now
        return True


def _together(workers: Sequence[Worker], seconds: float, looks: Sequence[tuple["_Look", "_Look"]]) -> Figures:
    rate = sum((b.done - a.done) / (b.at - a.at) for a, b in looks)
    share = sum((b.cpu - a.cpu) / (b.at - a.at) for a, b in looks)
    return Figures(rate * seconds, seconds, share * seconds, max(measuring.peak_mb(worker.pid) for worker in workers))


@dataclass(frozen=True)
class _Look:
    at: float
    done: float
    cpu: float


def _look(worker: Worker) -> _Look:
    done = worker.done()
    return _Look(time.monotonic(), done, measuring.cpu_seconds(worker.pid))
