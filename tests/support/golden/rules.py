"""
How an earlier version read callbacks, where today's rules differ: its rows keep what they took in by them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from streams.contract.records import Reason
from streams.domain.callback import Callback
from streams.domain.money import read_money
from streams.domain.policy import Policy
from streams.domain.refusal import Refusal
from streams.domain.routee import coercion
from streams.domain.routee.bodies import read_body
from streams.domain.routee.campaign_report import Read
from streams.domain.routee.wire import PlainSms
from tests.support.golden.stored import Golden


@contextmanager
def rules_of_then(golden: Golden) -> Iterator[None]:
    """Read callbacks as the version of a set did. 0.1.0 read measures without bounds, and none with an unread date."""
    if golden.folder.name != "0.1.0":
        yield
        return

    def read_as_then(body: msgspec.Raw | PlainSms, received: int, policy: Policy) -> Callback | Read | Refusal:
        read = read_body(body, received, policy)
        unread = isinstance(read, Callback) and "status.updatedDate" in read.notes
        detail = "status.updatedDate: expected ISO 8601 with a zone, or an epoch number"
        return Refusal(Reason.INVALID_FIELD, detail) if unread else read

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.domain.sms_stage.read_body", read_as_then)
        patch.setattr(coercion, "latency", coercion.number)
        patch.setattr(coercion, "price", lambda value, *_: None if value is None else read_money(value))
        yield
