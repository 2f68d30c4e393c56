"""
The records for Kafka, as bytes: envelopes of callbacks, and rejections. Pure.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from streams.contract.codec import encode, format_time_ms
from streams.contract.personal import CODES_ONLY, kept_body
from streams.contract.records import Reason, RefusedBy, Source
from streams.contract.refused import rejection_record

RECORD_BYTES: Final = 900_000
"""Longest record. With the bytes that Kafka's batch adds, it stays under the broker's default limit of 1,048,588."""

_INDEX_BYTES: Final = 20

# The other fields of a rejection take some hundred bytes.
_TEXT_BYTES: Final = RECORD_BYTES - 2_000


class RawRecord(NamedTuple):
    """Key and value of one record that ingest writes to Kafka."""

    key: bytes | None
    value: bytes


_NO_NOTES: Final[Mapping[int, bytes]] = MappingProxyType({})


def seal(
    callbacks: Sequence[bytes],
    keys: Sequence[str],
    received_at_ms: int,
    notes: Mapping[int, bytes] = _NO_NOTES,
    source: Source = Source.CALLBACK,
) -> RawRecord:
    """
    Return callbacks of one partition as one envelope, each byte for byte, in the given order.

    Each must be one whole JSON object (`body.examine`). An envelope of one callback has that callback's key. `notes`
    are those of repaired callbacks (`repair.Repaired`), by their place. Only a source other than callbacks is named.
    """
    time = format_time_ms(received_at_ms).encode()
    repaired = b',"repaired":[%s]' % b",".join(map(_placed, notes, notes.values())) if notes else b""
    named = b"" if source is Source.CALLBACK else b',"source":"%s"' % source.encode()
    # Joined with the first and the last one, so that the others are copied once.
    parts = [*callbacks]
    parts[0] = b'{"received_at":"%s","callbacks":[%s' % (time, parts[0])
    parts[-1] += b"]%s%s}" % (repaired, named)
    return RawRecord(keys[0].encode() if len(keys) == 1 else None, b",".join(parts))


class Redrive(NamedTuple):
    """The fields that the envelope of redriven callbacks has besides."""

    attempt: int
    """How often they were redriven, this time included."""
    first_received_at_ms: int
    """When they were posted."""
    rejected: Sequence[tuple[int, int]]
    """[partition, offset] in `callbacks.rejected` of the rejection of each, by which a later run knows them."""


def seal_again(callbacks: Sequence[bytes], keys: Sequence[str], received_at_ms: int, redrive: Redrive) -> RawRecord:
    """Return redriven callbacks as one envelope, as `seal` does."""
    record = seal(callbacks, keys, received_at_ms, source=Source.REDRIVE)
    first = format_time_ms(redrive.first_received_at_ms).encode()
    places = b",".join(b"[%d,%d]" % place for place in redrive.rejected)
    told = b',"attempt":%d,"first_received_at":"%s","rejected":[%s]}' % (redrive.attempt, first, places)
    return record._replace(value=record.value[:-1] + told)


def _placed(index: int, note: bytes) -> bytes:
    return b'{"index":%d,%s' % (index, note[1:])


def fitting(callbacks: Sequence[bytes], limit: int = RECORD_BYTES, notes: Mapping[int, bytes] = _NO_NOTES) -> int:
    """Return how many of the callbacks, taken from the front, fit into one record with their notes; at least one."""
    size = 0
    for count, callback in enumerate(callbacks):
        size += len(callback) + 1 + noted_bytes(notes.get(count))
        if size > limit and count:
            return count
    return len(callbacks)


def noted_bytes(note: bytes | None) -> int:
    """Return how many bytes a note takes in an envelope, at most."""
    return len(note) + _INDEX_BYTES if note else 0


def reject(body: bytes, reason: Reason, detail: str, received_at_ms: int) -> bytes:
    """
    Return the value of a rejection.

    The body is kept as text when it is UTF-8, else as base64; also as base64 when JSON's escapes would make the
    text outgrow a record (a NUL takes six bytes). The text of a one-time code is not kept.
    """
    kept = kept_body(body, CODES_ONLY)
    record = rejection_record(
        kept.body,
        by=RefusedBy.INGEST,
        reason=reason,
        detail=detail,
        received_at_ms=received_at_ms,
        most_json_bytes=_TEXT_BYTES,
        redacted=kept.redacted,
    )
    return encode(record)
