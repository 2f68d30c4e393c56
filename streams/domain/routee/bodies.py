"""
Reading the body of one callback: an SMS status, a campaign report, or a refusal.
"""

import re
from typing import Final

import orjson
from msgspec import Raw

from streams.contract.dates import read_date
from streams.contract.records import Reason
from streams.domain.callback import Callback
from streams.domain.policy import Policy
from streams.domain.refusal import Refusal
from streams.domain.routee.campaign_report import Read, read_report
from streams.domain.routee.shapes import REPORT, SMS, shape_of
from streams.domain.routee.sms import callback_of, read_callback
from streams.domain.routee.wire import PlainSms, read_wire

_DATE: Final = re.compile(rb'updatedDate\\?"?\s*:\s*\\?"?([^",}\\]+)')


def read_body(body: Raw | PlainSms, received: int, policy: Policy) -> Callback | Read | Refusal:
    """Read a body received at `received` (ms): the documented form by the quick reader, others by the patient one."""
    if isinstance(body, PlainSms):  # nearly always
        return callback_of(body, received, policy)
    sms = read_wire(body)
    return _read_unusual(body, received, policy) if sms is None else callback_of(sms, received, policy)


def _read_unusual(raw: Raw, received: int, policy: Policy) -> Callback | Read | Refusal:
    try:
        body = orjson.loads(memoryview(raw))
    except orjson.JSONDecodeError:
        return Refusal(Reason.NOT_JSON, "expected JSON")
    if body.__class__ is not dict:
        return Refusal(Reason.NOT_OBJECT, "expected a JSON object")
    shape = shape_of(body)
    if shape == SMS:
        return read_callback(body, received, policy)
    if shape == REPORT:
        return read_report(body, policy)
    return Refusal(Reason.UNKNOWN_SHAPE, shape)


def dates_in(body: bytes) -> list[int]:
    """Return the moments (ms) that the bytes of a callback name as Routee's dates, as far as they can be read."""
    return [date for text in _DATE.findall(body) if (date := read_date(text.decode(errors="replace")))]
