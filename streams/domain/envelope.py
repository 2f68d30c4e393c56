"""
Envelopes, opened: the callbacks of one raw record, and the exact bytes of each where it is needed as evidence.
"""

import re
from typing import Any, Final, NamedTuple

import orjson

from streams.contract.records import Reason
from streams.domain.dates import read_date
from streams.domain.refusal import Refusal

_DEPTH_OF_CALLBACKS: Final = 2


class Opened(NamedTuple):
    """The callbacks of one envelope as decoded JSON (they need not be objects), and when it was received (ms)."""

    received: int
    callbacks: list[Any]


def open_envelope(value: bytes) -> Opened | Refusal:
    """Return what is in a raw record; a refusal when it is no envelope at all."""
    try:
        envelope = orjson.loads(value)
    except orjson.JSONDecodeError:
        return Refusal(Reason.NOT_JSON, "envelope: expected JSON")
    if envelope.__class__ is not dict:
        return Refusal(Reason.NOT_OBJECT, "envelope: expected an object")
    received = read_date(envelope.get("received_at"))
    if not received:
        return Refusal(Reason.INVALID_FIELD, "envelope: expected received_at, a time with a zone")
    callbacks = envelope.get("callbacks")
    if callbacks.__class__ is not list:
        return Refusal(Reason.INVALID_FIELD, "envelope: expected callbacks, a list")
    return Opened(received, callbacks)


_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]')


def bodies_of(value: bytes, expected: int) -> list[bytes]:
    """
    Return each callback of an envelope byte for byte: spaces, repeated keys and spelling of numbers included.

    The envelope has to be one that `open_envelope` took, with `expected` callbacks. Only refused callbacks need it,
    so the hot path does not pay for it. It counts brackets instead of parsing: JSON readers and writers give up at
    different depths, and evidence must not be lost to that.
    """
    bodies: list[bytes] = []
    depth, start, key = 0, -1, b""
    for token in _TOKEN.finditer(value):
        mark = token[0][:1]
        if mark == b'"':
            key = token[0]
        elif mark in b"[{":
            depth += 1
            if depth == _DEPTH_OF_CALLBACKS and key == b'"callbacks"':
                bodies, start = [], token.end()
        else:
            if start >= 0 and depth == _DEPTH_OF_CALLBACKS:
                bodies.append(value[start : token.start()].strip())
                start = token.end() if mark == b"," else -1
            depth -= mark in b"]}"
    # A key in an unusual spelling escapes this reader; the whole record is evidence, too.
    return bodies if len(bodies) == expected else [value] * expected
