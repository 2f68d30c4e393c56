"""
Forgetting messages: bounded state, with a bounded piece of work per envelope.

Stream time is cut into buckets of ten minutes. Each message is listed in one bucket: first that of its first
callback. When a bucket is due, each message in it is forgotten, or listed again in the bucket of its last callback
if that is a later one. So a callback of a known message costs no index work, and a message is handled about twice
in its life. A message whose row is still there though its time is up counts as forgotten.

A bucket is a row [number of full chunks, keys of the open chunk]; each full chunk is a row of its own, so that the
rows that change stay small whatever the traffic.
"""

from collections.abc import Iterable
from typing import Final

from streams.domain.stage import Rows

BUCKET_MS: Final = 600_000
CHUNK_KEYS: Final = 100


def bucket_of(moment: int) -> int:
    """Return the bucket of a moment of stream time (ms)."""
    return moment // BUCKET_MS


def is_due(bucket: int, clock: int, retention: int) -> bool:
    """Tell whether everything whose last callback came in this bucket is to be forgotten (all in ms)."""
    return (bucket + 1) * BUCKET_MS + retention <= clock


def list_keys(rows: Rows, bucket: int, keys: Iterable[str]) -> None:
    """List messages (their row keys as text) in a bucket."""
    chunks, opened = rows.get(_bucket_key(bucket)) or (0, [])
    opened = [*opened, *keys]
    while len(opened) >= CHUNK_KEYS:
        rows.put(_chunk_key(bucket, chunks), opened[:CHUNK_KEYS])
        opened = opened[CHUNK_KEYS:]
        chunks += 1
    rows.put(_bucket_key(bucket), [chunks, opened])


def forget_due(rows: Rows, oldest: int, clock: int, retention: int, budget: int) -> int:
    """
    Handle about `budget` keys and empty buckets that are due, beginning with `oldest`; return the new oldest.

    At most one chunk more is handled than the budget says. What is left is handled by the next calls.
    """
    while budget > 0 and is_due(oldest, clock, retention):
        keys = _take_chunk(rows, oldest)
        if keys is None:
            oldest += 1
            budget -= 1
            continue
        budget -= len(keys)
        _forget(rows, oldest, keys)
    return oldest


def _forget(rows: Rows, bucket: int, keys: list[str]) -> None:
    again: dict[int, list[str]] = {}
    for key in keys:
        row = rows.get(key.encode())
        if row is None:
            continue
        touched = row[1]
        if touched > bucket:
            again.setdefault(touched, []).append(key)
        else:
            rows.delete(key.encode())
    for later, survivors in again.items():
        list_keys(rows, later, survivors)


def _take_chunk(rows: Rows, bucket: int) -> list[str] | None:
    """Take the newest chunk out of a bucket, the open one first; None when the bucket is empty (and gone)."""
    row = rows.get(_bucket_key(bucket))
    if row is None:
        return None
    chunks, opened = row
    if chunks == 0:
        rows.delete(_bucket_key(bucket))
        return list(opened)
    if opened:
        rows.put(_bucket_key(bucket), [chunks, []])
        return list(opened)
    key = _chunk_key(bucket, chunks - 1)
    keys = rows.get(key)
    rows.delete(key)
    rows.put(_bucket_key(bucket), [chunks - 1, []])
    return list(keys)


def _bucket_key(bucket: int) -> bytes:
    return b"x:%d" % bucket


def _chunk_key(bucket: int, chunk: int) -> bytes:
    return b"x:%d:%d" % (bucket, chunk)
