"""
Forgetting messages: keeps the state bounded, with a bounded amount of work per piece of an envelope.

Stream time is the latest moment confirmed by two clocks: Routee's, in the date of a status, and ours, in the time of
receipt. So neither a forged date nor an ingest whose clock is days ahead expires all messages. Callbacks without a
date advance it by an hour at most; only a dated one moves it further. Before the first date, a makeshift time runs
by our clock alone: messages expire by it and none is refused. The first date replaces it for good.

Stream time is cut into buckets of ten minutes. Each message is listed in one bucket, at first that of its first
callback. When a bucket is due, each message in it is forgotten, or listed again in the bucket of its last callback
if that is later. So a callback of a known message costs no index work, and a message is handled about twice in its
life. A message that is not final is listed once more and kept PATIENCE times as long: its next status may be days
away, and would be taken for that of a new message.

A bucket is a row [number of full chunks, keys of the open chunk]; each full chunk is a row of its own, so the rows
that change stay small under any traffic. Where stream time leaps further than any message is remembered, the buckets
in between are empty and are skipped as one.
"""

from collections.abc import Iterable
from typing import Final

from streams.domain.dates import NO_DATE
from streams.domain.message import Message, read_message, sms_index_key
from streams.domain.stage import PIECE_BYTES, Rows
from streams.domain.statuses import is_final
from streams.domain.tally import Tally

BUCKET_MS: Final = 600_000
CHUNK_KEYS: Final = 100

PATIENCE: Final = 4
"""A message that is not final is kept for this many times the retention."""

_LEAPS_KEY: Final = b"l:"
"""A list of [first empty bucket, the bucket after them]."""

_UNDATED_STEP_MS: Final = 3_600_000


def advanced(clock: int, date: int, received: int) -> int:
    """
    Return stream time (ms) after a callback with this date (NO_DATE for none), received at this time.

    A date accepted by the reader lies at most minutes after the receipt, and counts in full: a message must not be
    forgotten before its own date is old enough to be refused.
    """
    if date:
        return max(clock, date)
    return max(clock, received) if not clock or received <= clock + _UNDATED_STEP_MS else clock


def stream_time(tally: Tally) -> int:
    """Return stream time in ms, the makeshift time before the first date, 0 before the first record."""
    return tally["clock"] or tally.get("makeshift", 0)


def receive(tally: Tally, received: int) -> None:
    """Advance stream time by a record received at `received` (ms)."""
    if tally["clock"]:
        tally["clock"] = advanced(tally["clock"], NO_DATE, received)
    else:
        tally["makeshift"] = advanced(stream_time(tally), NO_DATE, received)


def bucket_of(moment: int) -> int:
    """Return the bucket of a moment of stream time (ms)."""
    return moment // BUCKET_MS


def is_forgotten(date: int, clock: int, retention: int) -> bool:
    """
    Tell whether a callback of an unknown message is so old that its message may have been known and forgotten.

    This is the other half of forgetting. A message is forgotten when its last callback is older than the retention,
    by the same stream time; so every old callback of it is refused here, and none is counted twice. `clock` is stream
    time including this callback, in ms, 0 before the first date; a callback without a date (NO_DATE) is never refused.
    """
    return bool(date) and date + retention < clock


def is_due(bucket: int, clock: int, retention: int) -> bool:
    """Tell whether messages whose last callback came in this bucket are to be forgotten (times in ms)."""
    return (bucket + 1) * BUCKET_MS + retention <= clock


def list_keys(rows: Rows, bucket: int, keys: Iterable[str]) -> None:
    """List messages (their row keys as text) in a bucket."""
    bucket_key = _bucket_key(bucket)
    row = rows.kept(bucket_key)
    if row is None:
        row = rows.get(bucket_key) or [0, []]
        rows.keep(bucket_key, row)
    opened = row[1]
    opened += keys
    while len(opened) >= CHUNK_KEYS:
        rows.put(_chunk_key(bucket, row[0]), opened[:CHUNK_KEYS])
        del opened[:CHUNK_KEYS]
        row[0] += 1


