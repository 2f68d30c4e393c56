"""
The bytes that Routee posts, field by field in the documented order.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from sandbox.emulator.traffic.model import CampaignId, Change, Message, Part, Report, StatusCallback

_LEGACY_LACKS = ("smsId", "part", "label")


def status_body(callback: StatusCallback) -> bytes:
    """Return a Case 2 or Case 3 body: the same shape, told apart by `campaignTrackingId` alone."""
    message, part, change = callback.message, callback.part, callback.change
    body = _identity(message, part) | {
        "status": _status(change, legacy=message.legacy),
        "message": message.text,
        "applicationName": message.occasion.application,
        "latency": change.latency,
        # As Routee writes it: a JSON number with 8 decimals, which no float may touch.
        "price": orjson.Fragment(str(change.price)),
        "direction": "Outbound",
        "originatingService": message.occasion.service,
    }
    if message.legacy:
        for name in _LEGACY_LACKS:
            body.pop(name, None)
    return orjson.dumps(body)


def _identity(message: Message, part: Part) -> dict[str, Any]:
    return {
        "messageId": message.message_id,
        "smsId": part.sms_id,
        **_campaign_id(message),
        "part": part.number,
        "parts": len(message.parts),
        **({"label": message.occasion.label} if message.occasion.label else {}),
        "to": message.recipient,
        "from": message.occasion.sender,
        "country": message.route.country,
        "operator": message.route.operator,
        "groups": message.groups,
        **({"campaignName": message.campaign.name} if message.campaign else {}),
    }


def _campaign_id(message: Message) -> dict[str, str | None]:
    if message.campaign:
        return {"campaignTrackingId": message.campaign.tracking_id}
    if message.no_campaign is CampaignId.ABSENT:
        return {}
    return {"campaignTrackingId": None if message.no_campaign is CampaignId.NULL else ""}


def _status(change: Change, *, legacy: bool) -> dict[str, Any]:
    reason = {"reason": {"detailedStatus": change.detail, "description": change.description}}
    return {
        "name": change.status,
        **(reason if change.detail and not legacy else {}),
        "updatedDate": iso(change.updated_at),
    }


@lru_cache(maxsize=4096)
def iso(second: int) -> str:
    """Return `2026-11-22T09:16:54Z`: Routee's times have whole seconds."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def report_body(report: Report) -> bytes:
    """Return a Case 1 body. It echoes the callback URL, secret and all, as Routee's do."""
    campaign = report.campaign
    return orjson.dumps(
        {
            "trackingId": campaign.tracking_id,
            "name": campaign.name,
            "totalRecipients": campaign.recipients,
            "campaignStatus": report.campaign_status,
            "messageStatuses": report.counts,
            "callbackInfo": {"url": campaign.callback_url, "strategy": campaign.strategy},
        }
    )
