"""
Sharing the event loop: whoever has much to do lets others have a turn now and then.

Answers over HTTP, heartbeats and the consumer wait for their turn of the same loop.
"""

import asyncio
from time import monotonic
from typing import Final

TURN_SECONDS: Final = 0.002
"""A turn ends with the piece of work in which it becomes longer than this."""


class Turns:
    """The turns of one worker at its tasks; a turn is short, or one piece that cannot be divided."""

    def __init__(self) -> None:
        self._began = monotonic()
        self.one_at_a_time: Final = asyncio.Lock()
        """Hold it while doing a piece and offering the next turn: pieces begun together are done in one turn each."""

    async def offer(self) -> None:
        """Let others go on when this turn has become long; call where they may see everything as it is."""
        if monotonic() - self._began > TURN_SECONDS:
            await asyncio.sleep(0)
            self._began = monotonic()
