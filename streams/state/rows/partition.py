"""
One partition of a table between two flushes: what was taken in and is not durable yet. Pure.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from streams.domain.stage import GENERATION_KEY, Ending, Output, Stage
from streams.state.guards import ALL_GUARDS, Guards
from streams.state.rows import endings
from streams.state.rows.overlay import Overlay
from streams.state.rows.position import Position
from streams.state.rows.reserved_keys import ENDING, HELD, POSITION, SOURCE
from streams.state.rows.throttle import Throttle

_MARK: Final = b"1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a flush makes durable for one partition: all of it, in the order of the fields, or nothing of it."""

    partition: int
    outputs: list[Output]
    rows: dict[bytes, bytes | None]
    position: Position | None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the records of a partition come from, and what its rows are called when they begin anew."""

    topic_id: str
    begin: int = 0
    """The first offset that still exists."""
    generation: int = 0


class Partition:
    """
    The rows of one partition, the outputs that they owe, and how far they contain its source.

    `position` says that; None before the first record ever. What lies before it is contained already.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a takeover found out
        self,
        number: int,
        stage: Stage,
        read: Callable[[bytes], bytes | None],
        throttle: Throttle,
        origin: Origin,
        guards: Guards = ALL_GUARDS,
    ) -> None:
        self.number = number
        self.rows = Overlay(read)
        position = read(POSITION)
        self.position = _begin(position, guards)
        ending = read(ENDING)
        self._ending = None if ending is None else endings.parse(ending)
        self._begin = origin.begin
        self._stage = stage
        self._throttle = throttle
        self._source = None if position else origin.topic_id.encode()
        self._outputs: list[Output] = []
        self._output_bytes = 0
        self._sealed_position = self.position
        if position is None:
            self.rows.put(GENERATION_KEY, origin.generation)

    @property
    def next(self) -> int:
        """The source offset that has to be taken in next."""
        return self._begin if self.position is None else max(self.position.offset, self._begin)

    def take_in(self, offset: int, value: bytes) -> Iterator[int]:
        """
        Apply what is not contained yet of one source record, piece by piece.

        Yield after each how many bytes the next flush has to write for this partition: now it may be flushed, and
        given up, too; its next owner goes on with the next piece.

        What is raised leaves the rows of a piece that is not complete: nothing of the partition may be written then
        but its `ending`.
        """
        begin = self.position.taken if self.position is not None and self.position.offset == offset else 0
        for outputs, index in self._stage.apply(self.rows, self.number, offset, value, begin, self.refused(offset)):
            self._outputs += outputs
            self._output_bytes += sum(len(output.value) for output in outputs)
            self.position = Position(offset + 1) if index is None else Position(offset, index)
            yield self.rows.size + self._output_bytes

    def refused(self, offset: int) -> Ending | None:
        """Return what is known of a record that ended workers too often, and is not tried again; None for any other."""
        ending = self._ending
        return ending if ending and ending.offset == offset and ending.times >= endings.MOST_ENDINGS else None

    def ending(self, offset: int, at: int | None) -> Ending:
        """Return what is to be written, alone, when the record at this offset ends the worker."""
        return endings.one_more(self._ending, offset, at)

    @property
    def unsealed(self) -> bool:
        """Whether anything was taken in that no checkpoint contains."""
        return self.position != self._sealed_position

    def needs_flush(self, now: float) -> bool:
        """Tell whether a checkpoint would contain anything."""
        return self.unsealed or self._throttle.is_due(now)

    def seal(self, now: float) -> Checkpoint:
        """Return the checkpoint of everything taken in so far, and begin the next one."""
        held_before = frozenset(self._throttle.held)
        changed = [key for key in self.rows.changed if key.startswith(self._stage.summarized)]
        due = self._throttle.admit(changed, now)
        outputs = self._outputs + self._stage.summarize(self.rows, self.number, due)
        rows = self.rows.seal()
        rows.update((HELD + key, _MARK) for key in self._throttle.held - held_before)
        rows.update((HELD + key, None) for key in held_before - self._throttle.held)
        if self.position is not None:
            rows[POSITION] = self.position.written()
            if self._source is not None:
                rows[SOURCE], self._source = self._source, None
            if self._ending is not None and self._ending.offset < self.position.offset:
                rows[ENDING], self._ending = None, None
        self._outputs, self._output_bytes = [], 0
        self._sealed_position = self.position
        return Checkpoint(self.number, outputs, rows, self.position)


def _begin(position: bytes | None, guards: Guards) -> Position | None:
    """Return the position of the rows, None before the first record ever."""
    if position is None or not guards.position:
        return None
    parsed = Position.parse(position)
    return parsed if guards.taken else Position(parsed.offset)
