"""
A clock that stands still until a test moves it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class FakeTimer:
    """A call that is to come when the clock is moved that far."""

    at: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Do not call."""
        self.cancelled = True


class FakeClock:
    """A clock for `ingest.clock.Clock`; `now` is monotonic, `wall_now` the wall clock's time. Both move together."""

    def __init__(self, now: float = 1_000.0, wall_now: float = 1_795_348_800.0) -> None:
        self.now = now
        self.wall_now = wall_now
        self._timers: list[FakeTimer] = []

    def monotonic(self) -> float:
        """Return `now`."""
        return self.now

    def wall(self) -> float:
        """Return `wall_now`."""
        return self.wall_now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> FakeTimer:
        """Call back when the clock has been moved so far."""
        timer = FakeTimer(self.now + seconds, callback)
        self._timers.append(timer)
        return timer

    async def sleep(self, seconds: float) -> None:
        """Return when the clock has been moved so far."""
        over = asyncio.Event()
        self.call_later(seconds, over.set)
        await over.wait()

    def advance(self, seconds: float) -> None:
        """Move on, and make the calls that become due on the way, each at its time."""
        end = self.now + seconds
        while due := [timer for timer in self._timers if timer.at <= end and not timer.cancelled]:
            timer = min(due, key=lambda one: one.at)
            self._timers.remove(timer)
            self._move_to(timer.at)
            timer.callback()
        self._move_to(end)

    def _move_to(self, now: float) -> None:
        self.wall_now += now - self.now
        self.now = now
