"""
When an SMS was sent, as well as its callbacks tell.
"""

from streams.contract.dates import NO_DATE
from streams.contract.records import SentFrom
from streams.domain.lifecycle import Sms
from streams.domain.statuses import is_final

QUEUED, SENT, LATENCY, STATUS, RECEIPT = (word.value for word in SentFrom)

Sending = tuple[int, str]
"""The moment of sending in ms, and the value that tells it, of `SentFrom`."""


def sending(sms: Sms) -> Sending:
    """
    Return when an SMS was sent, by the first value that can be.

    A moment after every receipt cannot be: the SMS had been sent when we heard of it.
    """
    first, received, queued, sent = sms.first_received, sms.received, sms.queued, sms.sent
    latest = received if received > first else first  # noqa: FURB136 - `max` takes as long as all the rest
    if queued and queued <= latest:
        return queued, QUEUED
    if sent and sent <= latest:
        return sent, SENT
    date, latency = sms.date, sms.details.latency_seconds
    if latency is not None and is_final(sms.status):
        sent = date - (latency * 1000 if latency.__class__ is int else round(latency * 1000))
        if date and NO_DATE < sent <= latest:
            return sent, LATENCY
    updated = date or sms.since
    if updated <= latest:
        return updated, STATUS
    return first, RECEIPT
