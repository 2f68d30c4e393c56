"""
Sharing the event loop: long work is divided into short turns.

HTTP answers, heartbeats and the consumer run in the same loop and wait for their turn.
"""

import asyncio
from time import monotonic
from typing import Final

TURN_SECONDS: Final = 0.002
"""A turn ends after the piece of work that exceeds this."""


class Turns:
    """Divides long work into turns. A turn is short, or one piece that cannot be divided."""

    def __init__(self) -> None:
        self._began = monotonic()
        self.one_at_a_time: Final = asyncio.Lock()
        """Serialises pieces that were started together, so that each gets a turn of its own."""

    async def offer(self) -> None:
        """Yield to other tasks when this turn has become long. Call it only where they may see the current state."""
        if monotonic() - self._began > TURN_SECONDS:
            await asyncio.sleep(0)
            self._began = monotonic()
