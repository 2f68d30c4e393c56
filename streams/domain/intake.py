"""
The effect of one SMS callback, as values: the row, the record, the counts that move and the verdict. Pure.
"""

from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Encoder

from streams.contract.headers import Headers, headers_of
from streams.contract.records import Reason
from streams.contract.remembered import remembered
from streams.contract.topics import SMS_STATUS
from streams.domain.callback import PULLED, REDRIVEN, Callback
from streams.domain.expiry import is_forgotten, is_touched_ahead
from streams.domain.lifecycle import Sms
from streams.domain.lifecycle import begin as begin_sms
from streams.domain.message import (
    SURELY_FITTING_BYTES,
    Contribution,
    Message,
    contribution,
    fitting_row,
    join_message,
    sms_index_key,
    withheld,
)
from streams.domain.message_state import MessageState, message_state
from streams.domain.policy import HOUR_MS, Erased, Policy
from streams.domain.privacy import holds_one_time_code
from streams.domain.refusal import Refusal
from streams.domain.sending import Sending, sending
from streams.domain.sms_record import sms_record
from streams.domain.stage import Output

_ENCODER: Final = Encoder()
_ROOM: Final = bytearray()
"""Each record is written here, and copied: a buffer of its own would grow several times."""


class Moment(Struct, frozen=True, gc=False):
    """Time and place at which a callback comes."""

    received: int
    """Our time of receipt, in ms."""
    clock: int
    """Stream time including this callback, in ms; 0 before the first date."""
    forgotten: int
    """The moment in ms before which messages may have been forgotten."""
    bucket: int
    """The bucket of stream time in which the callback touches its message."""
    latest: int
    """The latest date (ms) of a callback that comes at this moment: a later one touches its message in its own."""


class Taken(Struct, frozen=True, gc=False):
    """The effect of a callback that is taken in."""

    verdict: str
    message: Message
    """The message after the callback."""
    row: Message | Raw | None
    """The row to write, None when it does not change."""
    sent: int | None
    """When the one SMS that changed was sent, in ms; None when several may have changed, or none."""
    was: str | None
    """Status of the message before the callback, None when it was unknown."""
    status: str | None
    """And after the callback; both are None when the row does not change."""
    output: Output | None
    """The public record of the new revision, None when there is no new revision."""
    before: Contribution | None
    """Contributions of the message to the counts, before and after the callback; equal when no count moves."""
    after: Contribution | None
    index_key: bytes | None
    """The key of the index row for a new SMS, None when no row is needed."""


_PULLED_UNDATED: Final = Refusal(
    Reason.EXPIRED, "status.updatedDate: missing, and the pulled message is not known: it may have been forgotten"
)


def take(  # noqa: PLR0913, PLR0917 - as in Stage
    callback: Callback, found: Message, size: int, moment: Moment, place: list[int], policy: Policy
) -> Taken | Refusal:
    """
    Return the effect of a callback on `found`, its message; a refusal when it is not taken in.

    `size` is the length of the message's row in bytes; `place` is [partition, offset, index] in the raw topic.
    """
    before = withheld(found, policy) if policy.withholds else found
    touched = before if before.touched == moment.bucket else _touched(before, moment.bucket, policy)
    joined = join_message(touched, callback, moment.received, place, policy.conflicting_finals)
    if isinstance(joined, Refusal):
        return _refused(joined, touched)
    message, sms, verdict, is_visible = joined
    row: Message | Raw | None = None if message is found else message
    sent = was = status = output = counted = counts = index_key = None
    if message.parts is not before.parts:
        if len(message.parts) > 1 and size > SURELY_FITTING_BYTES:
            fitting = fitting_row(message)
            if isinstance(fitting, Refusal):
                return fitting
            row = fitting
        when = sending(sms)
        sent = when[0] if before is found else None  # withholding data changes all SMS
        if is_visible:
            state = message_state(message)
            was, status = message.previous, state.status
            output = output_of(message, state, sms, when, policy.erased)
            counted = None if was is None else contribution(before, was)
            counts = contribution(message, status)
        if len(message.parts) > len(before.parts):
            index_key = sms_index_key(message.message_id, sms.key)
    if row is not None and not is_visible:
        was = status = message.status
    return Taken(verdict, message, row, sent, was, status, output, counted, counts, index_key)


class Begun(Struct, frozen=True, gc=False):
    """The effect of the first callback of a message."""

    message: Message
    """Also the row to write."""
    sent: int
    """When its SMS was sent, in ms."""
    status: str
    """Of the message."""
    output: Output
    """The public record of the first revision."""
    counted: Contribution | None
    """Its contribution to the counts."""
    index_key: bytes | None
    """As in Taken."""


def begin(
    callback: Callback, moment: Moment, place: list[int], generation: int, erased: Erased | None
) -> Begun | Refusal:
    """
    Return the effect of a callback whose message is unknown; a refusal when it is not taken in.

    `place` is [partition, offset, index] in the raw topic; `generation` is that of the message.
    """
    if is_forgotten(callback.date, moment.forgotten) or callback.origin:
        refusal = _expired(callback, moment)
        if refusal is not None:
            return refusal
    sms = begin_sms(callback.message_id, callback, moment.received, place)
    message = Message(callback.message_id, moment.bucket, [sms], generation)
    when, state = sending(sms), message_state(message)
    output = output_of(message, state, sms, when, erased)
    index_key = sms_index_key(message.message_id, sms.key)
    return Begun(message, when[0], state.status, output, contribution(message, state.status), index_key)


def _touched(message: Message, bucket: int, policy: Policy) -> Message:
    """Return a message as touched in a bucket of stream time, or in a later one that a date ahead led to."""
    if is_touched_ahead(message.touched, bucket, policy.retention_ms):
        return message
    return Message(message.message_id, bucket, message.parts, message.generation, message.previous)


def _refused(refusal: Refusal, message: Message) -> Refusal:
    """Return the refusal of a callback of a message, which tells whether that has a one-time code."""
    return refusal._replace(of_code=any(holds_one_time_code(sms.details.originating_service) for sms in message.parts))


def _expired(callback: Callback, moment: Moment) -> Refusal | None:
    """Return the refusal of a callback whose message is unknown and may have been forgotten, None of a new message."""
    # An undated status is as old as its first receipt at least, and a redriven callback tells that.
    date = moment.received if callback.origin == REDRIVEN and not callback.date else callback.date
    if is_forgotten(date, moment.forgotten):
        hours = (moment.clock - moment.forgotten) // HOUR_MS
        return Refusal(Reason.EXPIRED, f"status.updatedDate: over {hours} h old, of a message that is not known")
    return _PULLED_UNDATED if callback.origin == PULLED and not callback.date else None


def output_of(message: Message, state: MessageState, sms: Sms, when: Sending, erased: Erased | None) -> Output:
    """Return the public record of an SMS in which these erasures hold, as a record to produce."""
    record = sms_record(message, state, sms, when)
    on_the_way, final = _headers_of(record.campaign_tracking_id)
    headers = final if record.is_final else on_the_way
    digest = None if erased is None else erased.digest
    _ENCODER.encode_into(record, _ROOM)
    return Output(SMS_STATUS, sms.key.encode(), bytes(_ROOM), headers, digest)


# `headers_of` remembers, too, but takes three times as long to find them by three values.
@remembered(4096)
def _headers_of(campaign: str | None) -> tuple[Headers, Headers]:
    """Return the headers of the SMS of a campaign that are on their way, and of final ones."""
    on_the_way, final = (headers_of(SMS_STATUS.suffix, is_final, campaign) for is_final in (False, True))
    return on_the_way, final
