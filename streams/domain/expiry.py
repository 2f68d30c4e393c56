"""
Forgetting messages: keeps the state bounded, with a bounded amount of work per piece of an envelope.

Stream time is the latest moment that two clocks agree to have passed: Routee's, in the date of a status, and ours, in
the time of receipt. The earlier of the two counts. So neither a forged date nor an ingest whose clock is days ahead
expires all messages, and an ingest whose clock is behind does not stop time at the others. Callbacks without a date
advance it by an hour at most; only a dated one moves it further. Before the first date, a makeshift time runs by our
clock alone: messages expire by it and none is refused. The first date replaces it for good.

Stream time is cut into buckets of ten minutes. Each message is listed in one bucket, at first that of its first
callback. When a bucket is due, each message in it is forgotten, or listed again in the bucket of its last callback
if that is later. So a callback of a known message costs no index work, and a message is handled about twice in its
life. A message that is not final is listed once more and kept PATIENCE times as long: its next status may be days
away, and would be taken for that of a new message.

A date ahead of stream time, by the retention at most, counts as the moment of its callback: a message must not be
forgotten before its own dates are old enough to be refused. A date further ahead keeps no row: it is forged, or stream
time lies far back because every clock of ours did. For the second case a due message is looked at once more: it stays
when one of its dates lies within the retention of stream time as it is then.

Where stream time leaps further than any message is remembered, the buckets
in between are empty and are skipped as one.
"""

from typing import Final

from streams.contract.dates import NO_DATE
from streams.domain.listing import CHUNK_KEYS, Listing
from streams.domain.message import Message, read_message, sms_index_key
from streams.domain.policy import HOUR_MS, LEAST_RETENTION_HOURS
from streams.domain.stage import PIECE_BYTES, Rows
from streams.domain.statuses import is_final
from streams.domain.tally import Tally

BUCKET_MS: Final = 600_000

_LISTING: Final = Listing(b"x:")

list_keys: Final = _LISTING.add
"""Lists messages (their row keys as text) in a bucket."""

PATIENCE: Final = 4
"""A message that is not final is kept for this many times the retention."""

_LEAPS_KEY: Final = b"l:"
"""A list of [first empty bucket, the bucket after them]."""

_UNDATED_STEP_MS: Final = HOUR_MS


def advanced(clock: int, received: int) -> int:
    """Return stream time (ms) after a record received at this time, as far as our clock alone may move it."""
    return max(clock, received) if not clock or received <= clock + _UNDATED_STEP_MS else clock


def stream_time(tally: Tally) -> int:
    """Return stream time in ms, the makeshift time before the first date, 0 before the first record."""
    return tally["clock"] or tally.get("makeshift", 0)


def receive(tally: Tally, received: int) -> None:
    """Advance stream time by a record received at `received` (ms)."""
    if tally["clock"]:
        tally["clock"] = advanced(tally["clock"], received)
    else:
        tally["makeshift"] = advanced(stream_time(tally), received)


def bucket_of(moment: int) -> int:
    """Return the bucket of a moment of stream time (ms)."""
    return moment // BUCKET_MS


def is_forgotten(date: int, forgotten: int) -> bool:
    """
    Tell whether a callback of an unknown message is so old that its message may have been known and forgotten.

    This is the other half of forgetting. A message is forgotten when its last callback is older than the retention,
    by the same stream time; so every old callback of it is refused here, and none is counted twice. `forgotten` is
    that of the partition, this callback included; a callback without a date (NO_DATE) is never refused.
    """
    return date != NO_DATE and date < forgotten


def forgotten_before(tally: Tally) -> int:
    """
    Return the moment (ms) before which messages of the partition may have been forgotten, 0 before the first date.

    It is stream time less the retention, at its highest: after the retention was raised it stays, until stream time
    has come as far. An older version notes nothing: the bucket that it left off at tells how far it has come, and part
    of that bucket may be forgotten, too. Nothing is yet when even the least retention does not reach that bucket.
    """
    noted = tally.get("forgotten", 0)
    if tally.get("forgotten_at", -1) == tally["accepted"]:
        return noted
    left_off, latest = tally["oldest"], tally["clock"] - LEAST_RETENTION_HOURS * HOUR_MS
    return noted if left_off * BUCKET_MS > latest else max(noted, min((left_off + 1) * BUCKET_MS, latest))


def silent_before(tally: Tally, retention: int, kept: int) -> int:
    """
    Return the moment (ms) before which counts were touched last that are over, 0 before the first date.

    Counts must outlive their messages, which are forgotten some time after stream time has come by: so the first bucket
    that may still have messages tells the time. `kept` is how long counts are kept.
    """
    clock = tally["clock"]
    come_by = min(tally["oldest"], bucket_of(clock)) * BUCKET_MS
    return max(min(come_by + retention, clock) - kept, 0) if clock else 0


