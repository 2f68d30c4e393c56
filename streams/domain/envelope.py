"""
Opening envelopes: the exact bytes of each callback of one raw record.
"""

from typing import Final, NamedTuple

import msgspec
import orjson

from streams.contract.records import Reason
from streams.domain.dates import read_date
from streams.domain.refusal import Refusal


class Opened(NamedTuple):
    """The callbacks of one envelope, byte for byte as they were posted, and when it was received (ms)."""

    received: int
    bodies: list[msgspec.Raw]


class _Envelope(msgspec.Struct):
    """The fields of an envelope. Decoding it finds where each body ends, not whether the body is valid JSON."""

    received_at: str | int | float | None
    callbacks: list[msgspec.Raw]


_DECODER: Final = msgspec.json.Decoder(_Envelope)


def open_envelope(value: bytes) -> Opened | Refusal:
    """Return the contents of a raw record; a refusal when it is not an envelope."""
    try:
        envelope = _DECODER.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return _refusal(value)
    received = read_date(envelope.received_at)
    return Opened(received, envelope.callbacks) if received else _NO_TIME


_NO_TIME: Final = Refusal(Reason.INVALID_FIELD, "envelope: expected received_at, a time with a zone")


def _refusal(value: bytes) -> Refusal:
    """Return the refusal that names the fault of a raw record that cannot be opened."""
    try:
        envelope = orjson.loads(value)
    except orjson.JSONDecodeError:
        return Refusal(Reason.NOT_JSON, "envelope: expected JSON")
    if envelope.__class__ is not dict:
        return Refusal(Reason.NOT_OBJECT, "envelope: expected an object")
    if not read_date(envelope.get("received_at")):
        return _NO_TIME
    if envelope.get("callbacks").__class__ is not list:
        return Refusal(Reason.INVALID_FIELD, "envelope: expected callbacks, a list")
    return Refusal(Reason.NOT_JSON, "envelope: expected JSON that every reader takes, nested less deeply")
