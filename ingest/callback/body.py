"""
Examines a body: bytes → the callback's key, or the reason why it is stored as rejected. Pure.
"""

import zlib
from dataclasses import dataclass
from typing import Final

from orjson import JSONDecodeError, loads

from ingest.callback.compression import GZIP, whole_stream
from ingest.callback.documented import NOT_DOCUMENTED, read_documented
from ingest.callback.nesting import MAX_DEPTH, is_deeper
from ingest.callback.redaction import Redactor
from streams.contract.keys import KEY_MAX_CHARS, NIL_ID, callback_key
from streams.contract.records import Reason

_SHORTEST_TOO_DEEP: Final = 2 * MAX_DEPTH


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a body is no callback; `detail` never quotes the body."""

    reason: Reason
    detail: str


TOO_DEEP: Final = Rejected(Reason.TOO_DEEP, f"nested more than {MAX_DEPTH} levels deep")
NO_KEY: Final = Rejected(
    Reason.NO_KEY,
    f"neither messageId nor trackingId is a string of 1 to {KEY_MAX_CHARS} characters that does not stand for none",
)
_EMPTY: Final = Rejected(Reason.NOT_JSON, "the body is empty")
NOT_GZIP: Final = Rejected(Reason.NOT_JSON, "Content-Encoding says gzip, and the bytes are not one whole gzip stream")
_JSON_NAMES: Final = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean"}


def examine(body: bytes, redactor: Redactor) -> tuple[str, bytes] | Rejected:
    """
    Return the key of a callback and the bytes to store: the received ones, with secrets masked.

    A callback is one JSON object that stays readable inside an envelope, and has a usable key.
    """
    try:
        key = read_documented(body).messageId
    except NOT_DOCUMENTED:
        return _examine_patiently(body, redactor)
    return _examine_patiently(body, redactor) if key == NIL_ID or redactor.finds(body) else (key, body)


def _examine_patiently(body: bytes, redactor: Redactor) -> tuple[str, bytes] | Rejected:
    """Examine a body of any form."""
    try:
        document = loads(body)
    except JSONDecodeError as error:
        return _unreadable(body, error)
    if document.__class__ is not dict:
        kind = _JSON_NAMES.get(document.__class__, "null")
        return Rejected(Reason.NOT_OBJECT, f"{kind} instead of an object")
    if len(body) > _SHORTEST_TOO_DEEP and is_deeper(body, MAX_DEPTH):
        return TOO_DEEP
    if redactor.finds(body):
        body = redactor.redact(body)
        document = loads(body)
    key = callback_key(document)
    return NO_KEY if key is None else (key, body)


def inflate(body: bytes, max_bytes: int) -> bytes | Rejected | None:
    """Return the content of a gzip body; None when it exceeds `max_bytes` (no more than that is inflated)."""
    try:
        return whole_stream(body, GZIP, max_bytes)
    except zlib.error:
        return NOT_GZIP


def _unreadable(body: bytes, error: JSONDecodeError) -> Rejected:
    if not body.strip(b" \t\r\n"):
        return _EMPTY
    try:
        body.decode()
    except UnicodeDecodeError as bad:
        return Rejected(Reason.NOT_JSON, f"not UTF-8 at byte {bad.start}")
    if "depth" in error.msg:
        return TOO_DEEP
    return Rejected(Reason.NOT_JSON, f"not JSON at character {error.pos}: {error.msg.partition(': line')[0]}")
