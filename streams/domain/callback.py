"""
One SMS callback, read: from the body Routee posted to what the rules need, at 20 fields and a few microseconds each.

Only what decides something may refuse a callback: `messageId` and `status.name` have to be there, and a
`status.updatedDate` that is there has to be understood, because the order of statuses rests on it. Everything else
is taken when it is understood and left out, with a note, when it is not.
"""

from typing import Any, Final, NamedTuple

from streams.contract.records import Reason
from streams.domain import coercion
from streams.domain.coercion import TEXT_MAX_CHARS
from streams.domain.dates import NO_DATE, read_date
from streams.domain.policy import Policy
from streams.domain.privacy import holds_one_time_code, shown_recipient
from streams.domain.refusal import ID_MAX_CHARS, Refusal, usable_id
from streams.domain.shapes import Body
from streams.domain.statuses import is_known, spelled

FUTURE_TOLERANCE_MS: Final = 5 * 60_000
"""How far `updatedDate` may lie after the time of receipt (clocks differ) before it is not believed."""

_STATUS_MAX_CHARS: Final = 64

# The text fields, in the order of the first of the details.
_TEXTS: Final = (
    "smsId",
    "campaignTrackingId",
    "campaignName",
    "label",
    "to",
    "from",
    "country",
    "operator",
    "applicationName",
    "direction",
    "originatingService",
    "message",
)
SMS_ID: Final = 0
CAMPAIGN: Final = 1
CAMPAIGN_NAME: Final = 2
RECIPIENT: Final = 4
SERVICE: Final = 10
MESSAGE: Final = 11
PART: Final = 14
PARTS: Final = 15
LATENCY: Final = 17
PRICE: Final = 18

Details = list[Any]
"""What describes an SMS, null where it is not known: the texts above, detailed status, its description, part, parts,
groups, latency, price (units of 1e-8)."""


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


def read_callback(body: Body, received: int, policy: Policy) -> Callback | Refusal:
    """Read a body whose shape is that of an SMS status, received at `received` (ms)."""
    message_id = body.get("messageId")
    if message_id is None or not usable_id(message_id):
        return Refusal(Reason.INVALID_FIELD, f"messageId: expected text of 1 to {ID_MAX_CHARS} characters")
    status = body.get("status")
    if status.__class__ is not dict:
        return Refusal(Reason.INVALID_FIELD, "status: expected an object with a name")
    word = status.get("name")
    if word.__class__ is not str or not 0 < len(word := word.strip()) <= _STATUS_MAX_CHARS:
        return Refusal(Reason.INVALID_FIELD, f"status.name: expected text of 1 to {_STATUS_MAX_CHARS} characters")
    date = read_date(status.get("updatedDate"))
    if date is None:
        return Refusal(Reason.INVALID_FIELD, "status.updatedDate: expected ISO 8601 with a zone, or an epoch number")
    notes: list[str] = []
    if date > received + FUTURE_TOLERANCE_MS:
        # Believing it would let one wrong clock outrank every later status of this SMS, for good.
        notes.append("future-date")
        date = NO_DATE
    if not is_known(word):
        notes.append("unknown-status")
    return Callback(message_id, spelled(word), date, _read_details(body, status, policy, notes), notes)


def _read_details(body: Body, status: Body, policy: Policy, notes: list[str]) -> Details:
    get = body.get
    details: Details = [
        value
        if (value := get(name)).__class__ is str and 0 < len(value) <= TEXT_MAX_CHARS
        else coercion.text(value, name, notes)
        for name in _TEXTS
    ]
    reason = status.get("reason")
    if reason.__class__ is dict:
        details.append(coercion.text(reason.get("detailedStatus"), "status.reason.detailedStatus", notes))
        details.append(coercion.text(reason.get("description"), "status.reason.description", notes))
    else:
        if reason:
            notes.append("status.reason")
        details += (None, None)
    details += (
        coercion.part_number(get("part"), "part", notes),
        coercion.part_number(get("parts"), "parts", notes),
        coercion.texts(get("groups"), "groups", notes),
        coercion.number(get("latency"), "latency", notes),
        coercion.money(get("price"), "price", notes),
    )
    _withhold(details, policy)
    return details


def _withhold(details: Details, policy: Policy) -> None:
    if details[RECIPIENT] is not None and policy.recipient != "keep":
        details[RECIPIENT] = shown_recipient(details[RECIPIENT], policy)
    if policy.message_text == "drop" or holds_one_time_code(details[SERVICE]):
        details[MESSAGE] = None
