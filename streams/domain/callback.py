"""
One status of one SMS, in a form that is the same for every provider.
"""

from typing import Final

import msgspec

from streams.domain.details import Details

POSTED: Final = 0
PULLED: Final = 1
REDRIVEN: Final = -1


class Callback(msgspec.Struct, frozen=True, gc=False):
    """One status of one SMS, as read from one callback."""

    message_id: str
    status: str
    """In Routee's spelling; an unknown word as received."""
    date: int
    """Routee's time of the status in ms, also one in the future; NO_DATE when the callback has none."""
    details: Details
    notes: list[str]
    """Names of the fields left out because they were not understood; `unknown-status`, `future-date`: both are kept."""
    erased: int = 0
    """The moment of the erasure that covers its SMS in ms, 0 when there is none; see `erasing.erase_before`."""
    to: str | None = None
    """The recipient as received: pseudonyms and masks in the details do not tell it. It is not kept."""
    origin: int = POSTED
    """POSTED by the provider; PULLED: we asked for it; REDRIVEN: it was posted, and was refused at first."""
