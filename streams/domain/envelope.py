"""
Opening envelopes: the exact bytes of each callback of one raw record, and what ingest noted about repaired ones.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Final

import msgspec
import orjson

from streams.contract.dates import read_receipt
from streams.contract.records import Reason, Repair, Source
from streams.domain.callback import POSTED, PULLED, REDRIVEN
from streams.domain.refusal import Refusal
from streams.domain.routee.wire import PlainSms, read_plain


class Repaired(msgspec.Struct):
    """The note about one repaired callback."""

    index: int
    repairs: list[str] = []
    original: str | None = None

    @property
    def names(self) -> list[str]:
        """Return the names of the repairs, one that this version does not know as `repaired`."""
        return [name if name in _REPAIRS else "repaired" for name in self.repairs]

    @property
    def body(self) -> bytes | None:
        """Return the bytes that were posted, None when they were not kept."""
        try:
            return None if self.original is None else b64decode(self.original, validate=True)
        except (Base64Error, ValueError):
            return None


_ORIGINS: Final = {orjson.dumps(Source.PULL): PULLED, orjson.dumps(Source.REDRIVE): REDRIVEN}
"""Any other source, also of a later version, is a callback's."""
_REPAIRS: Final = frozenset(repair.value for repair in Repair)
_NONE_REPAIRED: Final[Mapping[int, Repaired]] = MappingProxyType({})


class Opened:
    """
    The callbacks of one envelope, and when they were received (ms): redriven ones, when they were posted.

    Callbacks in `repaired`, by their index, are not as they were posted. `origin` is that of all of them.
    """

    def __init__(
        self,
        received: int,
        callbacks: Sequence[msgspec.Raw | PlainSms],
        value: bytes,
        repaired: Mapping[int, Repaired] = _NONE_REPAIRED,
        *,
        origin: int = POSTED,
    ) -> None:
        self.received: Final = received
        self.callbacks: Final = callbacks
        """Each to be read, or read already when all have the documented form."""
        self.repaired: Final = repaired
        self.origin: Final = origin
        self._value = value

    @cached_property
    def bodies(self) -> list[msgspec.Raw]:
        """Each callback, byte for byte."""
        return _DECODER.decode(self._value).callbacks

    def posted(self, index: int) -> bytes | None:
        """Return a repaired callback as it was posted, as far as that is known; None for any other."""
        note = self.repaired.get(index)
        return (note and note.body) or None


class _Envelope(msgspec.Struct):
    """The fields of an envelope. Decoding it finds where each body ends, not whether the body is valid JSON."""

    received_at: str | int | float | None
    callbacks: list[msgspec.Raw]
    repaired: msgspec.Raw = msgspec.Raw()
    source: msgspec.Raw = msgspec.Raw()
    first_received_at: msgspec.Raw = msgspec.Raw()


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
_REPAIRED_DECODER: Final = msgspec.json.Decoder(list[Repaired])


def open_envelope(value: bytes) -> Opened | Refusal:
    """Return the contents of a raw record; a refusal when it is not an envelope."""
    plain = read_plain(value)
    if plain is not None:
        received = read_receipt(plain.received_at)
        return Opened(received, plain.callbacks, value) if received else _NO_TIME
    try:
        envelope = _DECODER.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return _refusal(value)
    if _is_too_deep(value, envelope.callbacks):
        return _refusal(value)
    received = read_receipt(envelope.received_at)
    if not received:
        return _NO_TIME
    repaired = _repaired(envelope.repaired) if len(envelope.repaired) else _NONE_REPAIRED
    origin = _ORIGINS.get(bytes(envelope.source), POSTED)
    if origin == REDRIVEN:
        received = _first_receipt(envelope.first_received_at, received)
    return Opened(received, envelope.callbacks, value, repaired, origin=origin)


def _first_receipt(told: msgspec.Raw, received: int) -> int:
    """Return when redriven callbacks were posted (ms); the time of their redrive where that is not told."""
    try:
        return min(read_receipt(msgspec.json.decode(told)) or received, received)
    except (msgspec.MsgspecError, RecursionError):
        return received


def _repaired(notes: msgspec.Raw) -> Mapping[int, Repaired]:
    """Return the notes by index. Notes of another form cost no callback: they decide nothing."""
    try:
        return {note.index: note for note in _REPAIRED_DECODER.decode(notes)}
    except (msgspec.MsgspecError, RecursionError):
        return _NONE_REPAIRED


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
