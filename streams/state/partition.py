"""
One partition of a table between two flushes: what was taken in and is not durable yet. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from streams.domain.stage import GENERATION_KEY, Output, Stage
from streams.state.control import HELD, POSITION, SOURCE
from streams.state.overlay import Overlay
from streams.state.throttle import Throttle

_MARK: Final = b"1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a flush makes durable for one partition: all of it, in the order of the fields, or nothing of it."""

    partition: int
    outputs: list[Output]
    rows: dict[bytes, bytes | None]
    position: int | None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the records of a partition come from, and what its rows are called when they begin anew."""

    topic_id: str
    begin: int = 0
    """The first offset that still exists."""
    generation: int = 0


class Partition:
    """
    The rows of one partition, the outputs that they owe, and the last source offset that they contain.

    `applied` is that offset; None before the first record ever. A record at or below it is contained already.
    """

    def __init__(
        self,
        number: int,
        stage: Stage,
        read: Callable[[bytes], bytes | None],
        throttle: Throttle,
        origin: Origin,
    ) -> None:
        self.number = number
        self.rows = Overlay(read)
        position = read(POSITION)
        self.applied = None if position is None else int(position)
        self._begin = origin.begin
        self._stage = stage
        self._throttle = throttle
        self._source = None if position else origin.topic_id.encode()
        self._outputs: list[Output] = []
        self._output_bytes = 0
        self._sealed_position = self.applied
        if position is None:
            self.rows.put(GENERATION_KEY, origin.generation)

    @property
    def next(self) -> int:
        """The source offset that has to be taken in next."""
        return self._begin if self.applied is None else max(self.applied + 1, self._begin)

    def take_in(self, offset: int, value: bytes) -> int:
        """Apply one source record, whole; return how many bytes the next flush has to write for this partition."""
        outputs = self._stage.apply(self.rows, self.number, offset, value)
        self._outputs += outputs
        self._output_bytes += sum(len(output.value) for output in outputs)
        self.applied = offset
        return self.rows.size + self._output_bytes

    @property
    def unsealed(self) -> bool:
        """Whether anything was taken in that no checkpoint contains."""
        return self.applied != self._sealed_position

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
        if self.applied is not None:
            rows[POSITION] = b"%d" % self.applied
            if self._source is not None:
                rows[SOURCE], self._source = self._source, None
        self._outputs, self._output_bytes = [], 0
        self._sealed_position = self.applied
        return Checkpoint(self.number, outputs, rows, self.applied)
