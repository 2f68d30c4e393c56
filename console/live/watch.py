"""
The messages whose pages are open: streams is asked for each, once for all who look at it.

The topic of the SMS is not read for them: it has every change of every SMS, and a few pages are open.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

from console.errors import AwayError

logger = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.5
FINAL_PAUSE_SECONDS: Final = 5.0
"""A final status changes rarely: by a conflict, or when streams forgets the message."""
_AT_ONCE: Final = 4

Ask = Callable[[str], Awaitable[dict[str, Any] | None]]
Sleep = Callable[[float], Awaitable[None]]


class Watch:
    """Tells `changed` of each message that changes while it is watched, and once of each that begins to be."""

    def __init__(
        self,
        ask: Ask,
        changed: Callable[[str], None],
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._ask = ask
        self._changed = changed
        self._sleep = sleep
        self._clock = clock
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._viewers: Counter[str] = Counter()
        self._known: dict[str, tuple[object, float]] = {}
        """The last state of each message, and when it is asked for again."""
        self._reasons: set[str] = set()
        """Why messages could not be seen in the last round: each reason is logged when it begins."""

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """Watch a message for the length of the block."""
        self._viewers[key] += 1
        try:
            yield
        finally:
            self._viewers[key] -= 1
            if not self._viewers[key]:
                del self._viewers[key]
                self._known.pop(key, None)

    async def run(self) -> None:
        """Ask until it is cancelled. Without viewers nothing is asked."""
        while True:
            await self._sleep(PAUSE_SECONDS)
            now = self._clock()
            due = [key for key in self._viewers if key not in self._known or now >= self._known[key][1]]
            reasons = set(filter(None, await asyncio.gather(*map(self._look, due))))
            for reason in sorted(reasons - self._reasons):
                logger.warning("%s: open pages of messages are not live", reason)
            self._reasons = reasons

    async def _look(self, key: str) -> str | None:
        """Look at a message; returns why it cannot be seen now."""
        async with self._room:
            try:
                found = await self._ask(key)
            except AwayError as error:  # the next look may do
                return str(error)
        if key not in self._viewers:
            return None
        parts = (found or {}).get("sms", [])
        state = sorted((row["sms_key"], row["generation"], row["revision"]) for row in parts)
        is_final = parts and all(row["is_final"] for row in parts)
        pause = FINAL_PAUSE_SECONDS if is_final else 0.0
        if key not in self._known or self._known[key][0] != state:
            self._changed(key)
        self._known[key] = state, self._clock() + pause
        return None
