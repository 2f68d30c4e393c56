"""
When batches leave: a lone callback at once, a crowd together.
"""

import asyncio
from time import monotonic
from typing import Final

from ingest.commit.pending import Pending

_CROWD: Final = 4


class Departures:
    """
    Common departures of all lanes for as long as more than a few callbacks are pending.

    Leaving together spares Kafka's client and its broker requests: one carries the batches of all partitions. They
    are half as far apart as the last acknowledgement took, at most `flush_s`: waiting for company makes nobody much
    later than Kafka does, and a Kafka that has much to do gets fewer and larger requests.
    """

    def __init__(self, pending: Pending, flush_s: float) -> None:
        self._pending = pending
        self._flush_s = flush_s
        self._apart_s = 0.0
        self._left = 0.0
        self._next: asyncio.Event | None = None

    async def wait(self) -> None:
        """Return when a batch that is ready may leave."""
        if self._pending.count <= _CROWD or not self._flush_s:
            return
        if self._next is None:
            self._next = asyncio.Event()
            wait = self._left + self._apart_s - monotonic()
            asyncio.get_running_loop().call_later(max(wait, 0.0), self._leave)
        await self._next.wait()

    def acknowledged(self, took_s: float) -> None:
        """Learn how long Kafka took for a batch."""
        self._apart_s = min(self._flush_s, took_s / 2)

    def _leave(self) -> None:
        self._left = monotonic()
        if self._next is not None:
            self._next.set()
        self._next = None
