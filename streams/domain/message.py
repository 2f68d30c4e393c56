"""
One message: its SMS, how a callback finds its SMS, and the message's contribution to its campaign.
"""

from typing import Final

import msgspec

from streams.contract.records import Reason
from streams.domain.callback import Callback
from streams.domain.details import Details
from streams.domain.lifecycle import APPLIED, Sms, begin, join
from streams.domain.policy import Policy
from streams.domain.privacy import kept_recipient, shown_text
from streams.domain.refusal import Refusal
from streams.domain.row_forms import ListRow
from streams.domain.stage import Rows
from streams.domain.statuses import SENT, FinalsRule, changes_of_mind, rolled_up

MAX_PARTS: Final = 255
"""The most parts that a concatenated SMS can have."""
ROW_MAX_BYTES: Final = 256 * 1024
"""No real message comes near, but any client can post parts: a row larger than a Kafka record stops its partition."""

SURELY_FITTING_BYTES: Final = 64 * 1024
"""With one more SMS, or a longer one, a row up to here is never larger than ROW_MAX_BYTES: an SMS is bounded, too."""

_PREFIX: Final = "m:"
MESSAGE_PREFIX: Final = _PREFIX.encode()
"""Key prefix of the rows of messages."""

SMS_PREFIX: Final = b"s:"
"""Key prefix of the index rows, each of which names the message of an SMS."""

_ENCODER: Final = msgspec.json.Encoder()

WHOLE: Final = (None, 1)
"""The values of `parts` for a message of one SMS."""


class Message(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True, gc=False):
    """The row of a message, written as a list of these values (`row_forms`)."""

    message_id: str
    touched: int
    """The bucket of stream time in which its last callback came; see `expiry`."""
    parts: list[Sms]
    generation: int = 0
    """Grows whenever a message begins in its partition, forgotten ones included; 0 for one that 0.1.0 began."""
    previous: str | None = None
    """Its status before the last revision; None with the first one."""

    @property
    def status(self) -> str:
        """Return the status of the whole message; a part not seen yet counts as `Sent`."""
        return status_of_parts(self.parts)


Grown = tuple[Message, Sms, str, bool]
"""A message after one callback, and the effect on its SMS: what `join` returns."""


def status_of_parts(parts: list[Sms]) -> str:
    """Return the status of a message with these SMS; one not seen yet counts as `Sent`."""
    if len(parts) == 1 and parts[0].details.parts in WHOLE:
        return parts[0].status
    return status_of([sms.status for sms in parts], expected_parts(parts))


def status_of(words: list[str], expected: int) -> str:
    """Return the status of a message whose SMS have these words, of `expected` SMS."""
    return rolled_up((*words, SENT) if expected > len(words) else tuple(words))


Contribution = tuple[str, str | None, str, tuple[str, ...], int, int]
"""A message's share in the counts of its campaign: id, name, status, statuses of the parts, price, conflicts."""


def message_key(message_id: str) -> bytes:
    """Return the key of a message's row; ids are the same in any case."""
    return (_PREFIX + message_id.lower()).encode()


def sms_index_key(message_id: str, sms_key: str) -> bytes | None:
    """
    Return the key of the index row that names the message of an SMS; keys are the same in any case.

    None when the SMS key itself names the message (`id` or `id#part`): such an SMS has no index row.
    """
    key, message = sms_key.lower(), message_id.lower()
    if key == message or ("#" in key and key.rpartition("#")[0] == message):
        return None
    return SMS_PREFIX + key.encode()


def sms_lookup_keys(sms_key: str) -> tuple[bytes, list[bytes]]:
    """Return the keys to look an SMS up by: its index row, and the rows of messages that its key may name."""
    key = sms_key.lower()
    return SMS_PREFIX + key.encode(), [message_key(key), message_key(key.rpartition("#")[0])]


def find_message(rows: Rows, key: bytes) -> Message | None:
    """Return the message of a row, None when the row does not exist."""
    written = rows.raw(key)
    return None if written is None else read_message(written)[0]


read_message: Final = ListRow(Message).read
"""Return the message of a row's bytes, and the fields that a later version added (None: none)."""


def expected_parts(parts: list[Sms]) -> int:
    """
    Return how many SMS the message has, as far as its callbacks tell.

    Callbacks with neither `smsId` nor `part` cannot be told apart, so they speak for the whole message.
    """
    most = len(parts)
    for sms in parts:
        details = sms.details
        if details.parts and details.parts > most and (details.sms_id or details.part):
            most = details.parts
    return most


