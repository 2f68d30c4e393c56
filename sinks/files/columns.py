"""
The columns of the files, typed: the same names and meanings as in ClickHouse.
"""

from typing import Any, Final

import pyarrow as pa

from sinks.tables import CAMPAIGN_PROGRESS_TABLE, REJECTED_CALLBACKS_TABLE, SMS_STATUS_TABLE

_TEXT: Final = pa.string()
_INT: Final = pa.int64()
_TIME: Final = pa.timestamp("ms", tz="UTC")
_MONEY: Final = pa.decimal128(18, 8)
_COUNTS: Final = pa.map_(pa.string(), pa.int64())

_POSITION: Final = {"topic_partition": _INT, "topic_offset": _INT}
"""Where the record lies in its topic."""

_SMS_STATUS: Final = {
    "sms_key": _TEXT,
    "message_id": _TEXT,
    "sms_id": _TEXT,
    "campaign_tracking_id": _TEXT,
    "campaign_name": _TEXT,
    "part": _INT,
    "parts": _INT,
    "label": _TEXT,
    "recipient": _TEXT,
    "sender": _TEXT,
    "country": _TEXT,
    "operator": _TEXT,
    "groups": pa.list_(pa.string()),
    "status": _TEXT,
    "previous_status": _TEXT,
    "is_final": pa.bool_(),
    "detailed_status": _TEXT,
    "status_description": _TEXT,
    "status_updated_at": _TIME,
    "queued_at": _TIME,
    "sent_at": _TIME,
    "final_at": _TIME,
    "latency_seconds": pa.float64(),
    "price": _MONEY,
    "application_name": _TEXT,
    "direction": _TEXT,
    "originating_service": _TEXT,
    "message": _TEXT,
    "revision": _INT,
    "conflicts": _INT,
    "first_received_at": _TIME,
    "received_at": _TIME,
    "partition": _INT,
    "offset": _INT,
    "index": _INT,
}

_CAMPAIGN_PROGRESS: Final = {
    "campaign_tracking_id": _TEXT,
    "name": _TEXT,
    "campaign_status": _TEXT,
    "strategy": _TEXT,
    "total_recipients": _INT,
    "messages": _INT,
    "messages_final": _INT,
    "messages_delivered": _INT,
    "messages_by_status": _COUNTS,
    "parts": _INT,
    "parts_by_status": _COUNTS,
    "reported_by_status": _COUNTS,
    "progress": pa.float64(),
    "delivery_rate": pa.float64(),
    "price_total": _MONEY,
    "reconciliation": _TEXT,
    "reconciliation_unit": _TEXT,
    "drift": _COUNTS,
    "is_final": pa.bool_(),
    "conflicts": _INT,
    "stale_reports": _INT,
    "first_received_at": _TIME,
    "last_received_at": _TIME,
    "finished_at": _TIME,
    "revision": _INT,
}

_REJECTED_CALLBACKS: Final = {
    "received_at": _TIME,
    "stage": _TEXT,
    "reason": _TEXT,
    "detail": _TEXT,
    "body": _TEXT,
    "body_base64": _TEXT,
    "partition": _INT,
    "offset": _INT,
    "index": _INT,
}


def _schema(columns: dict[str, Any]) -> pa.Schema:
    return pa.schema(list({**columns, **_POSITION}.items()))


SCHEMAS: Final[dict[str, pa.Schema]] = {
    SMS_STATUS_TABLE: _schema(_SMS_STATUS),
    CAMPAIGN_PROGRESS_TABLE: _schema(_CAMPAIGN_PROGRESS),
    REJECTED_CALLBACKS_TABLE: _schema(_REJECTED_CALLBACKS),
}
