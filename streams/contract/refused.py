"""
The kept form of refused bytes: as text or base64, within a record that says why and from where.
"""

from base64 import b64encode
from typing import Any

import orjson

from streams.contract.codec import format_time_ms
from streams.contract.records import Reason, RefusedBy

Place = tuple[int, int, int]
"""[partition, offset, index] in `callbacks.raw`."""


def text_or_base64(value: bytes, most_json_bytes: int) -> tuple[str | None, str | None]:
    """
    Return (text, None), or (None, base64) for bytes that are not UTF-8 or exceed `most_json_bytes` as JSON text.

    JSON may take six bytes for one; base64 takes four for three.
    """
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None, b64encode(value).decode()
    return (text, None) if len(orjson.dumps(text)) <= most_json_bytes else (None, b64encode(value).decode())


def rejection_record(  # noqa: PLR0913 - the fields of Rejection
    body: bytes,
    *,
    by: RefusedBy,
    reason: Reason,
    detail: str,
    received_at_ms: int,
    most_json_bytes: int,
    place: Place | None = None,
    redacted: bool = False,
) -> dict[str, Any]:
    """Return the record of `callbacks.rejected` for a body: the fields of `records.Rejection`, ready for JSON."""
    text, base64 = text_or_base64(body, most_json_bytes)
    partition, offset, index = place or (None, None, None)
    return {
        "received_at": format_time_ms(received_at_ms),
        "stage": by,
        "reason": reason,
        "detail": detail,
        "body": text,
        "body_base64": base64,
        "partition": partition,
        "offset": offset,
        "index": index,
        "redacted": redacted,
    }