def withheld(message: Message, policy: Policy) -> Message:
    """Return the message without the data that the policy withholds; it may have been taken in under another policy."""
    parts = [msgspec.structs.replace(sms, details=_withheld(sms.details, policy)) for sms in message.parts]
    return message if parts == message.parts else msgspec.structs.replace(message, parts=parts)


def _withheld(details: Details, policy: Policy) -> Details:
    recipient = None if details.recipient is None else kept_recipient(details.recipient, policy)
    message = None if policy.message_text == "drop" else shown_text(details.message, policy)
    return msgspec.structs.replace(
        details,
        recipient=recipient,
        message=message,
        label=shown_text(details.label, policy),
        campaign_name=shown_text(details.campaign_name, policy),
    )


def join_message(
    message: Message, callback: Callback, received: int, place: list[int], rule: FinalsRule
) -> Grown | Refusal:
    """Return the message after one more callback, and the effect on its SMS; a refusal when it has too many."""
    known = message.parts
    at = find_part(known, callback.details.sms_id, callback.details.part)
    if at is None:
        if len(known) >= MAX_PARTS:
            return Refusal(Reason.INVALID_FIELD, f"smsId: expected at most {MAX_PARTS} SMS of one message")
        sms = begin(message.message_id, callback, received, place)
        parts = [*known, sms]
        grown = Message(message.message_id, message.touched, parts, message.generation, message.status)
        return grown, sms, APPLIED, True
    sms, verdict, is_revision = join(known[at], callback, received, place, rule)
    if sms is known[at]:
        return message, sms, verdict, is_revision
    parts = [*known]
    parts[at] = sms
    previous = status_of_parts(known) if is_revision else message.previous  # the property takes longer
    grown = Message(message.message_id, message.touched, parts, message.generation, previous)
    return grown, sms, verdict, is_revision


def fitting_row(message: Message) -> msgspec.Raw | Refusal:
    """
    Return the row of a message of several SMS; a refusal when it would be too large.

    Their length is known once they are encoded. One SMS alone always fits, because its fields are bounded.
    """
    row = as_row(message)
    if len(row) > ROW_MAX_BYTES:
        return Refusal(Reason.INVALID_FIELD, f"smsId: expected all SMS of one message to fit in {ROW_MAX_BYTES} bytes")
    return row


def as_row(message: Message) -> msgspec.Raw:
    """Return the row of a message, encoded."""
    return msgspec.Raw(_ENCODER.encode(message))


def find_part(parts: list[Sms], sms_id: str | None, part: int | None) -> int | None:
    """Return the index of the SMS with this `smsId` in any case; by part number when either side has no `smsId`."""
    if sms_id is None:
        return next((at for at, sms in enumerate(parts) if _same_part(sms, part)), None)
    for at, sms in enumerate(parts):
        if sms.details.sms_id == sms_id:  # nearly always one is written in the same case
            return at
    wanted = sms_id.lower()
    nameless = None
    for at, sms in enumerate(parts):
        known = sms.details.sms_id
        if known is None:
            nameless = at if nameless is None and _same_part(sms, part) else nameless
        elif known.lower() == wanted:
            return at
    return nameless


def _same_part(sms: Sms, part: int | None) -> bool:
    return (sms.details.part or 1) == (part or 1)


def contribution(message: Message, status: str) -> Contribution | None:
    """
    Return the contribution of a message with this status to its campaign, None when it belongs to none.

    All parts count in the campaign of the message. Parts that name different campaigns have never been seen: there
    the greatest id decides, which does not depend on the order of arrival.
    """
    parts = message.parts
    if len(parts) == 1:  # nearly all messages: the same as below, at a third of its cost
        sms = parts[0]
        details = sms.details
        if details.campaign_tracking_id is None:
            return None
        price = details.price or 0
        conflicts = changes_of_mind(sms.finals) if sms.finals else 0
        return details.campaign_tracking_id, details.campaign_name, status, (sms.status,), price, conflicts
    campaign = name = None
    words, price, conflicts = [], 0, 0
    for sms in parts:
        details = sms.details
        words.append(sms.status)
        if details.campaign_tracking_id and (campaign is None or details.campaign_tracking_id > campaign):
            campaign = details.campaign_tracking_id
        if details.campaign_name and (name is None or details.campaign_name > name):
            name = details.campaign_name
        price += details.price or 0
        if sms.finals:
            conflicts += changes_of_mind(sms.finals)
    return None if campaign is None else (campaign, name, status, tuple(words), price, conflicts)
