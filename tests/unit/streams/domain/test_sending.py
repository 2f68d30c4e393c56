"""
When an SMS was sent, and which value tells it: the first that can be.
"""

from typing import Any

import pytest

from streams.domain.cells import WINDOW_MS
from tests.builders import ABSENT, sms_callback
from tests.unit.streams.domain.test_deliveries import MINUTE, START, Partition, at

LATE = 60 * MINUTE
"""The receipt; a date after it cannot be that of the sending."""

Step = tuple[str, float | None, float | None]
"""Status, its date in minutes, and the latency in seconds; None: the callback has none."""


@pytest.mark.parametrize(
    ("steps", "sent", "sent_from"),
    [
        ([("Queued", 10, None), ("Sent", 11, None), ("Delivered", 12, 3)], 10, "queued"),
        ([("Sent", 11, None), ("Delivered", 12, 3)], 11, "sent"),
        ([("Queued", 61, None), ("Sent", 11, None)], 11, "sent"),
        ([("Queued", 61, None), ("Sent", 62, None), ("Delivered", 12, 120)], 10, "latency"),
        ([("Delivered", 12, 90.4)], 12 - 90.4 / 60, "latency"),
        ([("Unsent", 12, 0)], 12, "latency"),
        ([("Delivered", 12, None)], 12, "status"),
        ([("Network Error", 12, 60)], 12, "status"),
        ([("Delivered", 12, 12 * 60 + 30 * 86_400)], 12, "status"),
        ([("Delivered", 61, 60)], 60, "latency"),
        ([("Delivered", 62, 60)], 60, "receipt"),
        ([("Delivered", None, 60)], 60, "status"),
    ],
)
def test_the_first_value_that_can_be_tells_when_an_sms_was_sent(steps: list[Step], sent: float, sent_from: str) -> None:
    """OnChange begins with Queued or Sent, OnCompletion is final at once; the record and the cell agree."""
    partition = Partition()
    for status, minute, latency in steps:
        told: dict[str, Any] = {"latency": ABSENT if latency is None else latency}
        partition.send(sms_callback(status, None if minute is None else at(minute * MINUTE), **told), received=LATE)
    ((window, _),) = [cell for cell, row in partition.cells.items() if row["parts"]]
    (record,) = partition.last.values()
    assert (record["sending_at"], record["sent_from"]) == (at(sent * MINUTE), sent_from)
    assert window == (START + round(sent * MINUTE)) // WINDOW_MS
