"""
Records of `callbacks.rejected` and `callbacks.raw` as ingest and streams write them, for tests of the redrive.
"""

from typing import Any, Final

import orjson

from ingest.callback.envelope import Redrive, reject, seal, seal_again
from ingest.redrive.fates import Refused
from streams.contract.records import Reason
from streams.domain.policy import Policy
from streams.domain.privacy import withholding_of
from streams.domain.refusal import Refusal
from streams.domain.rejection import kept_of, rejection
from tests.builders import sms_callback

NOON_MS: Final = 1_795_348_800_000


def body_of(number: int, **fields: Any) -> bytes:  # noqa: ANN401 - as in builders
    """Return the callback of a message of its own."""
    return orjson.dumps(sms_callback(message_id=f"m-{number}", sms_id=f"s-{number}", **fields))


def rejected_by_streams(
    body: bytes, place: tuple[int, int, int], reason: Reason = Reason.BUG, received_ms: int = NOON_MS
) -> bytes:
    """Return the record of a callback that streams refused, which withholds its number and text."""
    kept = kept_of(None, body, withholding_of(Policy(recipient="drop", message_text="drop")))
    return rejection(Refusal(reason, "a detail"), kept, received_ms, place).value


def rejected_by_ingest(body: bytes, reason: Reason = Reason.NOT_JSON, received_ms: int = NOON_MS) -> bytes:
    """Return the record of a body that ingest refused."""
    return reject(body, reason, "a detail", received_ms)


def posted(*bodies: bytes, received_ms: int = NOON_MS) -> bytes:
    """Return an envelope of posted callbacks."""
    return seal(bodies, [""] * len(bodies), received_ms).value


def redriven(*bodies: bytes, attempt: int = 1, rejected: tuple[tuple[int, int], ...] = ((0, 0),)) -> bytes:
    """Return an envelope of redriven callbacks."""
    return seal_again(bodies, [""] * len(bodies), NOON_MS + 5000, Redrive(attempt, NOON_MS, rejected)).value


def refused(rejection: tuple[int, int] = (0, 0), **fields: Any) -> Refused:  # noqa: ANN401 - of the tuple
    """Return a refused callback of streams."""
    told: dict[str, Any] = {"place": (1, 5, 0), "body": None} | fields
    return Refused(rejection, Reason.BUG, NOON_MS, **told)
