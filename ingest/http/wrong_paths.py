"""
A log line for callbacks that are posted to a wrong path: the likeliest fault of a URL in Routee's console.
"""

import logging

from ingest.clock import Clock
from ingest.http.admission import RequestHead, Rules, fault_of, right_path
from ingest.http.seldom import Seldom

logger = logging.getLogger(__name__)


class WrongPaths:
    """Tells once a minute that posts are answered 404, and the right path: never the one posted to, or a secret."""

    def __init__(self, rules: Rules, clock: Clock) -> None:
        self._rules = rules
        self._posts = Seldom(clock)

    def note(self, head: RequestHead) -> None:
        """Take a request that was answered 404; only a post is one of a callback."""
        if head.method != b"POST":
            return
        posts = self._posts.note()
        if not posts:
            return
        logger.warning(
            "a POST was answered 404: its path %s. Callbacks are taken at %s",
            fault_of(head.target, self._rules),
            right_path(self._rules),
            extra={"posts": posts},
        )
