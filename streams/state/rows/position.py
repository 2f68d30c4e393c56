"""
The position of a partition's rows in their source.
"""

from typing import NamedTuple, Self


class Position(NamedTuple):
    """
    The rows contain all records before `offset`, and the first `taken` callbacks or lines of the record at `offset`.

    `taken` is nearly always 0: only a record that is applied in several pieces can be contained in part.
    """

    offset: int
    taken: int = 0

    @classmethod
    def parse(cls, written: bytes) -> Self:
        """Return the position that a row contains."""
        offset, *taken = written.split(b":")
        return cls(int(offset), int(taken[0])) if taken else cls(int(offset) + 1)

    def written(self) -> bytes:
        """Return the row: the last offset contained whole, or the offset contained in part and `taken`."""
        return b"%d:%d" % self if self.taken else b"%d" % (self.offset - 1)
