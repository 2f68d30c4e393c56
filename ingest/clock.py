"""
The time, as ingest asks for it: the server hands in the machine's, tests hand in one that stands still.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

PATIENCE_SECONDS: Final = 60.0


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Do not call."""


class Clock(Protocol):
    """The time, and calls at a later time."""

    def monotonic(self) -> float:
        """Return seconds that never go back; only differences mean anything."""

    def wall(self) -> float:
        """Return seconds since 1970."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back after so many seconds, unless the timer is cancelled; needs a running loop."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""


class Patience:
    """How long a reader waits for the next records of a topic whose end it has not reached: a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.monotonic()

    def lasts(self, *, got_on: bool) -> bool:
        """Tell whether to ask again, after an answer with records or without."""
        now = self._clock.monotonic()
        if got_on:
            self._last = now
        return now - self._last < PATIENCE_SECONDS


class SystemClock:
    """The machine's clock, and the timers of the running event loop."""

    # Functions of C, called without a frame of ours: a callback asks for the time once or twice.
    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back after so many seconds."""
        return asyncio.get_running_loop().call_later(seconds, callback)

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await asyncio.sleep(seconds)
