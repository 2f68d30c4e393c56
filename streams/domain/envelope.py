"""
Envelopes, opened: the callbacks of one raw record, and the exact text of each where it is needed as evidence.
"""

import json
import re
from collections.abc import Iterator
from json.decoder import JSONDecoder
from typing import Any, Final, NamedTuple

import orjson

from streams.contract.records import Reason
from streams.domain.dates import read_date
from streams.domain.refusal import Refusal


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


def body_texts(value: bytes, callbacks: list[Any]) -> list[str]:
    """
    Return each callback of an envelope as it was sent: spaces, repeated keys and spelling of numbers included.

    Only refused callbacks need it, so the hot path does not pay for it. What the standard library's reader can not
    follow (a thousand levels deep) is written anew from what was decoded.
    """
    try:
        texts = list(_bodies(value.decode()))
    except (ValueError, RecursionError):
        texts = []
    if len(texts) != len(callbacks):
        return [orjson.dumps(callback).decode() for callback in callbacks]
    return texts


_SPACE: Final = re.compile(r"[ \t\n\r]*")
_READER: Final = JSONDecoder()


def _bodies(text: str) -> Iterator[str]:
    """Walk over the members of the envelope; yield the text of each item of its last `callbacks`."""
    items: list[str] = []
    at = _past(text, 0, "{")
    while True:
        name, at = _READER.raw_decode(text, _skip(text, at))
        at = _skip(text, _past(text, at, ":"))
        if name == "callbacks":
            items, at = _items(text, at)
        else:
            _, at = _READER.raw_decode(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ",":
            break
        at += 1
    yield from items


def _items(text: str, at: int) -> tuple[list[str], int]:
    items: list[str] = []
    at = _skip(text, _past(text, at, "["))
    while text[at : at + 1] != "]":
        _, end = _READER.raw_decode(text, at)
        items.append(text[at:end])
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
    return items, at + 1


def _past(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"expected {mark}", text, at)
    return at + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
