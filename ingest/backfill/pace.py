"""
The rate of requests: never above the one that is set, and none while Routee asks to wait.
"""

import asyncio

from ingest.clock import Clock


class Pace:
    """Lets requests begin one after the other, in the order in which they asked: so jobs take turns by themselves."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._gap = 1 / per_second
        self._clock = clock
        self._next = clock.monotonic()
        self._turn = asyncio.Lock()

    async def turn(self) -> None:
        """Return when the next request may begin."""
        async with self._turn:
            while (wait := self._next - self._clock.monotonic()) > 0:
                await self._clock.sleep(wait)
            self._next = self._clock.monotonic() + self._gap

    def wait_seconds(self) -> float:
        """Return for how long no request may begin, 0 when one may."""
        return max(0.0, self._next - self._clock.monotonic())

    def pause(self, seconds: float) -> None:
        """Let no request begin for so long."""
        self._next = max(self._next, self._clock.monotonic() + seconds)
