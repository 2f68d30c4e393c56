"""
A log line for callbacks that are posted to a wrong path: the likeliest fault of a URL in Routee's console.
"""

import logging
from typing import Final

from ingest.clock import Clock
from ingest.http.admission import RequestHead, Rules, fault_of, right_path

logger = logging.getLogger(__name__)

_QUIET_SECONDS: Final = 60.0


class WrongPaths:
    """Tells once a minute that posts are answered 404, and the right path: never the one posted to, or a secret."""

    def __init__(self, rules: Rules, clock: Clock) -> None:
        self._rules = rules
        self._clock = clock
        self._posts = 0
        self._quiet_until = float("-inf")

    def note(self, head: RequestHead) -> None:
        """Take a request that was answered 404; only a post is one of a callback."""
        if head.method != b"POST":
            return
        self._posts += 1
        now = self._clock.monotonic()
        if now < self._quiet_until:
            return
        self._quiet_until = now + _QUIET_SECONDS
        logger.warning(
            "a POST was answered 404: its path %s. Callbacks are taken at %s",
            fault_of(head.target, self._rules),
            right_path(self._rules),
            extra={"posts": self._posts},
        )
        self._posts = 0
