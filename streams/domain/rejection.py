"""
Rejections: records of refused callbacks, with as much of the refused bytes as the privacy settings let be kept.
"""

from typing import Final

import orjson

from streams.contract.headers import headers
from streams.contract.personal import Kept, Withholding, kept_body, may_hold_code
from streams.contract.records import RefusedBy
from streams.contract.refused import Place, rejection_record
from streams.contract.topics import CALLBACKS_REJECTED
from streams.domain.refusal import Refusal
from streams.domain.stage import Output

BODY_MAX_BYTES: Final = 512 * 1024
"""
A longer body is cut: a record must fit in Kafka's megabyte, or producing it would stop the pipeline for good.

Callbacks are shorter unless `INGEST_MAX_BODY_BYTES` is raised, so this concerns mostly a raw record that is no
envelope; the rejection's place says where the whole record lies.
"""

_JSON_MAX_BYTES: Final = BODY_MAX_BYTES * 4 // 3
"""A body kept as text may take no more space than as base64."""


def kept_of(posted: bytes | None, callback: bytes, withholding: Withholding) -> Kept:
    """
    Return as much of a refused callback as may be kept: of a repaired one the bytes as they were `posted`.

    These can be kept only whole, so the repaired ones are in their place when anything may have to be withheld.
    """
    if posted is None:
        return kept_body(callback, withholding)
    if withholding.is_any or may_hold_code(posted):
        return Kept(kept_body(callback, withholding).body, redacted=True)
    return Kept(posted, redacted=False)


def rejection(refusal: Refusal, kept: Kept, received: int, place: Place | None) -> Output:
    """
    Return the record of `routee.callbacks.rejected` for one refusal.

    `received` is in ms; `place` is (partition, offset, index) in the raw topic, None for a body from elsewhere.
    """
    detail, body = refusal.detail, kept.body
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
        redacted=kept.redacted,
    )
    return Output(CALLBACKS_REJECTED, None, orjson.dumps(record), headers(CALLBACKS_REJECTED))