def pass_date(rows: Rows, tally: Tally, date: int, retention: int) -> None:
    """Advance stream time to the date of a callback (ms) if that is later; the reader must have accepted the date."""
    if date > tally["clock"]:
        _note_leap(rows, stream_time(tally), date, retention)
        tally["clock"] = date


def _note_leap(rows: Rows, before: int, clock: int, retention: int) -> None:
    """Record a leap of stream time from `before` to `clock` (ms) if it leaves empty buckets to skip."""
    # A message is listed in the bucket of its last callback, or at most this much later.
    first = bucket_of(before + PATIENCE * retention) + 1
    if before and first < bucket_of(clock):
        rows.put(_LEAPS_KEY, [*(rows.get(_LEAPS_KEY) or []), [first, bucket_of(clock)]])


def _after(rows: Rows, bucket: int) -> int:
    """Return the next bucket that may hold keys."""
    leaps = rows.get(_LEAPS_KEY) or []
    return next((end for first, end, *_ in leaps if first <= bucket + 1 < end), bucket + 1)


def forget_due(rows: Rows, oldest: int, clock: int, retention: int, budget: int) -> int:
    """
    Handle about `budget` due keys and empty buckets, beginning with `oldest`; return the new oldest bucket.

    The work exceeds the budget by at most one chunk, and always fits in a checkpoint. The next calls handle the rest.
    """
    touched_bytes = 0
    while budget > 0 and touched_bytes <= PIECE_BYTES and is_due(oldest, clock, retention):
        keys = _take_chunk(rows, oldest)
        if keys is None:
            oldest = _after(rows, oldest)
            budget -= 1
            continue
        budget -= len(keys)
        touched_bytes += _forget(rows, oldest, keys, (PATIENCE - 1) * retention // BUCKET_MS)
    return oldest


def _forget(rows: Rows, bucket: int, keys: list[str], patience: int) -> int:
    """Forget messages of a bucket, or list them in a later one; return about how many bytes of rows were touched."""
    again: dict[int, list[str]] = {}
    touched_bytes = 0
    for at, key in enumerate(keys):
        raw = rows.raw(key.encode())
        if raw is None:
            continue
        message, _ = read_message(raw)
        last = message.touched if is_final(message.status) else message.touched + patience
        if last > bucket:
            again.setdefault(last, []).append(key)
            touched_bytes += CHUNK_KEYS * len(key)  # the open chunk of that bucket
        else:
            _delete(rows, key.encode(), message)
        touched_bytes += len(raw)
        if touched_bytes > PIECE_BYTES:
            again[bucket] = keys[at + 1 :]
            break
    for later, survivors in again.items():
        list_keys(rows, later, survivors)
    return touched_bytes


def _delete(rows: Rows, key: bytes, message: Message) -> None:
    rows.delete(key)
    for sms in message.parts:
        index_key = sms_index_key(message.message_id, sms.key)
        # Another message may have an SMS of the same key: then the index row names that message and stays.
        if index_key is not None and rows.get(index_key) == message.message_id:
            rows.delete(index_key)


def _take_chunk(rows: Rows, bucket: int) -> list[str] | None:
    """Take the newest chunk out of a bucket, the open one first; None when the bucket has no row (any more)."""
    row = rows.get(_bucket_key(bucket))
    if row is None:
        return None
    chunks, opened = row[:2]
    if chunks == 0:
        rows.delete(_bucket_key(bucket))
        return list(opened)
    if opened:
        row[1] = []
        rows.put(_bucket_key(bucket), row)
        return list(opened)
    key = _chunk_key(bucket, chunks - 1)
    keys = rows.get(key)
    rows.delete(key)
    row[0] -= 1
    rows.put(_bucket_key(bucket), row)
    return list(keys)


def _bucket_key(bucket: int) -> bytes:
    return b"x:%d" % bucket


def _chunk_key(bucket: int, chunk: int) -> bytes:
    return b"x:%d:%d" % (bucket, chunk)
