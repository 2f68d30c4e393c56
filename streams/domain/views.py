"""
Rows as answers: one SMS, one message and one campaign for the read-only HTTP pages.

`erased` are all erasures that are known: an answer has nothing of them, wherever the rows stand.
"""

from typing import Any

from msgspec import to_builtins

from streams.domain.campaign_stage import campaign_key
from streams.domain.erasing import as_shown
from streams.domain.message import contribution, find_message, message_key, sms_lookup_keys
from streams.domain.message_state import message_state
from streams.domain.money import money_text_or_none
from streams.domain.policy import Erased
from streams.domain.progress import progress_record, read_campaign
from streams.domain.sending import sending
from streams.domain.sms_record import sms_record
from streams.domain.stage import GENERATION_KEY, Rows

__all__ = ["campaign_key", "campaign_view", "find_sms", "message_key", "message_view"]


def message_view(rows: Rows, key: bytes, erased: Erased | None = None) -> dict[str, Any] | None:
    """
    Return a message and all its SMS (each with the fields of SmsStatus) from its row of stage 1, None without a row.
    """
    found = find_message(rows, key)
    if found is None:
        return None
    message = as_shown(found, erased)
    state = message_state(message)
    counted = contribution(message, state.status)
    return {
        "message_id": message.message_id,
        "campaign_tracking_id": counted[0] if counted else None,
        "status": state.status,
        "is_final": state.is_final,
        "parts": state.parts,
        "parts_seen": state.parts_seen,
        "latency_seconds": state.latency_seconds,
        "price": money_text_or_none(state.price),
        "sms": [to_builtins(sms_record(message, state, sms, sending(sms))) for sms in message.parts],
        "previous_status": message.previous,
        "revision": state.revision,
        "generation": message.generation,
    }


def find_sms(rows: Rows, sms_key: str, erased: Erased | None = None) -> dict[str, Any] | None:
    """Return an SMS (the fields of SmsStatus) from the rows of one partition of stage 1, None when it is unknown."""
    index_key, candidates = sms_lookup_keys(sms_key)
    message_id = rows.get(index_key)
    if message_id is not None:
        candidates = [message_key(message_id)]
    for found in (find_message(rows, key) for key in candidates):
        if found is None:
            continue
        message = as_shown(found, erased)
        for sms in message.parts:
            if sms.key.lower() == sms_key.lower():
                return dict(to_builtins(sms_record(message, message_state(message), sms, sending(sms))))
    return None


def campaign_view(rows: Rows, key: bytes) -> dict[str, Any] | None:
    """Return the fields of CampaignProgress from a campaign's row of stage 2, None without a row."""
    row = rows.get(key)
    return None if row is None else progress_record(read_campaign(row), rows.get(GENERATION_KEY) or 0)
