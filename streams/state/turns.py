"""
Sharing the event loop: long work is divided into short turns.

HTTP answers, heartbeats and the consumer run in the same loop. All long work of a worker asks the same `Turns`, so a
round of the loop has one turn at most, however much there is to do. An answer that a reader waits for goes first, but
takes every second turn at most, so that readers never hold the callbacks up.
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
        self._answers: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()
        self._was_answer = False

    async def offer(self, *, answer: bool = False) -> None:
        """
        Return at once while the current turn is short; else let all others of the loop go first, and then take a turn.

        Call it before each piece of work, where other tasks may see the current state. `answer` says that a reader
        waits for this work.
        """
        if monotonic() - self._began <= TURN_SECONDS:
            return
        loop = asyncio.get_running_loop()
        if not self._answers and not self._others:
            loop.call_soon(self._begin)
        mine = loop.create_future()
        (self._answers if answer else self._others).append(mine)
        await mine

    def _begin(self) -> None:
        """Give the next turn to the answer, or to the other work, that has waited for the longest time."""
        self._was_answer = bool(self._answers) and not (self._was_answer and self._others)
        mine = (self._answers if self._was_answer else self._others).popleft()
        if not mine.done():  # else it was cancelled
            self._began = monotonic()
            mine.set_result(None)
        if self._answers or self._others:
            asyncio.get_running_loop().call_soon(self._begin)
