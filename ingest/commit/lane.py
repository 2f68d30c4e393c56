"""
Group commit: callbacks that arrive together are stored together, and each is answered when Kafka has all of them.

A callback waits in the lane of its partition. A lane has at most one group in flight; callbacks that arrive meanwhile
form the next group.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from ingest.callback.envelope import RECORD_BYTES, RawRecord, fitting, noted_bytes
from ingest.causes import Cause
from ingest.clock import Clock
from ingest.commit.departures import Departures
from ingest.commit.log import CommitLog
from ingest.commit.pending import Pending
from ingest.errors import NotStoredError, TooLargeError
from ingest.metrics import Metrics
from streams.contract.topics import Topic

logger = logging.getLogger(__name__)

_GOOD_TIME_SECONDS: Final = 0.8
_USUAL_ACK_SECONDS: Final = 0.05
# A clock may measure no time at all.
_QUICKEST_ACK_SECONDS: Final = 0.001
_FULL_AGAIN_SECONDS: Final = 60.0
"""How long groups stay small after Kafka refused one for its size."""

_TELL_AGAIN_SECONDS: Final = 600.0


class Outcome(StrEnum):
    """The end of one callback. `FAILED` does not say that it was not stored, only that nothing confirms it."""

    STORED = "stored"
    FAILED = "failed"


class Waiter(Protocol):
    """The receiver of the outcome of one callback."""

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome; called exactly once, in the order in which the callbacks of a lane came."""


class Group:
    """
    Callbacks that become durable together; the lists run in parallel, in order of arrival.

    `notes` has those of repaired callbacks, by their place in the lists.
    """

    _LISTS: Final = ("bodies", "keys", "waiters", "times")
    __slots__ = ("abandoned", "bodies", "keys", "notes", "size", "times", "waiters")

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.keys: list[str] = []
        self.waiters: list[Waiter] = []
        self.times: list[float] = []
        self.notes: dict[int, bytes] = {}
        self.size = 0
        self.abandoned = False

    def split(self, count: int) -> "Group":
        """Keep the first `count` callbacks and return the others."""
        rest = Group()
        for name in self._LISTS:
            callbacks = getattr(self, name)
            setattr(rest, name, callbacks[count:])
            del callbacks[count:]
        rest.notes = {place - count: note for place, note in self.notes.items() if place >= count}
        self.notes = {place: note for place, note in self.notes.items() if place < count}
        rest.size = sum(len(body) + 1 for body in rest.bodies) + sum(map(noted_bytes, rest.notes.values()))
        self.size -= rest.size
        return rest

    def append(self, later: "Group") -> None:
        """Add the callbacks of a group that came later."""
        count = len(self.bodies)
        self.notes.update((count + place, note) for place, note in later.notes.items())
        for name in self._LISTS:
            getattr(self, name).extend(getattr(later, name))
        self.size += later.size

    def settle(self, outcome: Outcome) -> None:
        """Tell every waiter. A waiter that fails must not keep the others waiting."""
        for waiter in self.waiters:
            try:
                waiter.settle(outcome)
            except Exception:
                logger.exception("an answer could not be given")


@dataclass(frozen=True, slots=True)
class Kind:
    """The task of a lane: the topic and partition, the form of the records, and the count of stored callbacks."""

    topic: Topic
    partition: int | None
    to_records: Callable[[Group], list[RawRecord]]
    count_stored: Callable[[Group], None]
    most_bytes: int = RECORD_BYTES
    """The most bytes of bodies in one group."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts that all lanes of a publisher use together."""

    log: CommitLog
    metrics: Metrics
    pending: Pending
    departures: Departures
    clock: Clock


def room_at(ack_seconds: float) -> int:
    """
    Return how many bytes may wait while an acknowledgement takes that long.

    The room holds as many full envelopes as can be acknowledged in good time, counting the one in flight; always at
    least one. A callback beyond that would be answered late or not at all, so it is better refused at once.
    """
    return RECORD_BYTES * max(1, int(_GOOD_TIME_SECONDS / max(ack_seconds, _QUICKEST_ACK_SECONDS)) - 1)


