"""
Says of events that strangers can make as many of as they like when to log them: once a minute.
"""

from typing import Final

from ingest.clock import Clock

_QUIET_SECONDS: Final = 60.0


class Seldom:
    """Counts events of one kind."""

    __slots__ = ("_clock", "_count", "_quiet_until")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0
        self._quiet_until = float("-inf")

    def note(self) -> int:
        """Count an event; returns how many came since the last line if it is time for one, else 0."""
        self._count += 1
        now = self._clock.monotonic()
        if now < self._quiet_until:
            return 0
        self._quiet_until = now + _QUIET_SECONDS
        count, self._count = self._count, 0
        return count
