"""
Rejections: the records of what was refused, with the bytes that were refused.
"""

from typing import Final

import orjson

from streams.contract.records import RefusedBy
from streams.contract.refused import Place, rejection_record
from streams.contract.topics import CALLBACKS_REJECTED
from streams.domain.refusal import Refusal
from streams.domain.stage import Output

BODY_MAX_BYTES: Final = 512 * 1024
"""
A record must fit in Kafka's megabyte, or producing it would stop the pipeline for good: a longer body is cut.

Callbacks are shorter (`INGEST_MAX_BODY_BYTES`); this is for a raw record that is no envelope, and the place in the
rejection says where all of it is.
"""

_JSON_MAX_BYTES: Final = BODY_MAX_BYTES * 4 // 3
"""As text a body may take no more than as base64."""


def rejection(refusal: Refusal, body: bytes, received: int, place: Place | None) -> Output:
    """
    Return the record of `routee.callbacks.rejected` for one refusal.

    `place` is (partition, offset, index) in the raw topic, None for what does not come from there.

    The body is not touched by the privacy settings: it is the evidence of what could not be understood.
    """
    detail = refusal.detail
    if len(body) > BODY_MAX_BYTES:
        detail += f" (cut to {BODY_MAX_BYTES} of {len(body)} bytes)"
        body = body[:BODY_MAX_BYTES]
    record = rejection_record(
        body,
        by=RefusedBy.STREAMS,
        reason=refusal.reason,
        detail=detail,
        received_at_ms=received,
        most_json_bytes=_JSON_MAX_BYTES,
        place=place,
    )
    return Output(CALLBACKS_REJECTED, None, orjson.dumps(record))