class Lane:
    """
    The group commit of one partition (or, without a partition, of one topic).

    Its owner keeps `run` running, calls `expire` about ten times a second, and sets `dead` while `run` is not running.
    `stuck` says that the group in flight waited too long and has been answered `FAILED` already; `failed_at` is when
    the last group failed, None when it was stored, and `failed_for` why, as far as that is a phrase for people.
    """

    def __init__(self, kind: Kind, shared: Shared) -> None:
        self._kind = kind
        self._log = shared.log
        self._metrics = shared.metrics
        self._pending = shared.pending
        self._departures = shared.departures
        self._clock = shared.clock
        self._waiting = Group()
        self._in_flight: Group | None = None
        self._sent_at = 0.0
        self._idle: asyncio.Future[None] | None = None
        self._room = room_at(_USUAL_ACK_SECONDS)
        self._most_bytes = kind.most_bytes
        self._full_again_at = 0.0
        self._tell_too_large_at = [float("-inf")] * 2
        self.failed_at: float | None = None
        self.failed_for: str | None = None
        self.stuck = False
        self.dead = False

    @property
    def name(self) -> str:
        """For people: the topic, and the partition when it is given."""
        suffix, partition = self._kind.topic.suffix, self._kind.partition
        return suffix if partition is None else f"{suffix} {partition}"

    @property
    def is_full(self) -> bool:
        """True when a callback added now could not be acknowledged in time."""
        return self._waiting.size >= self._room

    def takes_more(self) -> bool:
        """Return whether a callback added now is stored, as far as is known, and acknowledged in time."""
        # As `is_full` of the lane and of all pending callbacks: a call costs more than the comparison.
        is_full = self._waiting.size >= self._room or self._pending.size >= self._pending.max_bytes
        return not (is_full or self.stuck or self.dead or self._log.trouble is not None)

    def add(self, body: bytes, key: str, waiter: Waiter, now: float) -> None:
        """
        Take one callback and its key, or a rejection and its reason; `now` is monotonic, in seconds.

        The caller's way ends here. The task in `run` goes on with it: it takes the waiting group, has the log append
        it, and calls `waiter.settle`, which writes the HTTP answer (`http/answer_line.py`).
        """
        group = self._waiting
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        group.bodies.append(body)
        group.keys.append(key)
        group.waiters.append(waiter)
        group.times.append(now)
        size = len(body) + 1
        group.size += size
        self._pending.add(size)

    def note(self, note: bytes) -> None:
        """Have a note stored beside the callback that was just added: it was repaired."""
        group, size = self._waiting, noted_bytes(note)
        group.notes[len(group.bodies) - 1] = note
        group.size += size
        self._pending.hold(0, size)

    async def run(self) -> None:
        """Store group after group, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._waiting.bodies:
                self._idle = loop.create_future()
                await self._idle
                self._idle = None
            await self._departures.wait()
            if self._waiting.bodies:  # they may have expired meanwhile
                await self._store(self._take_waiting())

    def _take_waiting(self) -> Group:
        """Put the waiting group in flight, as far as it fits into one envelope."""
        self._in_flight = group = self._waiting
        self._waiting = self._rest_of(group) if group.size > self._most_bytes else Group()
        self._sent_at = self._clock.monotonic()
        return group

    def _rest_of(self, group: Group) -> Group:
        """Take from a group what does not fit, and return it."""
        if self._most_bytes < self._kind.most_bytes and self._clock.monotonic() >= self._full_again_at:
            self._most_bytes = self._kind.most_bytes
        return group.split(fitting(group.bodies, self._most_bytes, group.notes))

    async def _store(self, group: Group) -> None:
        failure: NotStoredError | None = None
        try:
            await self._log.append(self._kind.topic, self._kind.to_records(group), self._kind.partition)
        except TooLargeError as error:
            self._shrink(group, error)
            return
        except NotStoredError as error:
            failure = error
        self._note(failure)
        self._settle(group, Outcome.FAILED if failure else Outcome.STORED)

    def _shrink(self, group: Group, error: TooLargeError) -> None:
        """
        Let a group that is too large for its topic go in halves; a callback that is too large alone ends `FAILED`.

        Kafka has stored none of it. The next groups have half its bytes at most, and its callbacks go before all
        others, so each keeps its place and has an outcome of its own. One callback alone says nothing about the rest:
        no trouble is noted.
        """
        alone = len(group.bodies) == 1
        self._tell_too_large(group, error, alone=alone)
        if not alone:
            self._most_bytes = group.size // 2
            self._full_again_at = self._clock.monotonic() + _FULL_AGAIN_SECONDS
        if alone or group.abandoned:
            self._settle(group, Outcome.FAILED, Cause.TOO_LARGE_FOR_KAFKA)
            return
        self._in_flight = None
        group.append(self._waiting)
        self._waiting = group

    def _tell_too_large(self, group: Group, error: TooLargeError, *, alone: bool) -> None:
        """Log now and then what Kafka refuses for its size."""
        now = self._clock.monotonic()
        if now < self._tell_too_large_at[alone]:
            return
        self._tell_too_large_at[alone] = now + _TELL_AGAIN_SECONDS
        then = "it is answered 503" if alone else "they go in smaller groups"
        logger.warning(
            "%s does not take %d callbacks of %d bytes: %s; %s",
            *(self.name, len(group.bodies), group.size, error.cause, then),
        )

    def _note(self, failure: NotStoredError | None) -> None:
        """Remember whether Kafka stores what it is sent, and log it when that changes."""
        if failure is None:
            if self.failed_at is not None:
                logger.info("Kafka acknowledges %s again", self.name)
            self.failed_at = None
            return
        if self.failed_at is None:
            what = f"{failure.cause} ({failure})" if failure.cause else str(failure)
            logger.warning("callbacks are answered 503: Kafka does not acknowledge %s: %s", self.name, what)
        self.failed_at = self._clock.monotonic()
        self.failed_for = failure.cause

    def _settle(self, group: Group, outcome: Outcome, cause: Cause = Cause.KAFKA) -> None:
        """End a group that was in flight: count it, and tell its waiters the outcome unless they have one."""
        self._in_flight = None
        self.stuck = False
        self._release(group)
        if outcome is Outcome.FAILED:
            if not group.abandoned:
                self._fail(group, cause)
            return
        took = self._clock.monotonic() - self._sent_at
        self._room = room_at(took)
        self._departures.acknowledged(took)
        self._metrics.acknowledged(len(group.bodies), group.size, took)
        if group.abandoned:
            self._metrics.stored_late(len(group.bodies))
            return
        self._kind.count_stored(group)
        group.settle(outcome)
        self._metrics.answered(group.times, self._clock.monotonic())

    def expire(self, oldest: float) -> None:
        """
        Answer `FAILED` to every callback that has waited since before `oldest`.

        A group in flight that is that old makes the lane stuck: the callbacks behind it are answered too, unsent, and
        no callback is taken until Kafka has acknowledged or refused that group.
        """
        group = self._in_flight
        if group is not None and not group.abandoned and group.times[0] < oldest:
            group.abandoned = self.stuck = True
            self._fail(group)
        waiting = self._waiting
        if waiting.bodies and (self.stuck or waiting.times[0] < oldest):
            self._waiting = Group()
            self._release(waiting)
            self._fail(waiting)

    def abandon(self) -> None:
        """Answer `FAILED` to every callback at once: the task that stores them has ended."""
        group, self._in_flight = self._in_flight, None
        self.stuck = False
        self._idle = None
        if group is not None:
            self._release(group)
            if not group.abandoned:
                self._fail(group)
        self.expire(float("inf"))

    def _release(self, group: Group) -> None:
        self._pending.release(len(group.bodies), group.size)

    def _fail(self, group: Group, cause: Cause = Cause.KAFKA) -> None:
        self._metrics.refused(cause, len(group.bodies))
        group.settle(Outcome.FAILED)
        self._metrics.answered(group.times, self._clock.monotonic())
