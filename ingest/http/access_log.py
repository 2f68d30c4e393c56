"""
A sampled line per request, for people who look for something; off unless asked for, as metrics cost nothing.
"""

import logging
import random
from time import monotonic
from typing import Final

from ingest.commit.lane import Outcome, Waiter
from ingest.http.admission import Refused

logger = logging.getLogger(__name__)

_STATUS: Final = {Outcome.STORED: 200, Outcome.FAILED: 503}


class AccessLog:
    """Writes a line for a share of all requests: never a path (it has the secret), never a body."""

    def __init__(self, share: float) -> None:
        self._share = share

    def watch(self, waiter: Waiter, peer: str, size: int, came: float) -> Waiter:
        """Return a waiter that stands in for the given one, and tells of its outcome if it is in the sample."""
        return _Watched(waiter, peer, size, came) if self._sampled() else waiter

    def refused(self, peer: str, refused: Refused) -> None:
        """Tell of a refused request if it is in the sample."""
        if self._sampled():
            logger.info("refused", extra={"peer": peer, "status": refused.status, "cause": refused.cause})

    def _sampled(self) -> bool:
        return random.random() < self._share  # noqa: S311 - a sample, no secret


class _Watched:
    """A waiter that logs what it passes on."""

    def __init__(self, waiter: Waiter, peer: str, size: int, came: float) -> None:
        self._waiter = waiter
        self._peer = peer
        self._size = size
        self._came = came

    def settle(self, outcome: Outcome) -> None:
        """Pass the outcome on, and log it."""
        self._waiter.settle(outcome)
        took_ms = round((monotonic() - self._came) * 1000, 1)
        fields = {"peer": self._peer, "status": _STATUS[outcome], "bytes": self._size, "ms": took_ms}
        logger.info("callback", extra=fields)
