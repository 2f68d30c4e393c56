"""
The kind of a callback, by the shape of its body alone: one URL takes all of Routee's kinds, so the path tells nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from streams.contract.keys import given_id

Body = Mapping[str, Any]

SMS: Final = "SMS status"
REPORT: Final = "campaign report"
UNKNOWN: Final = "neither an SMS status nor a campaign report"

_REPORT_MARKS: Final = ("messageStatuses", "campaignStatus", "totalRecipients")
_VOICE_MARKS: Final = ("audioMessage", "chargeInterval", "duration")


def shape_of(body: Body) -> str:
    """
    Return SMS, REPORT, the name of another kind of Routee's callbacks, or UNKNOWN.

    A body that names a message and a status is an SMS status, unless it has the marks of another channel. Other keys
    do not matter: Routee may add keys with any release, and they must not cost us a status.
    """
    if not _names_message(body) and body.get("trackingId") and any(mark in body for mark in _REPORT_MARKS):
        return REPORT
    if body.get("messageId") and "status" in body:
        return "voice message" if _is_voice(body) else "failover" if _is_of_other_channel(body) else SMS
    return next((kind for kind, matches in _OTHER_KINDS if matches(body)), UNKNOWN)


def _names_message(body: Body) -> bool:
    """Tell whether a body has a `messageId`; a sender that writes the fields of all kinds may have one for none."""
    message_id = body.get("messageId")
    return bool(given_id(message_id) if message_id.__class__ is str else message_id)


def _is_voice(body: Body) -> bool:
    # A sender that writes all fields of all channels has null, or an empty text, in those of the others.
    return not ("smsId" in body or "parts" in body) and any(body.get(mark) not in (None, "") for mark in _VOICE_MARKS)


def _is_of_other_channel(body: Body) -> bool:
    channel = body.get("type")
    return channel.__class__ is str and channel.lower() in ("viber", "voice")


def _is_failover(body: Body) -> bool:
    return "terminationChannel" in body or isinstance(body.get("messages"), list)


def _is_viber(body: Body) -> bool:
    return isinstance(body.get("status"), dict) and isinstance(body.get("body"), dict)


def _is_email(body: Body) -> bool:
    status = body.get("status")
    of_tracking = isinstance(status, dict) and ("dateTime" in status or "final" in status)
    return of_tracking or ("message_id" in body and "event" in body)


# In order: the first match decides, so the more specific marks come first.
_OTHER_KINDS: Final[tuple[tuple[str, Callable[[Body], bool]], ...]] = (
    ("failover", _is_failover),
    ("inbound SMS", lambda body: "receivedDate" in body or str(body.get("direction")).lower() == "inbound"),
    ("voice message", lambda body: any(mark in body for mark in _VOICE_MARKS)),
    ("URL shortener click", lambda body: "shortUrl" in body or "longUrl" in body),
    ("two-step verification", lambda body: "applicationId" in body and isinstance(body.get("status"), str)),
    ("Viber message", _is_viber),
    ("email", _is_email),
)
