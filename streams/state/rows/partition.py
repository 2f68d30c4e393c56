"""
One partition of a table between two flushes: changes that are not durable yet. Pure.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import compress
from math import inf
from operator import attrgetter, itemgetter
from typing import Final

from streams.domain.stage import GENERATION_KEY, Ending, Erasing, Output, Stage
from streams.state.guards import ALL_GUARDS, Guards
from streams.state.rows import endings
from streams.state.rows.erasures import Progress
from streams.state.rows.overlay import Overlay
from streams.state.rows.position import Position
from streams.state.rows.reserved_keys import ENDING, ERASED, HELD, POSITION, SOURCE
from streams.state.rows.throttle import Throttle, Throttles
from streams.state.rows.walk import Walk

MOST_OUTPUT_BYTES: Final = 16 << 20
"""No checkpoint of one partition has outputs of more bytes: its rows and outputs are limited together, far below."""

FORGET_SECONDS: Final = 21_600.0
"""How often all summarized rows are looked at, to delete the ones that are over: hours do not matter there."""

# Kafka may have been asked for the first one before the takeover.
_CONFIRMATIONS: Final = 2

_MARK: Final = b"1"
_VALUE_OF: Final = attrgetter("value")
_FIRST_BYTE: Final = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The changes that a flush makes durable for one partition: all of them, in the order of the fields, or none."""

    partition: int
    outputs: list[Output]
    rows: dict[bytes, bytes | None]
    position: Position | None


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of a partition, and the generation of its rows when they begin anew."""

    topic_id: str
    begin: int = 0
    """The first offset that still exists."""
    generation: int = 0
    end: int = 0
    """The offset after the last one that existed at the takeover: an earlier owner took in none beyond it."""


class Partition:
    """
    The rows of one partition, its outputs that wait for a flush, and its position in the source.

    The rows contain all source records before `position`; it is None before the first record ever.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - called once, by a takeover
        self,
        number: int,
        stage: Stage,
        read: Callable[[bytes], bytes | None],
        throttle: Throttle | Throttles,
        origin: Origin,
        guards: Guards = ALL_GUARDS,
        erasing: Erasing | None = None,
    ) -> None:
        self.number = number
        self.rows = Overlay(read)
        position = read(POSITION)
        self.position = _begin(position, guards)
        ending = read(ENDING)
        self._ending = None if ending is None else endings.parse(ending)
        self._begin = origin.begin
        self._end = origin.end
        self._produced = 0
        self._stage = stage
        self._throttle = throttle
        self._source = None if position else origin.topic_id.encode()
        self._outputs: list[Output] = []
        self._output_bytes = 0
        self._sealed_position = self.position
        self._watched: set[bytes] | None = None
        self._initials = frozenset(map(_FIRST_BYTE, stage.summarized))
        if position is None:
            self.rows.put(GENERATION_KEY, origin.generation)
        self._erasing = erasing
        erased = read(ERASED)
        self._kept_erased = Progress() if erased is None else Progress.parse(erased)
        self._erased = self._kept_erased
        self._walk = Walk()
        if self._erased.is_walking:
            self._walk.begin([])
        self._forgetting = Walk()
        self._forgets_at = -inf
        self._has_forgotten = False
        self._holds_too_few = False
        self._takeover_confirmations = 0 if erasing is None else erasing.confirmations
        self._hold_erasures()

    @property
    def next(self) -> int:
        """The source offset that must be applied next."""
        return self._begin if self.position is None else max(self.position.offset, self._begin)

    def take_in(self, offset: int, value: bytes) -> Iterator[int]:
        """
        Apply one source record piece by piece, without the pieces that the rows contain already.

        Yields after each piece how many bytes the next flush must write for this partition. The partition may be
        flushed or revoked at each yield; its next owner goes on with the next piece.

        An exception leaves an incomplete piece in the rows: only the partition's `ending` may be written after it.
        """
        if self.position is None and self._erasing is not None:
            # In new rows all erasures hold: no record was taken in without them.
            self._erased = Progress(self._erasing.end)
            self._hold_erasures()
        elif self._holds_too_few:
            self._hold_erasures()
        begin = self.position.taken if self.position is not None and self.position.offset == offset else 0
        for outputs, index in self._stage.apply(self.rows, self.number, offset, value, begin, self.refused(offset)):
            self._outputs += outputs
            size = sum(map(len, map(_VALUE_OF, outputs)))
            self._output_bytes += size
            self._produced += size
            self.position = Position(offset + 1) if index is None else Position(offset, index)
            if self._erased.planned is not None:
                self._hold_erasures()
            yield self.rows.size + self._output_bytes

    def refused(self, offset: int) -> Ending | None:
        """Return the ending of a record that ended too many workers and is not retried; None for any other record."""
        ending = self._ending
        return ending if ending and ending.offset == offset and ending.times >= endings.MAX_ENDINGS else None

    def ending(self, offset: int, at: int | None) -> Ending:
        """Return the ending to write, alone, when the record at this offset ends the worker."""
        return endings.one_more(self._ending, offset, at)

    def watch(self) -> Collection[bytes]:
        """Note from now on which summarized keys change, and return the changed ones that the store may lack."""
        self._watched = set()
        return self._summarized(self.rows.unstored)

    def take_changed(self) -> Collection[bytes]:
        """Return the summarized keys that changed since the last call, or `watch`. Some may come again unchanged."""
        watched, self._watched = self._watched, set()
        return {*(watched or ()), *self._summarized(self.rows.changed)}

    def _summarized(self, keys: Iterable[bytes]) -> list[bytes]:
        known = [*keys]
        # Nearly all keys are of other rows, and their first byte tells it, without a step in Python for each.
        likely = compress(known, map(self._initials.__contains__, map(_FIRST_BYTE, known)))
        return [key for key in likely if key.startswith(self._stage.summarized)]

    @property
    def unsealed(self) -> bool:
        """Whether anything was applied that no checkpoint contains."""
        return self.position != self._sealed_position or bool(self._outputs) or self._has_erased or self._has_forgotten

    @property
    def _has_erased(self) -> bool:
        return self.position is not None and self._erased != self._kept_erased

    @property
    def knows_erasures(self) -> bool:
        """
        Whether all erasures are known: without them no record may be taken in, and no row be shown.

        A former owner may have read further than this worker, and have made it durable that these erasures hold.
        """
        return self._erasing is None or (self._erasing.is_current and not self.lacks_erasures)

    @property
    def lacks_erasures(self) -> bool:
        """
        Whether this worker has yet to read erasures that a former owner has read.

        When Kafka says after the takeover that there are none, the topic was made anew, and its erasures are all.
        """
        if self._erasing is None or self._erasing.end >= self._erased.needed:
            return False
        return self._erasing.confirmations < self._takeover_confirmations + _CONFIRMATIONS

    @property
    def is_behind(self) -> bool:
        """Whether erasures are known that do not hold in the rows, and may hold from here on."""
        if self._erasing is None or self._erased.end == self._erasing.end or self._erased.planned is not None:
            return False
        if self.lacks_erasures:
            return False
        # A plan takes the place of the one before, which a replay needs until rows beyond it are durable.
        if self.position is None or self._erased.end != self._kept_erased.end:
            return False
        # An earlier owner may have sent outputs of records that are not in the rows: of one checkpoint at most. They
        # must come again as they were.
        return self.next >= self._end or self._produced > MOST_OUTPUT_BYTES

    def planned(self) -> Progress:
        """Return the plan that all known erasures hold from here on; it is to be durable before it is begun."""
        end = 0 if self._erasing is None else self._erasing.end
        return self._erased.with_plan(end, self._here)

    def begin_erasing(self, plan: Progress) -> None:
        """Let the erasures of a durable plan hold. No record was applied since the plan was made."""
        self._erased = self._kept_erased = plan
        self._hold_erasures()

    @property
    def is_walking(self) -> bool:
        """Whether there are rows left in which the erasures that hold were not applied."""
        return self._erased.is_walking

    def erase_slice(self, scan: Callable[[bytes, bytes], Iterator[tuple[bytes, bytes]]]) -> int:
        """
        Apply the erasures to the next rows; return how many bytes the next flush must write for this partition.

        Does nothing while not all erasures are known: the walk would end as done without them.

        `scan` yields the stored rows whose keys begin with its first argument and come after the second, in order.
        """
        if self._erasing is not None and self._erased.is_walking and self.knows_erasures:
            if self._holds_too_few:
                self._hold_erasures()
            keys = self._walk.next_keys(partial(scan, self._erasing.prefix))
            outputs = self._erasing.erase(self.rows, keys)
            self._outputs += outputs
            self._output_bytes += sum(len(output.value) for output in outputs)
            if self._walk.is_over:
                self._erased = self._erased._replace(is_walking=False)
        return self.rows.size + self._output_bytes

    def is_forgetting(self, now: float) -> bool:
        """Return whether rows are left to be looked at by `forget_slice`: from time to time that is all of them."""
        if self._stage.forgettable is not None and self.position is not None and now >= self._forgets_at:
            self._forgets_at = now + FORGET_SECONDS
            self._forgetting.begin([])
        return not self._forgetting.is_over

    def forget_slice(self, scan: Callable[[bytes, bytes], Iterator[tuple[bytes, bytes]]]) -> int:
        """Delete those of the next rows that are over; `scan` and the returned bytes are those of `erase_slice`."""
        if self._stage.forgettable is not None:
            keys = self._forgetting.next_keys(partial(scan, self._stage.forgettable))
            self._has_forgotten |= self._stage.forget(self.rows, keys) > 0
        return self.rows.size + self._output_bytes

    @property
    def _here(self) -> Position:
        return max(self.position or Position(0), Position(self.next))

    def _hold_erasures(self) -> None:
        """Let the erasures hold in the rows that hold at this position."""
        before, self._erased = self._erased, self._erased.reached(self._here)
        if self._erasing is not None:
            self.rows.erased = self._erasing.before(self._erased.end)
            self._holds_too_few = self._erasing.end < self._erased.end
            if self._erased.is_walking and self._erased is not before:
                changed = [key for key in self.rows.unstored if key.startswith(self._erasing.prefix)]
                self._walk.begin(changed)

    def needs_flush(self, now: float) -> bool:
        """Return whether a checkpoint would contain anything."""
        return self.unsealed or self._throttle.is_due(now)

    def seal(self, now: float) -> Checkpoint:
        """Return the checkpoint of everything applied so far, and begin the next one."""
        held_before = frozenset(self._throttle.held)
        changed = self._summarized(self.rows.changed)
        if self._watched is not None:
            self._watched.update(changed)
        due = self._throttle.admit(changed, now)
        outputs = self._outputs + self._stage.summarize(self.rows, self.number, due)
        rows = self.rows.seal()
        rows.update((HELD + key, _MARK) for key in self._throttle.held - held_before)
        rows.update((HELD + key, None) for key in held_before - self._throttle.held)
        if self.position is not None:
            rows[POSITION] = self.position.written()
            if self._source is not None:
                rows[SOURCE], self._source = self._source, None
            if self._has_erased:
                rows[ERASED] = self._erased.written()
            if self._ending is not None and self._ending.offset < self.position.offset:
                rows[ENDING], self._ending = None, None
        self._outputs, self._output_bytes = [], 0
        self._has_forgotten = False
        self._sealed_position, self._kept_erased = self.position, self._erased
        return Checkpoint(self.number, outputs, rows, self.position)


def _begin(position: bytes | None, guards: Guards) -> Position | None:
    """Return the position of the rows; None before the first record ever, or when a guard is off."""
    if position is None or not guards.position:
        return None
    parsed = Position.parse(position)
    return parsed if guards.taken else Position(parsed.offset)
