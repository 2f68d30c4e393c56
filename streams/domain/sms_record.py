"""
The public record of an SMS, as written for each revision.
"""

from typing import Final

import msgspec

from streams.contract.codec import format_time_ms
from streams.contract.records import Source
from streams.domain.callback import POSTED, PULLED, REDRIVEN
from streams.domain.lifecycle import Sms, origin_of
from streams.domain.message import Message
from streams.domain.message_state import MessageState
from streams.domain.money import money_text, money_text_or_none
from streams.domain.sending import Sending
from streams.domain.statuses import changes_of_mind, is_final

_CALLBACK: Final = Source.CALLBACK.value
_SOURCES: Final = {POSTED: _CALLBACK, PULLED: Source.PULL.value, REDRIVEN: Source.REDRIVE.value}


class SmsRecord(msgspec.Struct, gc=False):
    """The fields of SmsStatus, ready for JSON and in the same order."""

    sms_key: str
    message_id: str
    sms_id: str | None
    campaign_tracking_id: str | None
    campaign_name: str | None
    part: int | None
    parts: int | None
    label: str | None
    recipient: str | None
    sender: str | None
    country: str | None
    operator: str | None
    groups: list[str]
    status: str
    previous_status: str | None
    is_final: bool
    detailed_status: str | None
    status_description: str | None
    status_updated_at: str
    queued_at: str | None
    sent_at: str | None
    final_at: str | None
    latency_seconds: float | None
    price: str | None
    application_name: str | None
    direction: str | None
    originating_service: str | None
    message: str | None
    revision: int
    conflicts: int
    first_received_at: str
    received_at: str
    partition: int
    offset: int
    index: int
    generation: int
    message_status: str
    message_previous_status: str | None
    message_is_final: bool
    message_parts: int
    message_parts_seen: int
    message_latency_seconds: float | None
    message_price: str | None
    message_revision: int
    sending_at: str
    sent_from: str
    source: str


def sms_record(message: Message, state: MessageState, sms: Sms, when: Sending) -> SmsRecord:
    """Return the public record of an SMS, with the state of its message and when it was sent."""
    details, price = sms.details, sms.details.price
    price_text = None if price is None else money_text(price)
    status, date, queued, sent = sms.status, sms.date, sms.queued, sms.sent
    final = is_final(status)
    partition, offset, index = sms.place
    updated_at = format_time_ms(date or sms.since)
    queued_at = format_time_ms(queued) if queued else None
    sent_at = format_time_ms(sent) if sent else None
    sending_ms, sent_from = when
    # Nearly always one of these two: writing a time costs more than looking.
    sending_at = queued_at if sending_ms == queued else sent_at if sending_ms == sent else None
    received_at = format_time_ms(sms.received)
    # By position: every status of every SMS makes one, and keywords cost time. In two pieces: of more than 30 values
    # Python makes a list, one by one.
    first = (
        sms.key,
        message.message_id,
        details.sms_id,
        details.campaign_tracking_id,
        details.campaign_name,
        details.part,
        details.parts,
        details.label,
        details.recipient,
        details.sender,
        details.country,
        details.operator,
        details.groups or [],
        status,
        sms.previous,
        final,
        details.detailed_status,
        details.status_description,
        updated_at,
        queued_at,
        sent_at,
        updated_at if final and date else None,
        details.latency_seconds,
        price_text,
        details.application_name,
        details.direction,
        details.originating_service,
        details.message,
    )
    others = (
        sms.revision,
        changes_of_mind(sms.finals) if sms.finals else 0,
        received_at if sms.first_received == sms.received else format_time_ms(sms.first_received),
        received_at,
        partition,
        offset,
        index,
        message.generation,
        state.status,
        message.previous,
        state.is_final,
        state.parts,
        state.parts_seen,
        state.latency_seconds,
        price_text if state.price == price else money_text_or_none(state.price),
        state.revision,
        sending_at or format_time_ms(sending_ms),
        sent_from,
        _SOURCES[origin_of(sms)] if sms.pulled else _CALLBACK,
    )
    return SmsRecord(*(first + others))  # unpacking both here would make a list, too
