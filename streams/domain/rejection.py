"""
Rejections: the records of what was refused, with the bytes that were refused.
"""

import base64
from typing import Final

import orjson

from streams.contract.topics import CALLBACKS_REJECTED
from streams.domain.dates import date_text
from streams.domain.refusal import Refusal
from streams.domain.stage import Output

BODY_MAX_BYTES: Final = 512 * 1024
"""
A record must fit in Kafka's megabyte, or producing it would stop the pipeline for good: what is longer is cut.

Callbacks are shorter (`INGEST_MAX_BODY_BYTES`); this is for a raw record that is no envelope, and the place in the
rejection says where all of it is.
"""


def rejection(refusal: Refusal, body: bytes, received: int, place: tuple[int, int, int] | None) -> Output:
    """
    Return the record of `routee.callbacks.rejected` for one refusal.

    `place` is (partition, offset, index) in the raw topic, None for what does not come from there.

    The body is not touched by the privacy settings: it is the evidence of what could not be understood.
    """
    detail = refusal.detail
    if len(body) > BODY_MAX_BYTES:
        detail += f" (cut to {BODY_MAX_BYTES} of {len(body)} bytes)"
        body = body[:BODY_MAX_BYTES]
    as_text = _as_text(body)
    partition, offset, index = place or (None, None, None)
    record = {
        "received_at": date_text(received),
        "stage": "streams",
        "reason": refusal.reason,
        "detail": detail,
        "body": as_text,
        "body_base64": base64.b64encode(body).decode() if as_text is None else None,
        "partition": partition,
        "offset": offset,
        "index": index,
    }
    return Output(CALLBACKS_REJECTED, None, orjson.dumps(record))


def _as_text(body: bytes) -> str | None:
    """Return the body as text, None when it is none, or when quoting it as JSON makes it longer than base64 would."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return text if len(orjson.dumps(text)) <= BODY_MAX_BYTES * 4 // 3 else None
