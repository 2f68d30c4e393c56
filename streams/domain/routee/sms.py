"""
Reading one SMS callback: about 20 fields, in a few microseconds a callback.

Only fields that decide something may refuse a callback: `messageId` and `status.name` must be present. Any other
field is taken when it is understood, and left out with a note when it is not; so is `status.updatedDate`.
"""

from typing import Any, Final, TypedDict

from streams.contract.dates import NO_DATE, read_date, read_text
from streams.contract.keys import NIL_ID, given_id
from streams.contract.records import Reason
from streams.domain.callback import Callback
from streams.domain.details import Details
from streams.domain.message import MAX_PARTS
from streams.domain.policy import Policy
from streams.domain.privacy import holds_one_time_code, shown_recipient, shown_text
from streams.domain.refusal import Refusal, fault_of_id
from streams.domain.routee import coercion
from streams.domain.routee.shapes import Body
from streams.domain.routee.wire import WireReason, WireSms
from streams.domain.statuses import WORDS, as_known, is_known, spelled

FUTURE_TOLERANCE_MS: Final = 5 * 60_000
"""How far `updatedDate` may lie after the time of receipt without a note: clocks differ."""

_WORD_MAX_CHARS: Final = 64


def read_callback(body: Body, received: int, policy: Policy) -> Callback | Refusal:
    """Read a body of the shape SMS, received at `received` (ms); a refusal names the field and its expected form."""
    message_id = body.get("messageId")
    fault = fault_of_id(message_id)
    if message_id is None or fault is not None:
        return Refusal(Reason.INVALID_FIELD, f"messageId: {fault}")
    notes: list[str] = []
    status = body.get("status")
    if _is_plain_status(body, status):
        notes.append("status")
        status = {"name": status}
    status = coercion.mapping(status, "status", notes)
    if status is None:
        return Refusal(Reason.INVALID_FIELD, "status: expected an object with a name")
    details = _read_details(body, status, notes)
    if notes and _hides_its_part(body, details, notes):
        return _NO_PART
    if holds_one_time_code(kind := coercion.text(body.get("type"), "type", [])):
        # Its row has to tell the service, too: no later callback may bring the text back.
        details.originating_service = kind
    date = read_date(status.get("updatedDate"))
    return _callback(message_id, status.get("name"), date, details, notes, received, policy)


_NO_MESSAGE: Final = Refusal(Reason.INVALID_FIELD, f"messageId: {fault_of_id(NIL_ID)}")
_NO_PART: Final = Refusal(
    Reason.INVALID_FIELD, f"part: expected a whole number from 1 to {MAX_PARTS}, or smsId: the message has several"
)


def _hides_its_part(body: Body, details: Details, notes: list[str]) -> bool:
    """
    Tell whether a callback names its SMS in a way that is not understood, and the message may have several.

    Taken for the first of them, it would give that one the status of another.
    """
    if details.sms_id or details.part or not ("smsId" in notes or "part" in notes):
        return False
    if details.parts is None:
        return "part" in notes and not _stands_for_none(body["part"])
    return details.parts > 1


def _stands_for_none(number: Any) -> bool:  # noqa: ANN401 - JSON is any
    """Tell whether a value is what a sender has for a number that it does not know: 0, or a text as of an id."""
    return number == 0 or (number.__class__ is str and given_id(number) is None)


def _is_plain_status(body: Body, status: Any) -> bool:  # noqa: ANN401 - JSON is any
    """Tell whether a status is just one of Routee's words for SMS. Two-step verifications share some of the words."""
    return status.__class__ is str and is_known(status.strip()) and "applicationId" not in body


