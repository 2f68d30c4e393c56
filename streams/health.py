"""
Lag and progress of a worker's partitions, to notice one that is stuck.
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
"""A table's name and a partition."""


def lags(app: CheckpointedApp) -> dict[Place, int]:
    """Return the source records that each owned partition has not made durable; partitions never fetched are absent."""
    found: dict[Place, int] = {}
    for table in app.checkpointed:
        for number, owned in table.checkpointer.owned.items():
            end = private_names.highwater(app, TP(table.source, number))
            if end is not None:
                found[table.name, number] = max(0, end - max(owned.durable or 0, owned.begin))
    return found


def durables(app: CheckpointedApp) -> dict[Place, int]:
    """Return the durable source offset of each owned partition, 0 before its first checkpoint."""
    return {
        (table.name, number): owned.durable or 0
        for table in app.checkpointed
        for number, owned in table.checkpointer.owned.items()
    }


class StuckWatch:
    """Notices a partition that has lag and does not move. Times are seconds of a monotonic clock."""

    def __init__(self, seconds: float = STUCK_SECONDS) -> None:
        self._seconds = seconds
        self._moved: dict[Place, tuple[int, float]] = {}
        self._now = 0.0

    def observe(self, durable: Mapping[Place, int], lag: Mapping[Place, int], now: float) -> None:
        """
        Note the durable offset and the lag of each partition; call it about every second.

        A partition whose lag is not known, because it was never fetched, may have one.
        """
        before, self._moved, self._now = self._moved, {}, now
        for place, offset in durable.items():
            known, since = before.get(place, (offset, now))
            stands = known == offset and lag.get(place, 1) > 0
            self._moved[place] = (offset, since if stands else now)

    def stuck(self) -> list[Place]:
        """Return the partitions that have had lag for too long without moving."""
        return [place for place, (_, since) in self._moved.items() if self._now - since > self._seconds]

    def excuse(self, place: Place) -> None:
        """Note that a partition has no records to apply after all."""
        self._moved[place] = (self._moved[place][0], self._now)


async def stuck_partitions(app: CheckpointedApp, watch: StuckWatch) -> list[str]:
    """Return the partitions, as `table[number]`, that have records to apply and have not moved for too long."""
    tables = {table.name: table for table in app.checkpointed}
    stuck = []
    for name, number in watch.stuck():
        owned = tables[name].checkpointer.owned.get(number)
        if owned is None:
            continue
        # Offsets need not be records: the remaining ones may be transaction markers.
        with suppress(KafkaError):
            if await app.holdings.reader.first_record(TP(tables[name].source, number), owned.partition.next) is None:
                watch.excuse((name, number))
                continue
        stuck.append(f"{name}[{number}]")
    return stuck
