"""
Records of the public topics, as streams writes them: every field has a default, a test names the fields that matter.
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from streams.contract.records import (
    CampaignProgress,
    DeliveryAlarm,
    DeliveryWindow,
    Reason,
    Reconciliation,
    RefusedBy,
    Rejection,
    SmsStatus,
)

START = datetime(2026, 11, 22, 9, 0, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a moment, counted from `START`."""
    return START + timedelta(seconds=seconds)


def sms(key: str, **fields: Any) -> SmsStatus:  # noqa: ANN401 - fields of the record
    """Return an SMS that was queued at `START` and is the only part of its message."""
    return SmsStatus(
        **{
            "sms_key": key,
            "message_id": f"message-of-{key}",
            "sms_id": key,
            "campaign_tracking_id": "campaign-1",
            "campaign_name": "Spring",
            "part": 1,
            "parts": 1,
            "label": None,
            "recipient": "+306900000001",
            "sender": "Shop",
            "country": "GR",
            "operator": "Cosmote",
            "groups": ["customers"],
            "status": "Queued",
            "previous_status": None,
            "is_final": False,
            "detailed_status": None,
            "status_description": None,
            "status_updated_at": START,
            "queued_at": START,
            "sent_at": None,
            "final_at": None,
            "latency_seconds": 0.0,
            "price": Decimal("0.00600000"),
            "application_name": "default",
            "direction": "Outbound",
            "originating_service": "Sms",
            "message": 'Hello 👋, it\'s "spring"\n',
            "revision": 1,
            "conflicts": 0,
            "first_received_at": START,
            "received_at": START,
            "partition": 3,
            "offset": 12,
            "index": 4,
            **fields,
        }
    )


def final(key: str, status: str, latency: float | None = 4.0, **fields: Any) -> SmsStatus:  # noqa: ANN401 - same
    """Return an SMS with its last word."""
    ended = {"is_final": True, "revision": 3, "final_at": at(latency or 0), "latency_seconds": latency}
    return sms(key, **{"status": status, "previous_status": "Sent", "sent_at": START, **ended, **fields})


def campaign(key: str, **fields: Any) -> CampaignProgress:  # noqa: ANN401 - same
    """Return a campaign of ten recipients, half done."""
    return CampaignProgress(
        **{
            "campaign_tracking_id": key,
            "name": "Spring",
            "campaign_status": "Running",
            "strategy": "OnChange",
            "total_recipients": 10,
            "messages": 10,
            "messages_final": 5,
            "messages_delivered": 4,
            "messages_by_status": {"Sent": 5, "Delivered": 4, "Failed": 1},
            "parts": 11,
            "parts_by_status": {"Sent": 6, "Delivered": 4, "Failed": 1},
            "reported_by_status": {"Queued": 0, "Delivered": 5},
            "progress": 0.5,
            "delivery_rate": 0.8,
            "price_total": Decimal("0.06600000"),
            "reconciliation": Reconciliation.MIXED,
            "reconciliation_unit": "messages",
            "drift": {"Delivered": -1, "Failed": 1},
            "is_final": False,
            "conflicts": 0,
            "stale_reports": 0,
            "first_received_at": START,
            "last_received_at": at(60),
            "finished_at": None,
            "revision": 1,
            "unordered_reports": 2,
            **fields,
        }
    )


def cell(start: datetime = START, **fields: Any) -> DeliveryWindow:  # noqa: ANN401 - same
    """Return a cell of one window: ten SMS to Greece, six of them delivered."""
    route = {
        "country": "GR",
        "operator": "Cosmote",
        "sender": "Shop",
        "application_name": "default",
        "originating_service": "Sms",
        "label": None,
        **fields,
    }
    names = ("country", "operator", "sender", "application_name", "originating_service", "label")
    named = json.dumps([route[name] for name in names], separators=(",", ":"))
    return DeliveryWindow(
        **{
            "cell": f"{int(start.timestamp()) // 300}:{named}",
            "window_start": start,
            "window_end": start + timedelta(minutes=5),
            "messages": 9,
            "messages_by_status": {"Delivered": 5, "Undelivered": 2, "Failed": 1, "Sent": 1},
            "parts": 10,
            "parts_by_status": {"Delivered": 6, "Undelivered": 2, "Failed": 1, "Sent": 1},
            "conflicts": 1,
            "delivered_by_latency": {"5": 3, "30": 2},
            "price_total": Decimal("0.05400000"),
            "price_delivered": Decimal("0.03600000"),
            "price_undelivered": Decimal("0.01200000"),
            "unpriced": 1,
            "is_closed": False,
            "revision": 1,
            "generation": 7,
            **route,
        }
    )


def alarm(**fields: Any) -> DeliveryAlarm:  # noqa: ANN401 - same
    """Return an alarm that is open: 40 of 100 SMS to Greece are delivered, and 90 are usual."""
    named = {"kind": "delivery-drop", "subject": '["GR","Cosmote"]', **fields}
    return DeliveryAlarm(
        **{
            "alarm": f"{named['kind']}:{named['subject']}",
            "scope": "route",
            "country": "GR",
            "operator": "Cosmote",
            "sender": None,
            "level": "alarm",
            "is_open": True,
            "opened_at": START,
            "closed_at": None,
            "closed_because": None,
            "muted_until": None,
            "since": at(-900),
            "until": at(-300),
            "observed": 0.4,
            "expected": 0.9,
            "n": 100,
            "only_sender": False,
            "routes": [],
            "judged": {"deviance": 88.5, "threshold": 22.0},
            "why": "Cosmote (GR): 40 % of 100 SMS were delivered within 300 s, 90 % are usual",
            "revision": 1,
            "generation": 7,
            **named,
        }
    )


def rejection(**fields: Any) -> Rejection:  # noqa: ANN401 - same
    """Return a callback that streams refused."""
    return Rejection(
        **{
            "received_at": START,
            "stage": RefusedBy.STREAMS,
            "reason": Reason.INVALID_FIELD,
            "detail": "status.name: a string was expected",
            "body": '{"messageId":"1"}',
            "body_base64": None,
            "partition": 3,
            "offset": 12,
            "index": 4,
            **fields,
        }
    )
