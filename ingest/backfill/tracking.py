"""
Routee's tracking objects and details of campaigns, put into the form of callbacks. Pure.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import orjson

from streams.contract.dates import NO_DATE, read_date
from streams.contract.keys import KEY_MAX_CHARS, given_id
from streams.contract.visible import visible

_SAME_NAMES: Final = (
    *("part", "parts", "label", "to", "from", "country", "operator", "groups", "applicationName", "latency", "price"),
    *("direction", "originatingService"),
)
"""Fields that have the same name and meaning in a callback."""

FINALS: Final = ("unsent", "failed", "undelivered", "delivered")
"""Of two of the same moment the one behind stands, in streams, too."""
ENDED: Final = frozenset({"finished", "failed"})
"""Statuses after which a campaign has no other one."""

FinalsRule = Literal["latest", "first"]
"""Which of two finals that differ stands in streams: the one with the later of Routee's dates, or the earlier."""

_FINAL_RANK: Final = 2
_BEFORE_ALL_DATES: Final = -(1 << 62)
_MOST_PARTS: Final = 255
"""Streams leaves out a greater number of a part, too."""
_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_MOST_COUNTED: Final = 1 << 53
"""Streams reads numbers in the same forms, and none that is greater."""


class Tracked(NamedTuple):
    """One SMS as Routee knows it by now."""

    body: bytes
    """The callback that tells it."""
    message_id: str
    sms_id: str | None
    part: int | None
    status: str
    date_ms: int
    """Routee's time of the status, 0 when it has none that can be read."""
    campaign_id: str | None
    campaign_name: str | None


class Report(NamedTuple):
    """A campaign as Routee knows it by now."""

    body: bytes
    status: str | None
    counts: dict[str, int]
    """Statuses with at least one message."""


def comparable(status: str) -> str:
    """Return a status in the one spelling in which those of the API and of streams are compared."""
    return visible(status).lower()


def rank(status: str) -> int:
    """Return how far a status is: 0 queued, 2 final, 1 any other."""
    word = comparable(status)
    return _FINAL_RANK if word in FINALS else 0 if word == "queued" else 1


def standing(status: str, date_ms: int, finals: FinalsRule) -> tuple[int, int, int, str]:
    """Return the place of a status among those of its SMS: the greatest is its state, as in streams."""
    word = comparable(status)
    if not date_ms:
        date_ms = _BEFORE_ALL_DATES
    elif finals == "first" and word in FINALS:
        date_ms = -date_ms
    return rank(status), date_ms, FINALS.index(word) if word in FINALS else int(word != "sent"), visible(status)


def tracked(found: object, campaign_id: str | None = None) -> Tracked | str:
    """
    Return an SMS from a tracking object; a text says why it is none.

    `campaign_id` is that of the list in which it lies, for objects that do not name their campaign.
    """
    if not isinstance(found, dict):
        return "no object"
    message_id, status = given_id(_id(found.get("messageId"))), _status(found.get("status"))
    if message_id is None:
        return "no messageId"
    if status is None:
        return "no status"
    if str(found.get("direction") or "").lower() == "inbound":
        return "an inbound SMS"
    # An id that stands for none would hide the campaign of the list.
    sms_id, campaign = (given_id(_id(found.get(one))) for one in ("smsId", "campaignTrackingId"))
    campaign, name = campaign or campaign_id, _campaign_name(found)
    body = {
        "messageId": message_id,
        "smsId": sms_id,
        "campaignTrackingId": campaign,
        **{field: found.get(field) for field in _SAME_NAMES},
        "campaignName": name,
        "status": status,
        "message": found.get("body", found.get("message")),
    }
    body = {field: value for field, value in body.items() if value is not None}
    date = date_ms(status.get("updatedDate"))
    part = _whole(found.get("part"))
    number = part if 0 < part <= _MOST_PARTS else None
    return Tracked(orjson.dumps(body), message_id, sms_id, number, status["name"], date, campaign, name)


def with_campaign(found: Tracked, campaign_id: str) -> Tracked:
    """Return an SMS as one of a campaign."""
    body = orjson.loads(found.body) | {"campaignTrackingId": campaign_id}
    return found._replace(body=orjson.dumps(body), campaign_id=campaign_id)


def report(details: object) -> Report | str:
    """Return a campaign's report from its details; a text says why they give none."""
    if not isinstance(details, dict):
        return "no object"
    tracking_id = given_id(_id(details.get("trackingId")))
    if tracking_id is None:
        return "no trackingId"
    if str(details.get("type") or "Sms").lower() != "sms":
        return "no campaign of SMS"
    analysis, statuses = details.get("smsAnalysis"), details.get("statuses")
    recipients = analysis.get("numberOfRecipients") if isinstance(analysis, dict) else None
    statuses = statuses if isinstance(statuses, dict) else {}
    state = details.get("state") if isinstance(details.get("state"), str) else None
    body = {
        "trackingId": tracking_id,
        "name": details.get("campaignName"),
        "totalRecipients": recipients if recipients is not None else details.get("totalMessages"),
        "campaignStatus": state,
        "messageStatuses": statuses,  # streams has the one rule for numbers that are none
    }
    known = {field: value for field, value in body.items() if value is not None}
    counts = {word: _whole(number) for word, number in statuses.items()}
    return Report(orjson.dumps(known), state, {word: count for word, count in counts.items() if count})


def date_ms(value: object) -> int:
    """Return a date of Routee's in ms since 1970, 0 when streams cannot read it."""
    return read_date(value) or NO_DATE


def _status(found: object) -> dict[str, Any] | None:
    """Return the status in the form of callbacks, None when it has no word."""
    if isinstance(found, str):
        found = {"status": found}
    if not isinstance(found, dict):
        return None
    word = found.get("status", found.get("name"))
    if not isinstance(word, str) or not word.strip():
        return None
    told = {"name": word, "updatedDate": found.get("date", found.get("updatedDate")), "reason": found.get("reason")}
    return {field: value for field, value in told.items() if value is not None}


def _id(found: object) -> str | None:
    """Return an id as text, None when it is none that can be a key."""
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    return found if isinstance(found, str) and 0 < len(found.strip()) <= KEY_MAX_CHARS else None


def _campaign_name(found: Mapping[str, Any]) -> str | None:
    """Return the campaign's name: lists call it `campaignName`, single answers `campaign`."""
    for name in (found.get("campaignName"), found.get("campaign")):
        text = name.get("name") if isinstance(name, dict) else name
        if isinstance(text, str) and text:
            return text
    return None


def _whole(number: object) -> int:
    """Return a count, also in a text or as a float; 0 for a value that is none."""
    if isinstance(number, str):
        text = number.strip()
        number = int(text) if _WHOLE.fullmatch(text) else float(text) if _NUMBER.fullmatch(text) else 0
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return 0
    return int(number) if 0 < number <= _MOST_COUNTED and number == int(number) else 0
