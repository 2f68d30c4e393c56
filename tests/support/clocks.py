"""
Records that streams writes when clocks are wrong: ingest's, by years, and Routee's, to the first and the last date.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from streams.contract.topics import SMS_STATUS
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from tests.builders import envelope, sms_callback
from tests.support.memory_rows import MemoryRows, outputs_of

CLOCKS: Final = (
    "1969-12-31T23:59:59.999Z",
    "1970-01-01T00:00:00.000Z",
    "1999-01-01T00:00:00.000Z",
    "2026-11-22T12:00:00.000Z",
    "2099-06-01T00:00:00.000Z",
    "9999-12-31T23:59:59.999Z",
)
"""Times of receipt, as ingest may write them."""

DATES: Final = (
    "1970-01-02T00:00:00.000Z",
    "1999-01-01T00:00:00.000Z",
    "2026-11-22T09:16:54.500Z",
    "2099-12-31T23:59:59.999Z",
    "2106-02-07T06:28:15.999Z",
    None,
)
"""Routee's dates: the first one, the last one, and none."""


def statuses_of_every_clock() -> Iterator[dict[str, Any]]:
    """Yield the records of an SMS for each clock of ingest and each of Routee's dates."""
    for clock in CLOCKS:
        for number, date in enumerate(DATES):
            # An SMS of a partition of its own: an old date is not refused there.
            name = f"{clock} {number}"
            words = ("Queued", "Sent", "Delivered")
            callbacks = [sms_callback(word, date, message_id=name, sms_id=name) for word in words]
            record = envelope(*callbacks, received_at=clock)
            for output in outputs_of(SmsStage(Policy()).apply(MemoryRows(), 0, 0, record)):
                assert output.topic is SMS_STATUS, output
                yield orjson.loads(output.value)
