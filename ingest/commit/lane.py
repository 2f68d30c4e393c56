"""
Group commit: callbacks that arrive together leave together, and each is answered when Kafka has all of them.

A callback waits in the lane of its partition. A lane has at most one batch in the air; what arrives meanwhile is
the next one.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import Final, Protocol

from ingest.callback.envelope import RECORD_BYTES, Record, fitting
from ingest.causes import Cause
from ingest.commit.departures import Departures
from ingest.commit.log import CommitLog
from ingest.commit.pending import Pending
from ingest.errors import NotStoredError
from ingest.metrics import Metrics
from streams.contract.topics import Topic

logger = logging.getLogger(__name__)

_GOOD_TIME_S: Final = 0.8
_USUAL_ACK_S: Final = 0.05


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


@dataclass(frozen=True, slots=True)
class Cargo:
    """What a lane carries: where to, in what form, and how it is counted once it is there."""

    topic: Topic
    partition: int | None
    to_records: Callable[[Batch], list[Record]]
    count_stored: Callable[[Batch], None]


def room_at(ack_s: float) -> int:
    """
    Return how many bytes may wait while an acknowledgement takes that long.

    So many full envelopes that the last of them, behind the one in the air, is acknowledged in good time; one always.
    What came beyond that would be answered late or not at all: better told at once.
    """
    return RECORD_BYTES * max(1, int(_GOOD_TIME_S / ack_s) - 1)


class Lane:
    """
    The group commit of one partition (or, without a partition, of one topic).

    `run` must be running, and `expire` be called about ten times a second. `stuck` says that the batch in the air
    has been answered for without waiting longer, `failed_at` when the last batch failed (None: it was stored);
    `dead` is for whoever runs it.
    """

    def __init__(
        self, cargo: Cargo, log: CommitLog, metrics: Metrics, pending: Pending, departures: Departures
    ) -> None:
        self._cargo = cargo
        self._log = log
        self._metrics = metrics
        self._pending = pending
        self._departures = departures
        self._waiting = Batch()
        self._flight: Batch | None = None
        self._left = 0.0
        self._idle: asyncio.Future[None] | None = None
        self._room = room_at(_USUAL_ACK_S)
        self.failed_at: float | None = None
        self.stuck = False
        self.dead = False

    @property
    def name(self) -> str:
        """For people: the topic, and the partition when it is given."""
        suffix, partition = self._cargo.topic.suffix, self._cargo.partition
        return suffix if partition is None else f"{suffix} {partition}"

    @property
    def is_full(self) -> bool:
        """Whether whoever came now would wait too long for his turn."""
        return self._waiting.size >= self._room

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
        self._pending.count += 1

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
        await self._departures.wait()

    def _board(self) -> Batch:
        self._flight = flight = self._waiting
        self._waiting = flight.split(fitting(flight.bodies)) if flight.size > RECORD_BYTES else Batch()
        self._left = monotonic()
        return flight

    async def _fly(self, flight: Batch) -> None:
        failure: NotStoredError | None = None
        try:
            await self._log.append(self._cargo.topic, self._cargo.to_records(flight), self._cargo.partition)
        except NotStoredError as error:
            failure = error
        self._note(failure)
        self._land(flight, Outcome.FAILED if failure else Outcome.STORED)

    def _note(self, failure: NotStoredError | None) -> None:
        """Remember whether Kafka stores what it is sent, and log it when that changes."""
        if failure is None:
            if self.failed_at is not None:
                logger.info("Kafka acknowledges %s again", self.name)
            self.failed_at = None
            return
        if self.failed_at is None:
            logger.warning("callbacks are answered 503: Kafka does not acknowledge %s: %s", self.name, failure)
        self.failed_at = monotonic()

    def _land(self, flight: Batch, outcome: Outcome) -> None:
        self._flight = None
        self.stuck = False
        self._release(flight)
        if outcome is Outcome.FAILED:
            if not flight.abandoned:
                self._fail(flight)
            return
        took = monotonic() - self._left
        self._room = room_at(took)
        self._departures.acknowledged(took)
        self._metrics.acknowledged(len(flight.bodies), flight.size, took)
        if flight.abandoned:
            self._metrics.stored_late(len(flight.bodies))
            return
        self._cargo.count_stored(flight)
        flight.settle(outcome)
        self._metrics.answered(flight.times, monotonic())

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
            self._release(waiting)
            self._fail(waiting)

    def abandon(self) -> None:
        """Answer for everything at once: the task that stores it has died."""
        flight, self._flight = self._flight, None
        self.stuck = False
        self._idle = None
        if flight is not None:
            self._release(flight)
            if not flight.abandoned:
                self._fail(flight)
        self.expire(float("inf"))

    def _release(self, batch: Batch) -> None:
        self._pending.size -= batch.size
        self._pending.count -= len(batch.bodies)

    def _fail(self, batch: Batch) -> None:
        self._metrics.refused(Cause.KAFKA, len(batch.bodies))
        batch.settle(Outcome.FAILED)
        self._metrics.answered(batch.times, monotonic())
