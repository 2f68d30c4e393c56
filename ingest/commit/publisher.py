"""
The entrance of the commit: one lane per partition, one for rejections, and the rules that hold for all of them.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from ingest.callback.envelope import RawRecord, seal
from ingest.causes import Cause
from ingest.clock import Clock
from ingest.commit.departures import Departures
from ingest.commit.lane import Group, Kind, Lane, Shared
from ingest.commit.log import CommitLog
from ingest.commit.pending import Pending
from ingest.metrics import Metrics
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED

logger = logging.getLogger(__name__)

_RESTART_SECONDS: Final = 1.0
# Each is a record of its own: the headers of thousands of small ones must fit into their batch, too.
_MOST_BYTES_OF_REJECTIONS: Final = 600_000
_FAILED_LATELY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How callbacks are grouped and how long they may wait."""

    partitions: int
    flush_seconds: float
    ack_timeout_seconds: float
    max_pending_bytes: int


class Publisher:
    """
    Takes callbacks for the raw topic and rejections for the rejected topic.

    `start` needs a running loop. `tick` must be called about ten times a second: it keeps the promise that no callback
    waits longer than the acknowledgement timeout and one tick.
    """

    def __init__(self, log: CommitLog, metrics: Metrics, terms: Terms, clock: Clock) -> None:
        self.metrics = metrics
        self.pending = Pending(terms.max_pending_bytes)
        self._log = log
        self._clock = clock
        self._partitions = terms.partitions
        self._ack_timeout_seconds = terms.ack_timeout_seconds
        departures = Departures(self.pending, terms.flush_seconds, clock)
        shared = Shared(log, metrics, self.pending, departures, clock)
        self._raw = [
            Lane(Kind(CALLBACKS_RAW, partition, self._envelope, self._count_callbacks), shared)
            for partition in range(terms.partitions)
        ]
        self._rejected = Lane(
            Kind(CALLBACKS_REJECTED, None, _rejections, self._count_rejections, _MOST_BYTES_OF_REJECTIONS), shared
        )
        self._lanes = [*self._raw, self._rejected]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to store."""
        self._tasks = [asyncio.create_task(self._supervise(lane), name=lane.name) for lane in self._lanes]

    async def stop(self) -> None:
        """End at once; callbacks that still wait are answered `FAILED`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self._lanes:
            lane.abandon()

    def lane_for(self, key: str) -> Lane | Cause:
        """Return where the callback with this key may be added now, or the cause why it may not."""
        lane = self._raw[partition_of(key, self._partitions)]
        return lane if lane.takes_more() else self._cause(lane)

    def lane_for_rejections(self) -> Lane | Cause:
        """Return where a rejection may be added now, or the cause why it may not."""
        lane = self._rejected
        return lane if lane.takes_more() else self._cause(lane)

    def tick(self, now: float) -> None:
        """Answer `FAILED` to callbacks that waited too long."""
        oldest = now - self._ack_timeout_seconds
        for lane in self._lanes:
            lane.expire(oldest)

    def trouble(self) -> str | None:
        """Return why callbacks cannot be stored now, as a phrase for people; None when they can."""
        if self._log.trouble is not None:
            return self._log.trouble
        # A failure is reported for a while only: without callbacks, no success could end it.
        lately = self._clock.monotonic() - _FAILED_LATELY_SECONDS
        for lane in self._lanes:
            if lane.dead:
                return f"the task that writes {lane.name} has died and is started again"
            failed = lane.failed_at is not None and lane.failed_at > lately
            if lane.stuck or failed:
                why = f": {lane.failed_for}" if failed and lane.failed_for else ""
                return f"Kafka does not acknowledge {lane.name}{why}"
        return None

    def _cause(self, lane: Lane) -> Cause:
        return Cause.OVERLOAD if self.pending.is_full or lane.is_full else Cause.KAFKA

    def _envelope(self, group: Group) -> list[RawRecord]:
        # When the first callback of the group came, by the wall clock.
        waited = self._clock.monotonic() - group.times[0]
        return [seal(group.bodies, group.keys, int((self._clock.wall() - waited) * 1000), group.notes)]

    def _count_callbacks(self, group: Group) -> None:
        self.metrics.stored_callbacks(len(group.bodies))
        if group.notes:
            self.metrics.stored_repaired(len(group.notes))

    def _count_rejections(self, group: Group) -> None:
        self.metrics.stored_rejections(group.keys)

    async def _supervise(self, lane: Lane) -> None:
        while True:
            try:
                await lane.run()
            except Exception:
                logger.exception("the task that writes %s died; it starts again in %g s", lane.name, _RESTART_SECONDS)
            lane.dead = True
            lane.abandon()
            await self._clock.sleep(_RESTART_SECONDS)
            lane.dead = False


def _rejections(group: Group) -> list[RawRecord]:
    return [RawRecord(None, body) for body in group.bodies]
