"""
The callbacks in a record of `callbacks.raw`, found and blanked one by one. Pure.

A record is an envelope of callbacks about several people. An erasure takes numbers and texts out of the callbacks that
it covers; the others stay byte for byte. The envelope then names the covered ones in `erased`, by their places. Of
bytes that are no envelope nothing can be taken out: one that is covered loses its whole value.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from sinks.source import Record
from streams.contract.codec import format_time, format_time_ms
from streams.contract.erasures import GAPS, Erasures, recipients_in, uncovered
from streams.contract.personal import ALL_PERSONAL, kept_body

ERASED: Final = "erased"
"""The field of an envelope with the places of the callbacks that have lost their personal data."""

_MARK: Final = b'"erased":'
_ORIGINAL: Final = "original_base64"
_CALLBACKS, _REPAIRED, _RECEIVED, _FIRST_RECEIVED = "callbacks", "repaired", "received_at", "first_received_at"
# Seven digits or more; and the same with gaps, of which `%20` and the like in a query are some.
_DIGITS: Final = re.compile(r"[0-9]{7,20}")
_NUMBER: Final = re.compile(rf"\d(?:(?:[{GAPS}]|%2[0-9a-f]){{0,5}}\d){{6,}}", re.IGNORECASE)
_GAP: Final = re.compile(r"(?:%2[0-9a-f]|\D)+", re.IGNORECASE)
_FEWEST_DIGITS: Final = 7
_MOST_DIGITS: Final = 17
"""Of a number, with `00` before it."""
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_MOST_LATENCY: Final = timedelta(days=30)
# In bytes: every date of _DATE has such a part, behind its year.
_BEHIND_YEAR: Final = re.compile(rb"-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(Z?)")
_YEAR_DIGITS: Final = 4
_SECONDS_END: Final = 19
_LATENCY: Final = re.compile(rb'"latency"([^,}\]]*)')
_DAY: Final = timedelta(days=1)
# A day after the first that Python knows: no zone leads before it.
_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC)
_Fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_Bodies: Final = msgspec.json.Decoder(list[msgspec.Raw])
_Notes: Final = msgspec.json.Decoder(list[dict[str, Any]])


class Callback(NamedTuple):
    """One callback of a record, and what tells whose it is and when."""

    place: int | None
    """Its place in the envelope; None for bytes that are no envelope."""
    received_at: datetime | None
    body: bytes
    original: bytes
    """The bytes as they were posted, where ingest repaired them; else empty."""

    def recipients(self) -> Iterator[str]:
        """Yield each text of it that may be a number, however it is written."""
        for part in filter(None, (self.body, self.original)):
            yield from recipients_in(part)
            for text in _texts(part):
                yield from _DIGITS.findall(text)
                yield from _with_gaps(text)

    def moments(self) -> list[datetime]:
        """Return the receipt, each date in it, and when it was sent by its latency."""
        text = self.body.decode(errors="replace")
        dates = [one for found in _DATE.findall(text) if (one := _moment(found)) is not None]
        known = [*([self.received_at] if self.received_at else []), *dates]
        latency = _latency(self.body)
        return known if latency is None else [*known, *(one - latency for one in known if one > _FIRST + latency)]


class _Opened(NamedTuple):
    fields: dict[str, msgspec.Raw]
    callbacks: list[Callback]
    notes: list[dict[str, Any]]


def callbacks_of(value: bytes | None) -> list[Callback]:
    """Return the callbacks of a record; one without a place for bytes that are no envelope, none without a value."""
    if not value:
        return []
    opened = _open(value)
    return [Callback(None, None, value, b"")] if opened is None else opened.callbacks


def row_of(record: Record, callback: Callback) -> dict[str, Any]:
    """Return one callback of a record as a row, for people; `callback_in` reads it again."""
    text, base64 = as_text(callback.body)
    return {
        "topic_partition": record.partition,
        "topic_offset": record.offset,
        "timestamp": format_time_ms(record.timestamp),
        "index": callback.place,
        "received_at": callback.received_at and format_time(callback.received_at),
        "body": text,
        "body_base64": base64,
        _ORIGINAL: b64encode(callback.original).decode(),
    }


def callback_in(row: Mapping[str, Any]) -> Callback | None:
    """Return the callback that a row of `row_of` has, None for any other row."""
    if _ORIGINAL not in row:
        return None
    received = row["received_at"] and _moment(row["received_at"])
    return Callback(
        row["index"], received, from_text(row["body"], row["body_base64"]) or b"", b64decode(row[_ORIGINAL])
    )


def as_text(value: bytes | None) -> tuple[str | None, str | None]:
    """Return bytes as (text, None), or as (None, base64) when they are no UTF-8; (None, None) without bytes."""
    try:
        return (None, None) if value is None else (value.decode(), None)
    except UnicodeDecodeError:
        return None, b64encode(value or b"").decode()


def from_text(text: str | None, base64: str | None) -> bytes | None:
    """Return the bytes that `as_text` was given."""
    if text is not None:
        return text.encode()
    return None if base64 is None else b64decode(base64)


def is_erased(value: bytes | None) -> bool:
    """Tell whether a record may have lost data to an erasure."""
    return value is None or (_MARK in value and erased_of(value) > 0)


def erased_of(value: bytes | None) -> int:
    """Return how many callbacks of a record have lost their personal data."""
    if value is None or _MARK not in value:
        return 0
    opened = _open(value)
    return 0 if opened is None else len(_places(opened))


def covers(erasures: Erasures, callback: Callback, written: datetime) -> bool:
    """Tell whether an erasure covers a callback; bytes that tell no moment have that of their record."""
    if erasures.latest is None:
        return False
    moments = callback.moments() or [written]
    # Most callbacks are later than all erasures: to look for their recipients would take the longest.
    if min(moments) >= erasures.latest:
        return False
    return any(erasures.covers(recipient, *moments) for recipient in callback.recipients())


def without_erased(value: bytes | None, written: datetime, erasures: Erasures) -> tuple[bytes | None, int]:
    """Return a record's value without the data of erased people, and how many of its callbacks had some."""
    if not value or erasures.latest is None or _is_later(value, written, erasures.latest):
        return value, 0
    opened = _open(value)
    if opened is None:
        covered = covers(erasures, Callback(None, None, value, b""), written)
        return (None, 1) if covered else (value, 0)
    found = [one for one in opened.callbacks if covers(erasures, one, written)]
    return (_closed(opened, found, erasures, written), len(found)) if found else (value, 0)


