"""
The time, as ingest asks for it: the server hands in the machine's, tests hand in one that stands still.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


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
