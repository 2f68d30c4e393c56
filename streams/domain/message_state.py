"""
The state of a message: its parts rolled up. The one rule for records, counts and answers over HTTP.
"""

import msgspec

from streams.domain.message import WHOLE, Message, expected_parts, status_of
from streams.domain.money import MOST_UNITS
from streams.domain.statuses import is_final


class MessageState(msgspec.Struct, frozen=True, gc=False):
    """The state of a message after a revision."""

    status: str
    """That of the least advanced part; when all are final, the worst one. A part not seen yet counts as `Sent`."""
    is_final: bool
    parts: int
    """How many SMS the message has, as far as its callbacks tell."""
    parts_seen: int
    latency_seconds: float | None
    """That of the slowest part; None when no part has one."""
    price: int | None
    """The sum over the parts seen in units of 1e-8, up to MOST_UNITS; None when no part has one."""
    revision: int
    """How many revisions its parts had, so how many records there are of it."""


def message_state(message: Message) -> MessageState:
    """Return the state of a message that has a part at least."""
    parts = message.parts
    if len(parts) == 1:
        sms = parts[0]
        details = sms.details
        if details.parts in WHOLE:  # nearly all messages: the same as below, at a fraction of its cost
            status, latency, price = sms.status, details.latency_seconds, details.price
            return MessageState(status, is_final(status), 1, 1, latency, price, sms.revision)
    latency = price = None
    revision = 0
    for sms in parts:
        details = sms.details
        revision += sms.revision
        if details.latency_seconds is not None and (latency is None or details.latency_seconds > latency):
            latency = details.latency_seconds
        if details.price is not None:
            price = details.price + (price or 0)
    if price is not None:
        price = max(-MOST_UNITS, min(price, MOST_UNITS))
    expected = expected_parts(parts)
    status = status_of([sms.status for sms in parts], expected)
    return MessageState(status, is_final(status), expected, len(parts), latency, price, revision)
