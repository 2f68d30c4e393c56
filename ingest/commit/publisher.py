"""
Where callbacks and rejections go in: one lane per partition, and what holds for all of them together.
"""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from time import monotonic, time
from typing import Final

from ingest.callback.envelope import Record, seal
from ingest.causes import Cause
from ingest.commit.departures import Departures
from ingest.commit.lane import Batch, Cargo, Lane
from ingest.commit.log import CommitLog
from ingest.commit.pending import Pending
from ingest.metrics import Metrics
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED

logger = logging.getLogger(__name__)

_RESTART_S: Final = 1.0
_FAILED_LATELY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How callbacks are grouped and how long they may wait; sizes in bytes, times in seconds."""

    partitions: int
    flush_s: float
    ack_timeout_s: float
    max_pending_bytes: int


class Publisher:
    """
    Takes callbacks for the raw topic and rejections for the rejected topic.

    `start` needs a running loop; `tick` must be called about ten times a second: it keeps the promise that nobody
    waits longer than the acknowledgement timeout and one tick.
    """

    def __init__(self, log: CommitLog, metrics: Metrics, terms: Terms) -> None:
        self.metrics = metrics
        self.pending = Pending()
        self._log = log
        self._partitions = terms.partitions
        self._ack_timeout_s = terms.ack_timeout_s
        self._max_pending_bytes = terms.max_pending_bytes
        departures = Departures(self.pending, terms.flush_s)
        to_lane = partial(Lane, log=log, metrics=metrics, pending=self.pending, departures=departures)
        self._raw = [
            to_lane(Cargo(CALLBACKS_RAW, partition, _envelope, self._count_callbacks))
            for partition in range(terms.partitions)
        ]
        self._rejected = to_lane(Cargo(CALLBACKS_REJECTED, None, _rejections, self._count_rejections))
        self._lanes = [*self._raw, self._rejected]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to store."""
        self._tasks = [asyncio.create_task(self._supervise(lane), name=lane.name) for lane in self._lanes]

    async def stop(self) -> None:
        """End at once; whoever still waits is answered `FAILED`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self._lanes:
            lane.abandon()

    def lane_for(self, key: str) -> Lane | Cause:
        """Return where the callback with this key may be added now, or the cause why it may not."""
        lane = self._raw[partition_of(key, self._partitions)]
        return lane if self._takes(lane) else self._cause(lane)

    def lane_for_rejections(self) -> Lane | Cause:
        """Return where a rejection may be added now, or the cause why it may not."""
        return self._rejected if self._takes(self._rejected) else self._cause(self._rejected)

    def has_room(self, size: int) -> bool:
        """Return whether that many bytes more stay within the limit."""
        return self.pending.size + size <= self._max_pending_bytes

    def tick(self, now: float) -> None:
        """Answer for what waited too long."""
        oldest = now - self._ack_timeout_s
        for lane in self._lanes:
            lane.expire(oldest)

    def trouble(self) -> str | None:
        """Return why callbacks cannot be stored now, as a phrase for people; None when all is well."""
        if self._log.trouble is not None:
            return self._log.trouble
        # A failure is told for a while only: without callbacks there is nothing that could succeed again.
        lately = monotonic() - _FAILED_LATELY_S
        for lane in self._lanes:
            if lane.dead:
                return f"the task that writes {lane.name} has died and is started again"
            if lane.stuck or (lane.failed_at is not None and lane.failed_at > lately):
                return f"Kafka does not acknowledge {lane.name}"
        return None

    def _takes(self, lane: Lane) -> bool:
        if lane.stuck or lane.dead or self._log.trouble is not None:
            return False
        return self.pending.size < self._max_pending_bytes and not lane.is_full

    def _cause(self, lane: Lane) -> Cause:
        if self.pending.size >= self._max_pending_bytes or lane.is_full:
            return Cause.OVERLOAD
        return Cause.KAFKA

    def _count_callbacks(self, batch: Batch) -> None:
        self.metrics.stored_callbacks(len(batch.bodies))

    def _count_rejections(self, batch: Batch) -> None:
        self.metrics.stored_rejections(batch.keys)

    async def _supervise(self, lane: Lane) -> None:
        while True:
            try:
                await lane.run()
            except Exception:
                logger.exception("the task that writes %s died; it starts again in %g s", lane.name, _RESTART_S)
            lane.dead = True
            lane.abandon()
            await asyncio.sleep(_RESTART_S)
            lane.dead = False


def _envelope(batch: Batch) -> list[Record]:
    # The moment the first of them came, put on the wall clock.
    waited_s = monotonic() - batch.times[0]
    return [seal(batch.bodies, batch.keys, int((time() - waited_s) * 1000))]


def _rejections(batch: Batch) -> list[Record]:
    return [Record(None, body) for body in batch.bodies]