def _is_later(value: bytes, written: datetime, latest: datetime) -> bool:
    """
    Tell that all moments of all callbacks of a record are later; False when one look over its bytes cannot tell.

    Of nearly every record they are, and that look takes a ninth of the time of opening it.
    """
    found = [*_BEHIND_YEAR.finditer(value)]
    # With a character in its place the name of the latency may be written in another way.
    if not found or (b"\\" in value and b"\\u00" in value):
        return False
    dates = (value[max(0, one.start() - _YEAR_DIGITS) : one.start() + _SECONDS_END - _YEAR_DIGITS] for one in found)
    first = _moment(min(one.replace(b" ", b"T") for one in dates).decode(errors="replace"))
    try:
        latency = timedelta(seconds=max([0.0, *(float(one.lstrip(b": ")) for one in _LATENCY.findall(value))]))
    except (ValueError, OverflowError):
        return False
    if first is None or first < _FIRST + _MOST_LATENCY + _DAY:
        return False
    # Zones lead to a day more or less.
    margin = timedelta() if all(one[1] for one in found) else _DAY
    return min(first - margin, written) - min(latency, _MOST_LATENCY) >= latest


def _open(value: bytes) -> _Opened | None:
    try:
        fields = _Fields.decode(value)
        bodies = _Bodies.decode(fields[_CALLBACKS])
        # Redriven callbacks were received when they were posted: an erasure since then covers them.
        received = _moment(msgspec.json.decode(fields.get(_FIRST_RECEIVED, fields[_RECEIVED]), type=str))
        notes = _Notes.decode(fields[_REPAIRED]) if _REPAIRED in fields else []
        originals = {note["index"]: _original(note) for note in notes}
    except (msgspec.MsgspecError, KeyError, TypeError, RecursionError):
        return None
    callbacks = [Callback(at, received, bytes(body), originals.get(at, b"")) for at, body in enumerate(bodies)]
    return _Opened(fields, callbacks, notes)


def _closed(opened: _Opened, covered: list[Callback], erasures: Erasures, written: datetime) -> bytes:
    """Return the envelope with the covered callbacks blanked; every other byte of a callback is the same."""
    bodies = [one.body for one in opened.callbacks]
    places = {one.place for one in covered if one.place is not None}
    for place in places:
        bodies[place] = _blanked(opened.callbacks[place], erasures, written)
    notes = [{**note, "original": None} if note["index"] in places else note for note in opened.notes]
    changed = {
        _CALLBACKS: b"[%b]" % b",".join(bodies),
        **({_REPAIRED: orjson.dumps(notes)} if _REPAIRED in opened.fields else {}),
        ERASED: orjson.dumps(sorted(places | _places(opened))),
    }
    fields = {**opened.fields, **changed}
    return b"{%b}" % b",".join(b"%b:%b" % (orjson.dumps(name), bytes(content)) for name, content in fields.items())


def _places(opened: _Opened) -> set[int]:
    """Return the places that the envelope names as erased."""
    try:
        return set(msgspec.json.decode(opened.fields.get(ERASED, b"[]"), type=list[int]))
    except msgspec.MsgspecError:
        return set()


def _blanked(callback: Callback, erasures: Erasures, written: datetime) -> bytes:
    """Return a callback without numbers, texts and label; an empty object when a number stands where none may."""
    kept = kept_body(callback.body, ALL_PERSONAL).body or b"{}"
    document = orjson.loads(kept)
    if isinstance(document, dict) and "label" in document:
        kept = orjson.dumps({**document, "label": None})
    again = callback._replace(body=kept, original=b"")
    return b"{}" if covers(erasures, again, written) else kept


def _texts(body: bytes) -> Iterator[str]:
    """Yield the bytes as text, and again with JSON's escapes and percent codes resolved when there are some."""
    text = body.decode(errors="replace")
    yield text
    if (bare := uncovered(text)) != text:
        yield bare


def _with_gaps(text: str) -> Iterator[str]:
    """Yield the digits of each number that is written in groups; other groups may stand before and behind it."""
    for found in _NUMBER.findall(text):
        groups = _GAP.split(found)
        for first in range(len(groups)):
            digits = ""
            for group in groups[first:]:
                digits += group
                if len(digits) > _MOST_DIGITS:
                    break
                if len(digits) >= _FEWEST_DIGITS:
                    yield digits


def _original(note: dict[str, Any]) -> bytes:
    try:
        return b64decode(note.get("original") or "")
    except (Base64Error, ValueError, TypeError):
        return b""


def _latency(body: bytes) -> timedelta | None:
    """Return the seconds from sending to the handset, None when the callback tells none."""
    try:
        told = orjson.loads(body).get("latency")
        latency = timedelta(seconds=float(told))
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError, OverflowError):
        return None
    return latency if timedelta() < latency <= _MOST_LATENCY else None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
