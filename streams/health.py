"""
Whether a worker is ready, and whether it gets anywhere.
"""

from collections.abc import Mapping
from typing import Final

from faust.types import TP

from streams.state import internals
from streams.state.commits import CheckpointedApp

STUCK_SECONDS: Final = 60.0

Place = tuple[str, int]
"""Name of a table, and a partition."""


def lags(app: CheckpointedApp) -> dict[Place, int]:
    """Return how many records of its source each owned partition has not made durable, as far as is known."""
    found: dict[Place, int] = {}
    for table in app.checkpointed:
        for number, owned in table.checkpointer.owned.items():
            end = internals.highwater(app, TP(table.source, number))
            if end is not None:
                found[table.name, number] = max(0, end - (owned.durable or 0))
    return found


def durables(app: CheckpointedApp) -> dict[Place, int]:
    """Return the durable source offset of each owned partition."""
    return {
        (table.name, number): owned.durable or 0
        for table in app.checkpointed
        for number, owned in table.checkpointer.owned.items()
    }


class StuckWatch:
    """Notices a partition that has records to take in and does not move. Times are of a clock that only moves on."""

    def __init__(self, seconds: float = STUCK_SECONDS) -> None:
        self._seconds = seconds
        self._moved: dict[Place, tuple[int, float]] = {}
        self._now = 0.0

    def observe(self, durable: Mapping[Place, int], lag: Mapping[Place, int], now: float) -> None:
        """Note where each partition is; call it every second or so."""
        before, self._moved, self._now = self._moved, {}, now
        for place, offset in durable.items():
            known, since = before.get(place, (offset, now))
            stands = known == offset and lag.get(place, 0) > 0
            self._moved[place] = (offset, since if stands else now)

    def stuck(self) -> list[str]:
        """Return the partitions that had work for too long and did none of it."""
        return [
            f"{table}[{partition}]"
            for (table, partition), (_, since) in self._moved.items()
            if self._now - since > self._seconds
        ]
