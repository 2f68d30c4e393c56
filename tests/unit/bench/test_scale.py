"""A rate of workers that work by batches counts whole batches: the work of each with its items, and no other work."""

import os

import pytest

from tests.bench import measuring
from tests.bench.scale import figures
from tests.bench.scale.figures import Worker, over_batches


class Clock:
    """Time that passes only in pauses."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the time; each second takes a tenth of a second of the processor."""
    clock = Clock()
    monkeypatch.setattr(figures, "time", clock)
    monkeypatch.setattr(measuring, "cpu_seconds", lambda _: clock.now / 10)
    return clock


def worker(clock: Clock, seconds: float, items: int, first: int = 0) -> Worker:
    """Return a worker whose batches take so long and have so many items, after a first batch of its own."""

    def done() -> float:
        return (clock.now >= seconds) * first + max(0, clock.now // seconds - 1) * items

    return Worker(os.getpid(), done)


@pytest.mark.parametrize("length", [1, 7, 20, 23])
def test_a_rate_does_not_depend_on_the_batch_that_a_run_ends_in(clock: Clock, length: float) -> None:
    found = over_batches([worker(clock, 5, 20_000)], length, warming=1)
    assert found.per_second == pytest.approx(4_000)
    assert found.cpu_per_million == pytest.approx(25)


def test_records_that_were_read_before_the_run_are_in_no_rate(clock: Clock) -> None:
    assert over_batches([worker(clock, 5, 20_000, first=90_000)], 20, warming=1).per_second == pytest.approx(4_000)


def test_workers_whose_batches_end_at_odds_have_times_of_their_own(clock: Clock) -> None:
    found = over_batches([worker(clock, 5, 20_000), worker(clock, 3, 6_000)], 20, warming=1)
    assert found.per_second == pytest.approx(6_000)


def test_a_backlog_that_ends_is_told(clock: Clock) -> None:
    ended = Worker(os.getpid(), lambda: 20_000 * min(3, clock.now // 5))
    with pytest.raises(RuntimeError, match="no batch for long"):
        over_batches([ended], 20, warming=1)
