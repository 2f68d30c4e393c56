"""
Group commit: callbacks that arrive together leave together, and each is answered when Kafka has all of them.

A callback waits in the lane of its partition. A lane has at most one batch in the air; what arrives meanwhile is
the next one. A lone callback leaves at once; batches of one lane leave at least `flush` apart, so a crowd shares.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic, time
from typing import Final, Protocol

from ingest.admission import Cause
from ingest.commit_log import CommitLog
from ingest.envelope import RECORD_BYTES, Record, fitting, seal
from ingest.errors import NotStoredError
from ingest.metrics import Metrics
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, Topic

logger = logging.getLogger(__name__)

_RESTART_S: Final = 1.0


class Outcome(StrEnum):
    """What became of a callback. `FAILED` does not say that it was not stored: only that nobody vouches for it."""

    STORED = "stored"
    FAILED = "failed"


class Waiter(Protocol):
    """Somebody who waits for the outcome of one callback."""

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome; called exactly once, in the order in which the callbacks of a lane came."""


class Batch:
    """Callbacks that become durable together; the lists run in parallel, in order of arrival."""

    __slots__ = ("abandoned", "bodies", "keys", "size", "times", "waiters")

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.keys: list[str] = []
        self.waiters: list[Waiter] = []
        self.times: list[float] = []
        self.size = 0
        self.abandoned = False

    def split(self, count: int) -> "Batch":
        """Keep the first `count` callbacks and return the others."""
        rest = Batch()
        for name in ("bodies", "keys", "waiters", "times"):
            callbacks = getattr(self, name)
            setattr(rest, name, callbacks[count:])
            del callbacks[count:]
        rest.size = sum(len(body) + 1 for body in rest.bodies)
        self.size -= rest.size
        return rest

    def settle(self, outcome: Outcome) -> None:
        """Tell everybody who waits. One who cannot be told must not keep the others waiting."""
        for waiter in self.waiters:
            try:
                waiter.settle(outcome)
            except Exception:
                logger.exception("an answer could not be given")


