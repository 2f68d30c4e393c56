"""
How far the erasures hold in the rows of a partition.

Erasures come at any time, and after a crash records must come again as they were. So the place in the source from
which further erasures hold is written first, alone. Only then does any row or output depend on them.
"""

from typing import NamedTuple, Self

from streams.state.rows.position import Position


class Progress(NamedTuple):
    """
    The erasures before offset `end` of their topic hold in the rows.

    While `is_walking`, rows may be left in which they were not applied. `planned` erasures hold from `begin` on.
    """

    end: int = 0
    is_walking: bool = False
    planned: int | None = None
    begin: Position = Position(0)

    @classmethod
    def parse(cls, written: bytes) -> Self:
        """Return the progress that a row contains."""
        end, walking, *plan = map(int, written.split(b":")[:5])
        return cls(end, bool(walking), plan[0], Position(plan[1], plan[2])) if plan else cls(end, bool(walking))

    def written(self) -> bytes:
        """Return the row."""
        done = b"%d:%d" % (self.end, self.is_walking)
        return done if self.planned is None else done + b":%d:%d:%d" % (self.planned, *self.begin)

    @property
    def needed(self) -> int:
        """The offset before which an owner has to know all erasures: they hold in these rows, or will."""
        return self.end if self.planned is None else self.planned

    def with_plan(self, end: int, begin: Position) -> Self:
        """Return the progress with a plan: the erasures before `end` hold from `begin` on."""
        return self._replace(planned=end, begin=begin)

    def reached(self, position: Position) -> Self:
        """Return the progress at a position: the plan holds there, or stays."""
        if self.planned is None or position < self.begin:
            return self
        return self.__class__(self.planned, is_walking=True)
