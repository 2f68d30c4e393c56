"""
One message: the SMS it is made of, how a callback finds its SMS, and what the message adds to its campaign.
"""

from typing import Final

import msgspec

from streams.contract.records import Reason
from streams.domain.callback import Callback
from streams.domain.details import Details
from streams.domain.lifecycle import APPLIED, Joined, Sms, begin, join
from streams.domain.policy import Policy
from streams.domain.privacy import kept_recipient
from streams.domain.refusal import Refusal
from streams.domain.row_forms import ListRow
from streams.domain.stage import Rows
from streams.domain.statuses import SENT, FinalsRule, changes_of_mind, rolled_up

MAX_PARTS: Final = 255
"""A concatenated SMS has no more parts."""
ROW_MAX_BYTES: Final = 256 * 1024
"""No message comes near it, but anyone can post parts, and a row that outgrows a Kafka record stops its partition."""

SMS_PREFIX: Final = b"s:"
"""Of the rows that name the message of an SMS."""

_WHOLE: Final = (None, 1)  # parts of a message that is one SMS


class Message(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True, gc=False):
    """The row of a message, in which it is a list of these values (`row_forms`)."""

    message_id: str
    touched: int
    """The bucket of stream time in which its last callback came; see `expiry`."""
    parts: list[Sms]

    @property
    def status(self) -> str:
        """Return the status of the whole message; a part that is not seen yet counts as `Sent`."""
        words = [sms.status for sms in self.parts]
        if len(words) == 1 and self.parts[0].details.parts in _WHOLE:
            return words[0]
        if expected_parts(self.parts) > len(words):
            words.append(SENT)
        return rolled_up(words)


Contribution = tuple[str, str | None, str, list[str], int, int]
"""What a message adds to the counts of its campaign: id, name, status, statuses of the parts, price, conflicts."""


def message_key(message_id: str) -> bytes:
    """Return the key of a message's row; ids are the same in any case."""
    return b"m:" + message_id.lower().encode()


def sms_index_key(message_id: str, sms_key: str) -> bytes | None:
    """
    Return the key of the row that names the message of an SMS; keys are the same in any case.

    None when the key of the SMS tells it by itself: then there is no such row.
    """
    key, message = sms_key.lower(), message_id.lower()
    if key == message or key.rpartition("#")[0] == message:
        return None
    return SMS_PREFIX + key.encode()


def sms_lookup_keys(sms_key: str) -> tuple[bytes, list[bytes]]:
    """Return where an SMS may be found: the key of its row in the index, and those of messages it may be part of."""
    key = sms_key.lower()
    return SMS_PREFIX + key.encode(), [message_key(key), message_key(key.rpartition("#")[0])]


def find_message(rows: Rows, key: bytes) -> Message | None:
    """Return the message of a row, None when there is no such row."""
    written = rows.raw(key)
    return None if written is None else read_message(written)[0]


read_message: Final = ListRow(Message).read
"""Return the message of a row as it is written, and what a later version added to it."""


def expected_parts(parts: list[Sms]) -> int:
    """
    Return how many SMS the message is made of, as far as its callbacks tell.

    Callbacks that name neither `smsId` nor `part` cannot be told apart, so they speak for the whole message.
    """
    said = [sms.details.parts or 1 for sms in parts if sms.details.sms_id or sms.details.part]
    return max(len(parts), *said) if said else len(parts)


def withheld(message: Message, policy: Policy) -> Message:
    """Return the message without what the policy withholds: it may have been taken in under another one."""
    parts = [msgspec.structs.replace(sms, details=_withheld(sms.details, policy)) for sms in message.parts]
    return message if parts == message.parts else Message(message.message_id, message.touched, parts)


def _withheld(details: Details, policy: Policy) -> Details:
    recipient = None if details.recipient is None else kept_recipient(details.recipient, policy)
    message = None if policy.message_text == "drop" else details.message
    return msgspec.structs.replace(details, recipient=recipient, message=message)


def join_message(
    message: Message, callback: Callback, received: int, place: list[int], rule: FinalsRule
) -> tuple[Message, Joined] | Refusal:
    """Return the message after one callback, and what that did to its SMS; a refusal when there is no room for it."""
    at = _find(message.parts, callback.details.sms_id, callback.details.part)
    if at is None:
        if len(message.parts) >= MAX_PARTS:
            return Refusal(Reason.INVALID_FIELD, f"smsId: expected at most {MAX_PARTS} SMS of one message")
        sms = begin(_new_key(message.message_id, callback), callback, received, place)
        parts = [*message.parts, sms]
        return _fitting(Message(message.message_id, message.touched, parts), (sms, APPLIED, True))
    joined = join(message.parts[at], callback, received, place, rule)
    if joined[0] is message.parts[at]:
        return message, joined
    parts = [*message.parts]
    parts[at] = joined[0]
    return _fitting(Message(message.message_id, message.touched, parts), joined)


def _fitting(message: Message, joined: Joined) -> tuple[Message, Joined] | Refusal:
    """The fields of one SMS are bounded, so only several together can grow too large."""
    if len(message.parts) > 1 and len(msgspec.json.encode(message)) > ROW_MAX_BYTES:
        return Refusal(Reason.INVALID_FIELD, f"smsId: expected all SMS of one message to fit in {ROW_MAX_BYTES} bytes")
    return message, joined


def _new_key(message_id: str, callback: Callback) -> str:
    return callback.details.sms_id or f"{message_id}#{callback.details.part or 1}"


def _find(parts: list[Sms], sms_id: str | None, part: int | None) -> int | None:
    """Find by `smsId` in any case; by part number as soon as one side has no `smsId`."""
    if sms_id is None:
        return next((at for at, sms in enumerate(parts) if _same_part(sms, part)), None)
    wanted = sms_id.lower()
    nameless = None
    for at, sms in enumerate(parts):
        known = sms.details.sms_id
        if known is None:
            nameless = at if nameless is None and _same_part(sms, part) else nameless
        elif known == sms_id or known.lower() == wanted:
            return at
    return nameless


def _same_part(sms: Sms, part: int | None) -> bool:
    return (sms.details.part or 1) == (part or 1)


def contribution(message: Message) -> Contribution | None:
    """
    Return what the message adds to its campaign, None when it belongs to none.

    All parts count where the message counts. Parts that name different campaigns are no known case: the greatest id
    decides, so that it is the same for every order of arrival.
    """
    parts = message.parts
    if len(parts) == 1:  # nearly all messages: the same as below, at a third of its cost
        sms = parts[0]
        details = sms.details
        if details.campaign_tracking_id is None:
            return None
        status = sms.status if details.parts in _WHOLE else message.status
        price = details.price or 0
        conflicts = changes_of_mind(sms.finals)
        return details.campaign_tracking_id, details.campaign_name, status, [sms.status], price, conflicts
    campaign = max(
        (sms.details.campaign_tracking_id for sms in parts if sms.details.campaign_tracking_id), default=None
    )
    name = max((sms.details.campaign_name for sms in parts if sms.details.campaign_name), default=None)
    if campaign is None:
        return None
    return (
        campaign,
        name,
        message.status,
        [sms.status for sms in parts],
        sum(sms.details.price or 0 for sms in parts),
        sum(changes_of_mind(sms.finals) for sms in parts),
    )
