"""
How far the rows of a partition have come in their source.
"""

from typing import NamedTuple, Self


class Position(NamedTuple):
    """
    All records before `offset` are contained, and so much as is `taken` of the one at `offset`.

    That is 0 nearly always: only a record that is taken in as several pieces is ever contained in part.
    """

    offset: int
    taken: int = 0

    @classmethod
    def parse(cls, written: bytes) -> Self:
        """Return the position of a row."""
        offset, *taken = written.split(b":")
        return cls(int(offset), int(taken[0])) if taken else cls(int(offset) + 1)

    def written(self) -> bytes:
        """Return the row: the last offset that is contained whole, or the one in part and what is taken of it."""
        return b"%d:%d" % self if self.taken else b"%d" % (self.offset - 1)