def note_forgotten(tally: Tally, retention: int) -> None:
    """Let `forgotten` rise to the moment (ms) that stream time and the retention give; 0 before the first date."""
    tally["forgotten"] = max(tally["forgotten"], tally["clock"] - retention, 0)


def is_touched_ahead(touched: int, bucket: int, retention: int) -> bool:
    """Tell whether a message was touched in a later bucket than the present one, by a date ahead of stream time."""
    return bucket < touched <= bucket + retention // BUCKET_MS


def is_due(bucket: int, clock: int, retention: int) -> bool:
    """Tell whether messages whose last callback came in this bucket are to be forgotten (times in ms)."""
    return (bucket + 1) * BUCKET_MS + retention <= clock


def pass_moment(rows: Rows, tally: Tally, moment: int, retention: int) -> None:
    """Advance stream time to a moment (ms) that both clocks agree to have passed, if that is later."""
    if moment > tally["clock"]:
        before = stream_time(tally)
        # A message is listed at most this late: a date may lie the retention ahead, patience lasts thrice as long.
        latest = max([bucket_of(before + PATIENCE * retention), *tally.get("ahead", [])])
        if before and latest + 1 < bucket_of(moment):
            _note_leap(rows, latest + 1, bucket_of(moment))
        if before > moment:
            tally["ahead"] = [tally["oldest"] or bucket_of(before), bucket_of(before)]
        tally["clock"] = moment
        note_forgotten(tally, retention)


def bring_back(rows: Rows, tally: Tally, retention: int, budget: int) -> int:
    """
    List messages of a makeshift time that ran far ahead where stream time comes by; return the rest of `budget`.

    Stream time would reach their own buckets in years if the clock that made them was years ahead.
    """
    later = bucket_of(stream_time(tally) + _waiting(retention))
    bucket, last = tally["ahead"]
    bucket = max(bucket, later + 1)
    while budget > 0 and bucket <= last:
        keys = _LISTING.take_chunk(rows, bucket)
        if keys is None:
            bucket += 1
        else:
            _LISTING.add(rows, later, keys)
        budget -= len(keys or [None])
    tally["ahead"] = [bucket, last]
    if bucket > last:
        del tally["ahead"]
    return budget


def _note_leap(rows: Rows, first: int, end: int) -> None:
    """Record that the buckets from `first` to before `end` are empty, and to be skipped."""
    rows.put(_LEAPS_KEY, [*(rows.get(_LEAPS_KEY) or []), [first, end]])


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
        keys = _LISTING.take_chunk(rows, oldest)
        if keys is None:
            oldest = _after(rows, oldest)
            budget -= 1
            continue
        budget -= len(keys)
        touched_bytes += _forget(rows, oldest, keys, clock, retention)
    return oldest


def _forget(rows: Rows, bucket: int, keys: list[str], clock: int, retention: int) -> int:
    """Forget messages of a bucket, or list them in a later one; return about how many bytes of rows were touched."""
    again: dict[int, list[str]] = {}
    touched_bytes = 0
    for at, key in enumerate(keys):
        raw = rows.raw(key.encode())
        if raw is None:
            continue
        message, _ = read_message(raw)
        last = _last_bucket(message, bucket, clock, retention)
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
        _LISTING.add(rows, later, survivors)
    return touched_bytes


def _last_bucket(message: Message, due: int, clock: int, retention: int) -> int:
    """Return the bucket until which a message listed in the bucket `due` is remembered; `due` or earlier: no longer."""
    last = message.touched if is_final(message.status) else message.touched + bucket_of(_waiting(retention))
    if message.touched > bucket_of(clock + retention):
        last = due  # A makeshift time far ahead touched it, and `bring_back` had patience.
    if last <= due:
        date = max(sms.latest_date for sms in message.parts)
        if abs(clock - date) <= retention:
            return bucket_of(max(clock, date))
    return last


def _waiting(retention: int) -> int:
    """Return for how long a message that is not final is listed once more, in ms."""
    return (PATIENCE - 1) * retention


def _delete(rows: Rows, key: bytes, message: Message) -> None:
    rows.delete(key)
    for sms in message.parts:
        index_key = sms_index_key(message.message_id, sms.key)
        # Another message may have an SMS of the same key: then the index row names that message and stays.
        if index_key is not None and rows.get(index_key) == message.message_id:
            rows.delete(index_key)
