"""
Callbacks, reports and envelopes as Routee and ingest would make them; every field can be replaced or left out.
"""

from typing import Any, Final

import orjson

ABSENT: Final = object()
"""Given for a field: the field is left out."""

NOW: Final = "2026-11-22T12:00:00.000Z"
MESSAGE_ID: Final = "5b1c9f0a-0000-4000-8000-000000000001"
SMS_ID: Final = "5b1c9f0a-0000-4000-8000-0000000000a1"
CAMPAIGN_ID: Final = "c0ffee00-0000-4000-8000-000000000001"


def sms_callback(
    status: str = "Delivered",
    at: Any = "2026-11-22T09:16:54Z",  # noqa: ANN401 - dates come as text and as numbers
    *,
    message_id: Any = MESSAGE_ID,  # noqa: ANN401
    sms_id: Any = SMS_ID,  # noqa: ANN401
    campaign: Any = CAMPAIGN_ID,  # noqa: ANN401
    part: Any = 1,  # noqa: ANN401
    parts: Any = 1,  # noqa: ANN401
    reason: Any = ABSENT,  # noqa: ANN401
    **fields: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Return a callback of cases 2 and 3 with all 20 fields; `campaign=ABSENT` makes it case 3."""
    body = {
        "messageId": message_id,
        "smsId": sms_id,
        "campaignTrackingId": campaign,
        "part": part,
        "parts": parts,
        "label": "spring",
        "to": "+306900000001",
        "from": "Shop",
        "country": "GR",
        "operator": "Cosmote",
        "groups": ["vip"],
        "campaignName": "Spring sale" if campaign is not ABSENT else ABSENT,
        "status": without_absent({"name": status, "updatedDate": at, "reason": reason}),
        "message": "Hello",
        "applicationName": "default",
        "latency": 3 if status == "Delivered" else 0,
        "price": 0.0432,
        "direction": "Outbound",
        "originatingService": "Sms",
    }
    return without_absent(body | fields)


def campaign_report(
    status: Any = "Running",  # noqa: ANN401
    counts: Any = ABSENT,  # noqa: ANN401
    *,
    campaign: Any = CAMPAIGN_ID,  # noqa: ANN401
    total: Any = 100,  # noqa: ANN401
    name: Any = "Spring sale",  # noqa: ANN401
    strategy: str = "OnChange",
    **fields: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Return a callback of case 1; `counts` is `messageStatuses`."""
    body = {
        "trackingId": campaign,
        "name": name,
        "totalRecipients": total,
        "campaignStatus": status,
        "messageStatuses": counts,
        "callbackInfo": {"url": "https://sms.example.com/callbacks/***", "strategy": strategy},
    }
    return without_absent(body | fields)


def without_absent(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body without the fields that are ABSENT."""
    return {name: value for name, value in body.items() if value is not ABSENT}


def envelope(*callbacks: Any, received_at: str = NOW) -> bytes:  # noqa: ANN401 - invalid callbacks too
    """Return one raw record with these callbacks."""
    return orjson.dumps({"received_at": received_at, "callbacks": list(callbacks)})
