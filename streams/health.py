"""
Whether a worker is ready, and whether it gets anywhere.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from aiokafka.errors import KafkaError
from faust.types import TP

from streams.runtime import private_names
from streams.runtime.app import CheckpointedApp

STUCK_SECONDS: Final = 60.0

Place = tuple[str, int]
"""Name of a table, and a partition."""


def lags(app: CheckpointedApp) -> dict[Place, int]:
    """Return how many records of its source each owned partition has not made durable, as far as is known."""
    found: dict[Place, int] = {}
    for table in app.checkpointed:
        for number, owned in table.checkpointer.owned.items():
            end = private_names.highwater(app, TP(table.source, number))
            if end is not None:
                found[table.name, number] = max(0, end - max(owned.durable or 0, owned.begin))
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

    def stuck(self) -> list[Place]:
        """Return the partitions that seem to have had work for too long and did none of it."""
        return [place for place, (_, since) in self._moved.items() if self._now - since > self._seconds]

    def excuse(self, place: Place) -> None:
        """Note that a partition has no work after all."""
        self._moved[place] = (self._moved[place][0], self._now)


async def stuck_partitions(app: CheckpointedApp, watch: StuckWatch) -> list[str]:
    """Return the partitions that have records to take in and have not moved for too long."""
    tables = {table.name: table for table in app.checkpointed}
    stuck = []
    for name, number in watch.stuck():
        owned = tables[name].checkpointer.owned.get(number)
        if owned is None:
            continue
        # Offsets need not be records: what is left may be the marks of transactions.
        with suppress(KafkaError):
            if await app.holdings.reader.first_record(TP(tables[name].source, number), owned.partition.next) is None:
                watch.excuse((name, number))
                continue
        stuck.append(f"{name}[{number}]")
    return stuck
