"""
The guards of the exactly-once guarantee, by name.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Guards:
    """
    The guards that are on. In production: all.

    Tests switch one off to show the damage that it prevents.
    """

    fence: bool = True
    """Batches carry a producer id and an epoch; the broker refuses an older epoch."""
    retire: bool = True
    """A takeover fences the former producer id when the coordinator has forgotten it."""
    alarms: bool = True
    """A worker ends when it may have been replaced, or when its changelog has an offset that it did not write."""
    contiguity: bool = True
    """Each source record must follow the one before."""
    position: bool = True
    """A record that the rows contain already is skipped."""
    taken: bool = True
    """When the rows contain a record in part, only the rest of it is applied."""
    unread: bool = True
    """A partition is read only after its rows are restored."""
    commits: bool = True
    """Source offsets are committed."""


ALL_GUARDS: Final = Guards()