def callback_of(sms: WireSms, received: int, policy: Policy) -> Callback | Refusal:
    """Return the same as `read_callback`, from a body in the documented form."""
    if sms.messageId == NIL_ID:
        return _NO_MESSAGE
    status = sms.status
    reason, updated = status.reason or _NO_REASON, status.updatedDate
    notes: list[str] = []
    sms_id, campaign, latency = sms.smsId, sms.campaignTrackingId, sms.latency
    if latency.__class__ is float:
        latency = coercion.number(latency, "latency", notes)
    price = None if sms.price is None else coercion.units_of(sms.price)
    if price is None and sms.price is not None:
        notes.append("price")
    # By position, in the order of the fields: every callback makes one, and keywords cost time.
    details = Details(
        None if sms_id == NIL_ID else sms_id,
        None if campaign == NIL_ID else campaign,
        sms.campaignName or None,
        sms.label or None,
        sms.to or None,
        sms.sender or None,
        sms.country or None,
        sms.operator or None,
        sms.applicationName or None,
        sms.direction or None,
        sms.originatingService or None,
        sms.message or None,
        reason.detailedStatus or None,
        reason.description or None,
        sms.part,
        sms.parts,
        sms.groups or None,
        latency,
        price,
    )
    date = read_text(updated) if updated.__class__ is str else read_date(updated)
    return _callback(sms.messageId, status.name, date, details, notes, received, policy)


_NO_REASON: Final = WireReason()


def _callback(  # noqa: PLR0913, PLR0917 - the values that both readers have read
    message_id: str, name: object, date: int | None, details: Details, notes: list[str], received: int, policy: Policy
) -> Callback | Refusal:
    word = (as_known(name) if isinstance(name, str) else None) or _read_word(name, notes)
    if word is None:
        return Refusal(Reason.INVALID_FIELD, f"status.name: expected text of 1 to {_WORD_MAX_CHARS} characters")
    if date is None:
        notes.append("status.updatedDate")
        date = NO_DATE
    if date > received + FUTURE_TOLERANCE_MS:
        # Noted and kept: a date that counted or not by our clock would give the same bytes two meanings.
        notes.append("future-date")
    recipient = details.recipient
    if policy.withholds or holds_one_time_code(details.originating_service):
        _withhold(details, policy)
    return Callback(message_id, word, date, details, notes, 0, recipient)


def _read_word(name: Any, notes: list[str]) -> str | None:  # noqa: ANN401 - JSON is any
    if name.__class__ is not str:
        return None
    word = spelled(name)
    if word not in WORDS:
        notes.append("unknown-status")
    return word if 0 < len(word) <= _WORD_MAX_CHARS else None


def _read_details(body: Body, status: Body, notes: list[str]) -> Details:
    def text(name: str) -> str | None:
        return coercion.text(body.get(name), name, notes)

    return Details(
        sms_id=given_id(text("smsId")),
        campaign_tracking_id=given_id(text("campaignTrackingId")),
        campaign_name=text("campaignName"),
        label=text("label"),
        recipient=text("to"),
        sender=text("from"),
        country=text("country"),
        operator=text("operator"),
        application_name=text("applicationName"),
        direction=text("direction"),
        originating_service=text("originatingService"),
        message=text("message"),
        **_read_reason(status.get("reason"), notes),
        part=coercion.part_number(body.get("part"), "part", notes),
        parts=coercion.part_number(body.get("parts"), "parts", notes),
        groups=coercion.texts(body.get("groups"), "groups", notes),
        latency_seconds=coercion.latency(body.get("latency"), "latency", notes),
        price=coercion.price(body.get("price"), "price", notes),
    )


class _Reason(TypedDict, total=False):
    """The details in `status.reason`."""

    detailed_status: str | None
    status_description: str | None


def _read_reason(reason: object, notes: list[str]) -> _Reason:
    if isinstance(reason, dict):
        return {
            "detailed_status": coercion.text(reason.get("detailedStatus"), "status.reason.detailedStatus", notes),
            "status_description": coercion.text(reason.get("description"), "status.reason.description", notes),
        }
    if reason:
        notes.append("status.reason")
    return {}


def _withhold(details: Details, policy: Policy) -> None:
    if policy.recipient != "keep" and details.recipient is not None:
        details.recipient = shown_recipient(details.recipient, policy)
    if policy.message_text == "drop" or holds_one_time_code(details.originating_service):
        details.message = None
    if policy.mask_texts:
        details.message = shown_text(details.message, policy)
        details.label = shown_text(details.label, policy)
        details.campaign_name = shown_text(details.campaign_name, policy)
