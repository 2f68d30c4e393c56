"""
When an SMS was sent, as well as its callbacks tell.
"""

from streams.contract.records import SentFrom
from streams.domain.dates import NO_DATE
from streams.domain.lifecycle import Sms
from streams.domain.statuses import is_final

QUEUED, SENT, LATENCY, STATUS, RECEIPT = (word.value for word in SentFrom)


def sending(sms: Sms) -> tuple[int, str]:
    """
    Return the moment of sending in ms, and the value that tells it: the first of `SentFrom` that can be.

    A moment after every receipt cannot be: the SMS had been sent when we heard of it.
    """
    latest = max(sms.first_received, sms.received)
    if NO_DATE < sms.queued <= latest:
        return sms.queued, QUEUED
    if NO_DATE < sms.sent <= latest:
        return sms.sent, SENT
    date, latency = sms.date, sms.details.latency_seconds
    if latency is not None and is_final(sms.status):
        sent = date - round(latency * 1000)
        if date and NO_DATE < sent <= latest:
            return sent, LATENCY
    updated = date or sms.since
    if updated <= latest:
        return updated, STATUS
    return sms.first_received, RECEIPT
