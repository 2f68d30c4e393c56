"""
One status of one SMS, whatever provider told it.
"""

from typing import NamedTuple

from streams.domain.details import Details


class Callback(NamedTuple):
    """One status of one SMS, as one callback tells it."""

    message_id: str
    status: str
    """In Routee's spelling; an unknown word as it came."""
    date: int
    """Routee's time of the status in ms; NO_DATE when it gave none, or one that cannot be believed."""
    details: Details
    notes: list[str]
    """What was left out: names of fields that were not understood; `future-date`, `unknown-status`."""
