"""
A log line for a share of the requests, to look for single ones; off unless asked for. Metrics count them all.
"""

import logging
import random
from typing import Final

from ingest.clock import Clock
from ingest.commit.lane import Outcome, Waiter
from ingest.http.admission import Refused

logger = logging.getLogger(__name__)

_STATUS: Final = {Outcome.STORED: 200, Outcome.FAILED: 503}


class AccessLog:
    """Writes a line for a share of all requests: never a path (it has the secret), never a body."""

    def __init__(self, share: float, clock: Clock) -> None:
        self._share = share
        self._clock = clock

    def watch(self, waiter: Waiter, peer: str, size: int, came: float) -> Waiter:
        """Return the waiter itself, or one in its place that also logs the outcome if the request is in the sample."""
        return _Watched(waiter, peer, size, came, self._clock) if self._is_sampled() else waiter

    def refused(self, peer: str, refused: Refused) -> None:
        """Log a refused request if it is in the sample."""
        if self._is_sampled():
            logger.info("refused", extra={"peer": peer, "status": refused.status, "cause": refused.cause})

    def _is_sampled(self) -> bool:
        return random.random() < self._share  # noqa: S311 - a sample, no secret


class _Watched:
    """A waiter that passes the outcome on and logs it."""

    def __init__(self, waiter: Waiter, peer: str, size: int, came: float, clock: Clock) -> None:
        self._waiter = waiter
        self._peer = peer
        self._size = size
        self._came = came
        self._clock = clock

    def settle(self, outcome: Outcome) -> None:
        """Pass the outcome on, and log it."""
        self._waiter.settle(outcome)
        took_ms = round((self._clock.monotonic() - self._came) * 1000, 1)
        fields = {"peer": self._peer, "status": _STATUS[outcome], "bytes": self._size, "ms": took_ms}
        logger.info("callback", extra=fields)
