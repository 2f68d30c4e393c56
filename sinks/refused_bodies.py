"""
Refused bodies on their way to a store: without the numbers and texts that streams would not let through.

Streams applies its settings to what it refuses. Ingest does not know them, and an earlier version of streams did not
apply them: of these, nothing is kept that any setting can withhold. Kafka has the bytes as long as those of callbacks.
"""

from base64 import b64decode
from typing import Any

import orjson
from msgspec.structs import replace

from sinks.source import Record
from streams.contract.personal import ALL_PERSONAL, Kept, kept_body
from streams.contract.records import RefusedBy

CHANGED = ("body", "body_base64", "redacted")
"""The fields of a rejection that differ between Kafka and a store, by a setting that may change."""


def redacted(record: Record) -> Record:
    """Return a record of `callbacks.rejected` without personal data in its body, or any other record as it is."""
    try:
        rejection = orjson.loads(record.value or b"")
        kept = _kept(rejection)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return record  # no rejection: the store refuses it
    if kept is None or not kept.redacted:
        return record
    text = kept.body.decode()
    return replace(record, value=orjson.dumps({**rejection, "body": text, "body_base64": None, "redacted": True}))


def _kept(rejection: dict[str, Any]) -> Kept | None:
    """Return as much of a rejection's body as a store may keep; None without a body."""
    if (body := _body(rejection)) is None:
        return None
    if rejection["stage"] != RefusedBy.STREAMS or "redacted" not in rejection:
        return kept_body(body, ALL_PERSONAL)
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return Kept(b"", redacted=bool(body))
    return Kept(body, redacted=False)


def _body(rejection: dict[str, Any]) -> bytes | None:
    text, base64 = rejection["body"], rejection["body_base64"]
    if base64 is not None:
        return b64decode(base64)
    return None if text is None else str(text).encode()
