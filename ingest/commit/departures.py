"""
When groups leave: a lone callback at once, many callbacks together.
"""

import asyncio
from typing import Final

from ingest.clock import Clock
from ingest.commit.pending import Pending

_FEW: Final = 4


class Departures:
    """
    Common departures of all lanes while more than a few callbacks are pending.

    Groups that leave together share a request to Kafka, which spares its client and its broker work. Departures are
    half as far apart as the last acknowledgement took, and at most `flush_seconds`. So waiting for others delays a
    callback little more than Kafka does, and a busy Kafka gets fewer and larger requests.
    """

    def __init__(self, pending: Pending, flush_seconds: float, clock: Clock) -> None:
        self._pending = pending
        self._flush_seconds = flush_seconds
        self._clock = clock
        self._seconds_apart = 0.0
        self._left_at = 0.0
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Return when a group that is ready may leave."""
        if self._pending.count <= _FEW or not self._flush_seconds:
            return
        if not self._waiting:
            wait = self._left_at + self._seconds_apart - self._clock.monotonic()
            self._clock.call_later(max(wait, 0.0), self._leave)
        # A future for each group costs a third of what one event for all did.
        leaves = asyncio.get_running_loop().create_future()
        self._waiting.append(leaves)
        await leaves

    def acknowledged(self, seconds: float) -> None:
        """Learn how long Kafka took for a group."""
        self._seconds_apart = min(self._flush_seconds, seconds / 2)

    def _leave(self) -> None:
        self._left_at = self._clock.monotonic()
        waiting, self._waiting = self._waiting, []
        for leaves in waiting:
            if not leaves.done():  # its lane was cancelled
                leaves.set_result(None)
