"""
Sharing the event loop: long work is divided into short turns.

HTTP answers, heartbeats and the consumer run in the same loop. All long work of a worker asks the same `Turns`, so a
round of the loop has one turn at most, however much there is to do.
"""

import asyncio
from collections import deque
from time import monotonic
from typing import Final

TURN_SECONDS: Final = 0.002
"""A turn ends after the piece of work that exceeds this."""


class Turns:
    """Divides the long work of one event loop into turns. A turn is short, or one piece that cannot be divided."""

    def __init__(self) -> None:
        self._began = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def offer(self) -> None:
        """
        Return at once while the current turn is short; else let all others of the loop go first, and then take a turn.

        Call it before each piece of work, where other tasks may see the current state.
        """
        if monotonic() - self._began <= TURN_SECONDS:
            return
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._begin)
        mine = loop.create_future()
        self._waiting.append(mine)
        await mine

    def _begin(self) -> None:
        """Give the next turn to the one that has waited for the longest time."""
        mine = self._waiting.popleft()
        if not mine.done():  # else it was cancelled
            self._began = monotonic()
            mine.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._begin)
