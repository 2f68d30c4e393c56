"""
Opening envelopes: the exact bytes of each callback of one raw record.
"""

from typing import Final, NamedTuple

import msgspec
import orjson

from streams.contract.records import Reason
from streams.domain.dates import read_receipt
from streams.domain.refusal import Refusal


class Opened(NamedTuple):
    """The callbacks of one envelope, byte for byte as they were posted, and when it was received (ms)."""

    received: int
    bodies: list[msgspec.Raw]


class _Envelope(msgspec.Struct):
    """The fields of an envelope. Decoding it finds where each body ends, not whether the body is valid JSON."""

    received_at: str | int | float | None
    callbacks: list[msgspec.Raw]


MAX_DEPTH: Final = 850
"""
Deepest nesting of an envelope; ingest lets through 252 levels. The depth that msgspec reads depends on the version of
Python (3.11: 1,000 levels less the calls in progress; 3.12: 1,500; 3.13: 10,000; 3.14: 27,000), and a raw record must
have the same verdict on each.
"""

_READER_DEPTH: Final = 1024
"""The depth that orjson reads, on every version of Python."""

_BODY_DEPTH: Final = MAX_DEPTH - 2
_SHORTEST_TOO_DEEP: Final = 2 * _BODY_DEPTH

_DECODER: Final = msgspec.json.Decoder(_Envelope)


def open_envelope(value: bytes) -> Opened | Refusal:
    """Return the contents of a raw record; a refusal when it is not an envelope."""
    try:
        envelope = _DECODER.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return _refusal(value)
    if _is_too_deep(value, envelope.callbacks):
        return _refusal(value)
    received = read_receipt(envelope.received_at)
    return Opened(received, envelope.callbacks) if received else _NO_TIME


def _is_too_deep(value: bytes, bodies: list[msgspec.Raw]) -> bool:
    """Tell whether any part exceeds MAX_DEPTH; the lengths alone rule that out for an everyday envelope."""
    sizes = [*map(len, bodies)]
    if max(sizes, default=0) > _SHORTEST_TOO_DEEP and any(_is_deeper(bytes(body), _BODY_DEPTH) for body in bodies):
        return True
    around = len(value) - sum(sizes) - len(sizes)
    return around > _SHORTEST_TOO_DEEP and _is_deeper(value, MAX_DEPTH)


def _is_deeper(text: bytes, levels: int) -> bool:
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    # Wrapped so that orjson's limit lies at `levels`. Bytes that are not UTF-8 are replaced: they would fail first.
    wrap = _READER_DEPTH - levels
    try:
        orjson.loads(b"[" * wrap + text.decode(errors="replace").encode() + b"]" * wrap)
    except orjson.JSONDecodeError as error:
        return "depth" in error.msg
    return False


_NO_TIME: Final = Refusal(Reason.INVALID_FIELD, "envelope: expected received_at, a time with a zone")


def _refusal(value: bytes) -> Refusal:
    """Return the refusal that names the fault of a raw record that cannot be opened."""
    try:
        envelope = orjson.loads(value)
    except orjson.JSONDecodeError:
        return Refusal(Reason.NOT_JSON, "envelope: expected JSON")
    if envelope.__class__ is not dict:
        return Refusal(Reason.NOT_OBJECT, "envelope: expected an object")
    if read_receipt(envelope.get("received_at")) is None:
        return _NO_TIME
    if envelope.get("callbacks").__class__ is not list:
        return Refusal(Reason.INVALID_FIELD, "envelope: expected callbacks, a list")
    return Refusal(
        Reason.NOT_JSON, f"envelope: expected JSON that every reader takes, nested at most {MAX_DEPTH} levels deep"
    )
