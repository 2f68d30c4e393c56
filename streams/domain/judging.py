"""
The verdicts of today's rules on callbacks, each taken alone and as of now, when nothing is known of its message.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from streams.contract.topics import CALLBACKS_REJECTED
from streams.domain.envelope import open_envelope
from streams.domain.expiry import forgotten_before, pass_moment
from streams.domain.policy import Policy
from streams.domain.refusal import Refusal
from streams.domain.rehearsal import MemoryRows
from streams.domain.sms_stage import SmsStage
from streams.domain.tally import keep_tally

TAKEN = "taken in"


def verdicts(policy: Policy, envelope: bytes, now: int) -> Iterator[dict[str, Any]]:
    """
    Yield the verdict on each callback of an envelope: `taken in`, or `refused: ` and the reason, and the detail.

    `now` (ms) is stream time, so a status that is older than the memory of the state is refused as `expired`; streams
    takes it in where it still knows the message.
    """
    opened = open_envelope(envelope)
    if isinstance(opened, Refusal):
        yield _refused(opened.reason, opened.detail)
        return
    document = orjson.loads(envelope)
    for body in opened.bodies:
        alone = orjson.dumps(document | {"callbacks": [orjson.Fragment(bytes(body))], "repaired": []})
        yield _verdict(policy, alone, now)


def _verdict(policy: Policy, envelope: bytes, now: int) -> dict[str, Any]:
    rows = MemoryRows()
    tally = keep_tally(rows)
    tally["forgotten"] = forgotten_before(tally)
    pass_moment(rows, tally, now, policy.retention_ms)
    for piece in SmsStage(policy).apply(rows, 0, 0, envelope):
        for output in piece.outputs:
            if output.topic is CALLBACKS_REJECTED:
                record = orjson.loads(output.value)
                return _refused(record["reason"], record["detail"])
    return {"verdict": TAKEN, "detail": None}


def _refused(reason: str, detail: str) -> dict[str, Any]:
    return {"verdict": f"refused: {reason}", "detail": detail}
