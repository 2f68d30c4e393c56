"""
Rows as answers: one SMS, one message and one campaign for the read-only HTTP pages.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import to_builtins

from streams.domain.campaign_stage import campaign_key
from streams.domain.message import contribution, expected_parts, find_message, message_key, sms_lookup_keys
from streams.domain.money import money_text_or_none
from streams.domain.progress import progress_record, read_campaign
from streams.domain.sms_record import sms_record
from streams.domain.stage import Rows
from streams.domain.statuses import is_final

__all__ = ["campaign_key", "campaign_view", "find_sms", "message_key", "message_view"]


def message_view(rows: Rows, key: bytes) -> dict[str, Any] | None:
    """
    Return a message and all its SMS (each with the fields of SmsStatus) from its row of stage 1, None without a row.

    Latency is the slowest part's, price the sum over the parts seen; null when no part has one.
    """
    message = find_message(rows, key)
    if message is None:
        return None
    status = message.status
    counted = contribution(message)
    return {
        "message_id": message.message_id,
        "campaign_tracking_id": counted[0] if counted else None,
        "status": status,
        "is_final": is_final(status),
        "parts": expected_parts(message.parts),
        "parts_seen": len(message.parts),
        "latency_seconds": max(_known(sms.details.latency_seconds for sms in message.parts), default=None),
        "price": money_text_or_none(
            sum(prices) if (prices := _known(sms.details.price for sms in message.parts)) else None
        ),
        "sms": [to_builtins(sms_record(message.message_id, sms)) for sms in message.parts],
    }


def find_sms(rows: Rows, sms_key: str) -> dict[str, Any] | None:
    """Return an SMS (the fields of SmsStatus) from the rows of one partition of stage 1, None when it is unknown."""
    index_key, candidates = sms_lookup_keys(sms_key)
    message_id = rows.get(index_key)
    if message_id is not None:
        candidates = [message_key(message_id)]
    for message in (find_message(rows, key) for key in candidates):
        if message is None:
            continue
        for sms in message.parts:
            if sms.key.lower() == sms_key.lower():
                return dict(to_builtins(sms_record(message.message_id, sms)))
    return None


def _known(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def campaign_view(rows: Rows, key: bytes) -> dict[str, Any] | None:
    """Return the fields of CampaignProgress from a campaign's row of stage 2, None without a row."""
    row = rows.get(key)
    return None if row is None else progress_record(read_campaign(row))
