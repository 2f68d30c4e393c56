"""The verdict of today's rules on callbacks, each taken alone and as of now."""

from typing import Any

import orjson
import pytest

from streams.domain.judging import verdicts
from streams.domain.policy import HOUR_MS, Policy
from tests.builders import ABSENT, NOW, campaign_report, envelope, sms_callback

NOON_MS = 1_795_348_800_000


def judged(*callbacks: Any, now: int = NOON_MS, **told: Any) -> list[str]:  # noqa: ANN401 - any JSON
    value = orjson.dumps(orjson.loads(envelope(*callbacks)) | told)
    return [verdict["verdict"] for verdict in verdicts(Policy(), value, now)]


def test_each_callback_has_a_verdict_of_its_own() -> None:
    """The same SMS twice is taken in twice: none knows of the other."""
    told = judged(sms_callback(), sms_callback(), campaign_report(), {"messageId": "m"}, 7)
    assert told[:3] == ["taken in"] * 3
    assert [verdict.partition(": ")[0] for verdict in told[3:]] == ["refused", "refused"]


@pytest.mark.parametrize("date", ["2026-11-22T09:16:54Z", ABSENT])
def test_a_status_older_than_the_memory_of_the_state_is_expired(date: Any) -> None:  # noqa: ANN401
    """By its date; by its first receipt where it has none."""
    redrive = {"source": "redrive", "first_received_at": NOW, "received_at": "2026-12-05T12:00:00.000Z"}
    for days, verdict in ((1, "taken in"), (13, "refused: expired")):
        assert judged(sms_callback("Delivered", date), now=NOON_MS + days * 24 * HOUR_MS, **redrive) == [verdict]


def test_bytes_that_are_no_envelope_have_one_verdict() -> None:
    assert [one["verdict"] for one in verdicts(Policy(), b"no envelope", NOON_MS)] == ["refused: not-json"]