class _Pending:
    """Bytes that were taken and are not yet acknowledged, over all lanes."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


class Lane:
    """The group commit of one partition (or, without a partition, of one topic)."""

    def __init__(
        self,
        publisher: "Publisher",
        topic: Topic,
        partition: int | None,
        to_records: Callable[[Batch], list[Record]],
        count_stored: Callable[[Batch], None],
    ) -> None:
        self._publisher = publisher
        self._topic = topic
        self._partition = partition
        self._to_records = to_records
        self._count_stored = count_stored
        self._pending = publisher.pending
        self._waiting = Batch()
        self._flight: Batch | None = None
        self._left = 0.0
        self._idle: asyncio.Future[None] | None = None
        self.stuck = False
        self.dead = False

    @property
    def name(self) -> str:
        """For people: the topic, and the partition when it is given."""
        return self._topic.suffix if self._partition is None else f"{self._topic.suffix} {self._partition}"

    def add(self, body: bytes, key: str, waiter: Waiter, now: float) -> None:
        """Take one callback and its key, or a rejection and its reason; `now` is monotonic, in seconds."""
        batch = self._waiting
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        batch.bodies.append(body)
        batch.keys.append(key)
        batch.waiters.append(waiter)
        batch.times.append(now)
        size = len(body) + 1
        batch.size += size
        self._pending.size += size

    async def run(self) -> None:
        """Store batch after batch, until cancelled."""
        while True:
            await self._departure()
            if self._waiting.bodies:
                await self._fly(self._board())

    async def _departure(self) -> None:
        if not self._waiting.bodies:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
            self._idle = None
        wait = self._left + self._publisher.terms.flush_s - monotonic()
        if wait > 0:
            await asyncio.sleep(wait)

    def _board(self) -> Batch:
        self._flight = flight = self._waiting
        self._waiting = flight.split(fitting(flight.bodies)) if flight.size > RECORD_BYTES else Batch()
        self._left = monotonic()
        return flight

    async def _fly(self, flight: Batch) -> None:
        outcome = Outcome.STORED
        try:
            await self._publisher.log.append(self._topic, self._to_records(flight), self._partition)
        except NotStoredError:
            outcome = Outcome.FAILED
        self._land(flight, outcome)

    def _land(self, flight: Batch, outcome: Outcome) -> None:
        self._flight = None
        self.stuck = False
        self._pending.size -= flight.size
        metrics = self._publisher.metrics
        if outcome is Outcome.FAILED:
            if not flight.abandoned:
                self._fail(flight)
            return
        metrics.acknowledged(len(flight.bodies), flight.size, monotonic() - self._left)
        if flight.abandoned:
            metrics.stored_late(len(flight.bodies))
            return
        self._count_stored(flight)
        flight.settle(outcome)
        metrics.answered(flight.times, monotonic())

    def expire(self, oldest: float) -> None:
        """
        Answer for everything that has waited since before `oldest`.

        A batch in the air that is that old makes the lane stuck: what waits behind it is answered too, without
        having been sent, and nothing is taken until Kafka has said what became of that batch.
        """
        flight = self._flight
        if flight is not None and not flight.abandoned and flight.times[0] < oldest:
            flight.abandoned = self.stuck = True
            self._fail(flight)
        waiting = self._waiting
        if waiting.bodies and (self.stuck or waiting.times[0] < oldest):
            self._waiting = Batch()
            self._pending.size -= waiting.size
            self._fail(waiting)

    def abandon(self) -> None:
        """Answer for everything at once: the task that stores it has died."""
        flight, self._flight = self._flight, None
        self.stuck = False
        self._idle = None
        if flight is not None:
            self._pending.size -= flight.size
            if not flight.abandoned:
                self._fail(flight)
        self.expire(float("inf"))

    def _fail(self, batch: Batch) -> None:
        metrics = self._publisher.metrics
        metrics.refused(Cause.KAFKA, len(batch.bodies))
        batch.settle(Outcome.FAILED)
        metrics.answered(batch.times, monotonic())


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

    def __init__(
        self,
        log: CommitLog,
        metrics: Metrics,
        terms: Terms,
    ) -> None:
        self.log = log
        self.metrics = metrics
        self.terms = terms
        self.pending = _Pending()
        self._raw = [
            Lane(self, CALLBACKS_RAW, partition, _envelope, lambda batch: metrics.stored_callbacks(len(batch.bodies)))
            for partition in range(terms.partitions)
        ]
        self._rejected = Lane(
            self, CALLBACKS_REJECTED, None, _rejections, lambda batch: metrics.stored_rejections(batch.keys)
        )
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
        return self._unless_refused(self._raw[partition_of(key, self.terms.partitions)])

    def lane_for_rejections(self) -> Lane | Cause:
        """Return where a rejection may be added now, or the cause why it may not."""
        return self._unless_refused(self._rejected)

    def has_room(self, size: int) -> bool:
        """Return whether that many bytes more stay within the limit."""
        return self.pending.size + size <= self.terms.max_pending_bytes

    def tick(self, now: float) -> None:
        """Answer for what waited too long."""
        oldest = now - self.terms.ack_timeout_s
        for lane in self._lanes:
            lane.expire(oldest)

    def trouble(self) -> str | None:
        """Return why callbacks cannot be stored now, as a phrase for people; None when all is well."""
        trouble = self.log.trouble()
        if trouble is not None:
            return trouble
        for lane in self._lanes:
            if lane.dead:
                return f"the task that writes {lane.name} has died and is started again"
            if lane.stuck:
                return f"Kafka does not acknowledge {lane.name}"
        return None

    def _unless_refused(self, lane: Lane) -> Lane | Cause:
        if self.pending.size >= self.terms.max_pending_bytes:
            return Cause.OVERLOAD
        if lane.stuck or lane.dead or self.log.trouble() is not None:
            return Cause.KAFKA
        return lane

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
