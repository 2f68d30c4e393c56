"""
The guards of the guarantee, by name.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Guards:
    """
    Which guards are on: all of them.

    A worker is handed other ones only to show what each guard is for, by the damage that is done without it.
    """

    fence: bool = True
    """Batches carry a producer id and an epoch, and the broker refuses those of an older owner."""
    retire: bool = True
    """An id that the coordinator forgot loses its right to write."""
    alarms: bool = True
    """A worker asks whether it was replaced, and ends at a changelog offset that is not its own."""
    contiguity: bool = True
    """Each record of the source has to follow the one before."""
    position: bool = True
    """A record that the rows contain is left out."""
    taken: bool = True
    """Of a record that the rows contain in part, only the rest is taken in."""
    unread: bool = True
    """Partitions are read only when their rows are complete."""
    commits: bool = True
    """Source offsets are committed."""


ALL_GUARDS: Final = Guards()
