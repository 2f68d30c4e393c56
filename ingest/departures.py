"""
When batches leave: a lone callback at once, a crowd together.
"""

import asyncio
from time import monotonic
from typing import Final

_CROWD: Final = 4


class Pending:
    """What was taken and is not yet acknowledged, over all lanes: callbacks, and bytes (also of unfinished bodies)."""

    __slots__ = ("count", "size")

    def __init__(self) -> None:
        self.count = 0
        self.size = 0


class Departures:
    """
    Common departures of all lanes, `flush_s` apart, for as long as more than a few callbacks are pending.

    Leaving together spares Kafka's client and its broker requests: one carries the batches of all partitions.
    """

    def __init__(self, pending: Pending, flush_s: float) -> None:
        self._pending = pending
        self._flush_s = flush_s
        self._left = 0.0
        self._next: asyncio.Event | None = None

    async def wait(self) -> None:
        """Return when a batch that is ready may leave."""
        if self._pending.count <= _CROWD or not self._flush_s:
            return
        if self._next is None:
            self._next = asyncio.Event()
            wait = self._left + self._flush_s - monotonic()
            asyncio.get_running_loop().call_later(max(wait, 0.0), self._leave)
        await self._next.wait()

    def _leave(self) -> None:
        self._left = monotonic()
        if self._next is not None:
            self._next.set()
        self._next = None
