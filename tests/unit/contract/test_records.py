from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from streams.contract.codec import encode
from streams.contract.records import PUBLIC_RECORDS, CampaignProgress, Rejection, SmsStatus
from streams.contract.schemas import FOLDER

NOW = datetime(2026, 11, 22, 9, 16, 54, 500_000, UTC)
SMS: dict[str, Any] = {
    "sms_key": "s-1", "message_id": "m-1", "sms_id": "s-1", "campaign_tracking_id": "c-1", "campaign_name": "Sale",
    "part": 1, "parts": 2, "label": None, "recipient": "+306900000001", "sender": "Shop", "country": "GR",
    "operator": "Cosmote", "groups": ["vip"], "status": "Delivered", "previous_status": "Sent", "is_final": True,
    "detailed_status": "Delivered", "status_description": None, "status_updated_at": NOW, "queued_at": None,
    "sent_at": NOW, "final_at": NOW, "latency_seconds": 3, "price": Decimal("0.0432"), "application_name": "default",
    "direction": "Outbound", "originating_service": "Sms", "message": "hello", "revision": 3, "conflicts": 0,
    "first_received_at": NOW, "received_at": NOW, "partition": 5, "offset": 17, "index": 0,
}  # fmt: skip
PROGRESS: dict[str, Any] = {
    "campaign_tracking_id": "c-1", "name": "Sale", "campaign_status": "Running", "strategy": "OnChange",
    "total_recipients": 10, "messages": 4, "messages_final": 3, "messages_delivered": 2,
    "messages_by_status": {"Sent": 1, "Delivered": 2, "Failed": 1}, "parts": 4,
    "parts_by_status": {"Sent": 1, "Delivered": 2, "Failed": 1}, "reported_by_status": {"Delivered": 3},
    "progress": 0.3, "delivery_rate": 0.6667, "price_total": Decimal("0.1728"), "reconciliation": "behind",
    "reconciliation_unit": "messages", "drift": {"Delivered": -1}, "is_final": False, "conflicts": 0,
    "stale_reports": 0, "first_received_at": NOW, "last_received_at": NOW, "finished_at": None, "revision": 4,
    "unordered_reports": 0,
}  # fmt: skip
REJECTION: dict[str, Any] = {
    "received_at": NOW, "stage": "ingest", "reason": "not-json", "detail": "not JSON at byte 1", "body": "{",
    "body_base64": None, "partition": None, "offset": None, "index": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "record"),
    [
        ("sms.status", SmsStatus(**SMS)),
        ("campaign.progress", CampaignProgress(**PROGRESS)),
        ("callbacks.rejected", Rejection(**REJECTION)),
    ],
)
def test_written_records_satisfy_the_checked_in_schema(topic: str, record: SmsStatus) -> None:
    schema = orjson.loads((FOLDER / f"{topic}.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(orjson.loads(encode(record)))


def test_money_is_written_as_plain_text() -> None:
    assert orjson.loads(encode(SmsStatus(**SMS | {"price": Decimal("1E-8")})))["price"] == "0.00000001"


def test_times_are_written_with_milliseconds() -> None:
    assert orjson.loads(encode(SmsStatus(**SMS)))["received_at"] == "2026-11-22T09:16:54.500Z"


@pytest.mark.parametrize("record", PUBLIC_RECORDS.values())
def test_records_are_immutable_and_open_to_new_fields(record: type[SmsStatus]) -> None:
    assert record.model_config["frozen"]
    assert record.model_config["extra"] == "ignore"


@pytest.mark.parametrize("wrong", [{"revision": 0}, {"conflicts": -1}, {"status_updated_at": "yesterday"}])
def test_values_outside_the_contract_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SmsStatus(**SMS | wrong)
