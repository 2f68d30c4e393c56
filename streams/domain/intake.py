"""
What one callback of an SMS does, as values: the row, the record, the counts that move and the verdict. Pure.
"""

from typing import Final, NamedTuple

from msgspec.json import Encoder

from streams.contract.records import Reason
from streams.domain.callback import Callback
from streams.domain.expiry import is_forgotten
from streams.domain.message import Contribution, Message, contribution, join_message, sms_index_key, withheld
from streams.domain.policy import Policy
from streams.domain.refusal import Refusal
from streams.domain.sms_record import sms_record

_ENCODER: Final = Encoder()


class Moment(NamedTuple):
    """When and where a callback comes."""

    received: int
    """Our time, in ms."""
    clock: int
    """Stream time with it, in ms; 0 before the first date."""
    bucket: int
    """The bucket of stream time in which its message is touched."""
    place: list[int]
    """[partition, offset, index] in the raw topic."""


# A NamedTuple's own constructor takes three times as long, and one of both is made for each callback.
as_moment: Final = tuple.__new__
_as_taken: Final = tuple.__new__


class Taken(NamedTuple):
    """What becomes of a callback that is taken in."""

    verdict: str
    row: Message | None
    """The message to be written, None when nothing of it changes."""
    sms_key: str
    record: bytes | None
    """The new revision of the SMS as it is told, None when there is nothing to tell."""
    before: Contribution | None
    """What the message added to the counts before, and what it adds now; the same when none move."""
    after: Contribution | None
    is_new: bool
    """The message was not known."""
    index_key: bytes | None
    """The key of the row by which an SMS that was not known is found, None when it needs none."""


def take(callback: Callback, found: Message | None, moment: Moment, policy: Policy) -> Taken | Refusal:
    """Return what a callback does to its message, None when that is not known; a refusal when it is not taken."""
    received, clock, bucket, place = moment
    before = withheld(found, policy) if found is not None and policy.withholds else found
    if before is None:
        if callback.date and is_forgotten(callback.date, clock, policy.retention_ms):
            hours = policy.retention_hours
            return Refusal(Reason.EXPIRED, f"status.updatedDate: over {hours} h old, of a message that is not known")
        touched = Message(callback.message_id, bucket, [])
    else:
        touched = before if before.touched == bucket else Message(before.message_id, bucket, before.parts)
    joined = join_message(touched, callback, received, place, policy.conflicting_finals)
    if isinstance(joined, Refusal):
        return joined
    message, (sms, verdict, is_visible) = joined
    record = was = is_now = index_key = None
    if is_visible:
        record = _ENCODER.encode(sms_record(message.message_id, sms))
        was = None if before is None else contribution(before)
        is_now = contribution(message)
    if before is None or len(message.parts) > len(before.parts):
        index_key = sms_index_key(message.message_id, sms.key)
    row = None if message is found else message
    return _as_taken(Taken, (verdict, row, sms.key, record, was, is_now, before is None, index_key))
