"""
A walk through the rows of a partition in slices, while they go on changing.

Rows that come or change during the walk need not be met: the code that changes them applies the erasures, too.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

SLICE_ROWS: Final = 500
"""Everything else in the event loop waits for a slice."""


class Walk:
    """
    One walk, which may begin anew on its way.

    Then it goes to its end and once again from the beginning, so that it always comes to an end.
    """

    def __init__(self) -> None:
        self._unstored: list[bytes] = []
        self._after = b""
        self._goes_again = False
        self.is_over = True

    def begin(self, unstored: list[bytes]) -> None:
        """Begin with these keys, which the store may not have; then come those of the store."""
        self._goes_again = not self.is_over and bool(self._after)
        self._unstored += unstored
        self.is_over = False

    def next_keys(self, scan: Callable[[bytes], Iterator[tuple[bytes, bytes]]]) -> list[bytes]:
        """Return the keys of the next slice; `scan` yields the stored rows after a key, in order."""
        if self._unstored:
            keys, self._unstored = self._unstored[:SLICE_ROWS], self._unstored[SLICE_ROWS:]
            return keys
        keys = [key for key, _ in islice(scan(self._after), SLICE_ROWS)]
        if len(keys) == SLICE_ROWS:
            self._after = keys[-1]
        else:
            self._after, self.is_over, self._goes_again = b"", not self._goes_again, False
        return keys
