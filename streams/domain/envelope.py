"""
Envelopes, opened: the exact bytes of each callback of one raw record.
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
    """What every envelope has. That each body is JSON shows only when it is decoded; where it ends shows here."""

    received_at: str | int | float | None
    callbacks: list[msgspec.Raw]


_DECODER: Final = msgspec.json.Decoder(_Envelope)


def open_envelope(value: bytes) -> Opened | Refusal:
    """Return what is in a raw record; a refusal when it is no envelope at all."""
    try:
        envelope = _DECODER.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return _refusal(value)
    received = read_date(envelope.received_at)
    return Opened(received, envelope.callbacks) if received else _NO_TIME


_NO_TIME: Final = Refusal(Reason.INVALID_FIELD, "envelope: expected received_at, a time with a zone")


def _refusal(value: bytes) -> Refusal:
    """Say what a raw record that cannot be opened is wrong about."""
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
