"""
Lag and progress of a worker's partitions: how old the lag is, and which partition is stuck.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from time import time
from typing import Final, NamedTuple

from aiokafka.errors import KafkaError
from faust.types import TP

from streams.runtime import private_names
from streams.runtime.app import CheckpointedApp

_STUCK_SECONDS: Final = 60.0
DATE_SECONDS: Final = 10.0
"""A lag that looks older is dated by its oldest record, which takes a look into Kafka, so often."""

Place = tuple[str, int]
"""A table's name and a partition."""


class Reached(NamedTuple):
    """How far an owned partition is: durable before the offset `durable`, in a partition that ends before `end`."""

    durable: int
    end: int

    @property
    def lag(self) -> int:
        """Return the source records that are not durable."""
        return max(0, self.end - self.durable)


def lags(app: CheckpointedApp) -> dict[Place, int]:
    """Return the source records that each owned partition has not made durable; partitions never fetched are absent."""
    return {place: found.lag for place, found in reached(app).items()}


def reached(app: CheckpointedApp) -> dict[Place, Reached]:
    """Return how far each owned partition is; partitions never fetched are absent."""
    found: dict[Place, Reached] = {}
    for table in app.checkpointed:
        for number, owned in table.checkpointer.owned.items():
            end = private_names.highwater(app, TP(table.source, number))
            if end is not None:
                found[table.name, number] = Reached(max(owned.durable or 0, owned.begin), end)
    return found


def durables(app: CheckpointedApp) -> dict[Place, int]:
    """Return the durable source offset of each owned partition, 0 before its first checkpoint."""
    return {
        (table.name, number): owned.durable or 0
        for table in app.checkpointed
        for number, owned in table.checkpointer.owned.items()
    }


class LagAges:
    """
    Knows how old the oldest record is that is not durable yet, of each owned partition.

    It is younger than the moment at which the partition ended where it is durable by now: nothing is read for that,
    and in a short lag it is a second too much at most. In a lag that looks older than ten seconds, or that was there
    already when this worker began, `date` says the moment. `clock` returns seconds since 1970 UTC, as Kafka dates
    records.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._known: dict[Place, _Age] = {}

    def observe(self, reached: Mapping[Place, "Reached"]) -> None:
        """Note how far each owned partition is; call it about every second."""
        now = self._clock()
        self._known = {place: self._aged(place, found, now) for place, found in reached.items()}

    def _aged(self, place: Place, found: "Reached", now: float) -> "_Age":
        before = self._known.get(place)
        if found.lag == 0:
            return _Age(None, now, found.end, now, is_known=True)
        if before is None or before.since is None:
            return _Age(now, now, found.end, now + DATE_SECONDS, is_known=before is not None)
        if found.durable >= before.end:
            return _Age(max(before.since, before.seen), now, found.end, before.due, is_known=True)
        return before

    def due(self) -> list[Place]:
        """Return the partitions whose lag may be old, and was not dated for ten seconds."""
        now = self._clock()
        return [
            place
            for place, age in self._known.items()
            if age.since is not None and now >= age.due and (now - age.since > DATE_SECONDS or not age.is_known)
        ]

    def date(self, place: Place, moment: float | None) -> None:
        """Note when the oldest record was written that is not durable; None when there is no such record."""
        age = self._known.get(place)
        if age is not None and age.since is not None:
            now = self._clock()
            since = now if moment is None else moment
            self._known[place] = age._replace(since=since, due=now + DATE_SECONDS, is_known=True)

    def seconds(self) -> dict[Place, float]:
        """Return the age of each partition's oldest record that is not durable, 0 when there is none."""
        now = self._clock()
        return {place: 0.0 if age.since is None else max(0.0, now - age.since) for place, age in self._known.items()}


class _Age(NamedTuple):
    """
    Where a lag began: no record that is not durable is older than `since`, if that `is_known`.

    The partition ended at `end` when it was `seen`.
    """

    since: float | None
    seen: float
    end: int
    due: float
    is_known: bool


async def date_lags(app: CheckpointedApp, ages: LagAges) -> None:
    """Look up when the oldest records of old lags were written; times that Kafka does not tell are asked for again."""
    tables = {table.name: table for table in app.checkpointed}
    for name, number in ages.due():
        owned = tables[name].checkpointer.owned.get(number)
        if owned is None:
            continue
        with suppress(KafkaError):
            source = TP(tables[name].source, number)
            ages.date(
                (name, number), await app.holdings.reader.first_moment(source, max(owned.durable or 0, owned.begin))
            )


class StuckWatch:
    """Notices a partition that has lag and does not move. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
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
        return [place for place, (_, since) in self._moved.items() if self._now - since > _STUCK_SECONDS]

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
