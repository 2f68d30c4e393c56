"""
Refused callbacks, and the fate of each in a redrive. Pure.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Container, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from ingest.callback.body import Rejected, examine
from ingest.callback.envelope import RECORD_BYTES
from ingest.callback.redaction import Redactor
from ingest.callback.repair import repair
from streams.contract.erasures import Erasures, recipients_in
from streams.contract.records import RefusedBy, Source

MOST_ATTEMPTS: Final = 3
"""A callback that was refused again after so many redrives is left alone."""

_NO_SECRETS: Final = Redactor(())
"""Bodies on the topics have none: ingest masked them."""

Rejection = tuple[int, int]
"""[partition, offset] of a record of `callbacks.rejected`."""
Place = tuple[int, int]
"""[partition, offset] of a record of `callbacks.raw`."""


class Fate(StrEnum):
    """The end of a refused callback; the values are the words for people."""

    REDRIVE = "to redrive"
    DONE = "redriven before"
    TRIED = f"tried {MOST_ATTEMPTS} times, left alone"
    GONE = "not redrivable: the bytes are gone"
    ERASED = "erased, left alone"
    NO_CALLBACK = "no callback, to be corrected first"


class Refused(NamedTuple):
    """A record of `callbacks.rejected`."""

    rejection: Rejection
    reason: str
    first_received_at_ms: int
    """When the callback was posted, also of one that was redriven since."""
    place: tuple[int, int, int] | None
    """[partition, offset, index] of the callback in `callbacks.raw`; None when ingest refused it."""
    body: bytes | None
    """As the record has it; None when that is not all of it, or not it."""
    attempts: int = 0
    """How often it was redriven."""

    @property
    def record(self) -> Place | None:
        """Return the record of `callbacks.raw` that has it."""
        return None if self.place is None else self.place[:2]


class Raw(NamedTuple):
    """A record of `callbacks.raw`, as far as a redrive needs it."""

    bodies: list[bytes]
    erased: frozenset[int]
    """The places of callbacks whose data an erasure took out of an archive."""
    attempt: int
    rejected: tuple[Rejection, ...]
    """The rejections of the callbacks, when they were redriven."""


class Judged(NamedTuple):
    """A refused callback, its bytes, and its fate."""

    refused: Refused
    fate: Fate
    key: str
    body: bytes
    """Empty when they are gone or erased; the bytes of the callback when it is to be redriven."""
    why: str
    """Why it is no callback, else empty."""


class _Envelope(msgspec.Struct):
    callbacks: list[msgspec.Raw]
    source: Any = None
    attempt: Any = None
    rejected: Any = None
    erased: Any = None


_DECODER: Final = msgspec.json.Decoder(_Envelope)


def refused_of(rejection: Rejection, value: bytes | None) -> Refused | None:
    """Return the refused callback of a record, None when it tells none."""
    try:
        record = orjson.loads(value or b"")
        at_ms = round(datetime.fromisoformat(record["received_at"]).timestamp() * 1000)
        by_streams = record["stage"] != RefusedBy.INGEST and record["partition"] is not None
        place = (int(record["partition"]), int(record["offset"]), int(record["index"])) if by_streams else None
        whole = None if by_streams or record.get("redacted") else _body_of(record)
        return Refused(rejection, str(record["reason"]), at_ms, place, whole)
    except (ValueError, KeyError, TypeError):
        return None


def _body_of(record: Mapping[str, Any]) -> bytes | None:
    if record["body"] is not None:
        return str(record["body"]).encode()
    try:
        return b64decode(record["body_base64"] or "", validate=True)
    except Base64Error:
        return None


def raw_of(value: bytes | None) -> Raw | None:
    """Return a record of `callbacks.raw`; one that is no envelope has its own bytes; None without any."""
    if value is None:
        return None
    try:
        envelope = _DECODER.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return Raw([value], frozenset(), 0, ())
    erased = frozenset(envelope.erased) if isinstance(envelope.erased, list) else frozenset[int]()
    if envelope.source != Source.REDRIVE:
        return Raw([bytes(body) for body in envelope.callbacks], erased, 0, ())
    attempt = envelope.attempt if isinstance(envelope.attempt, int) else 1
    rejected = tuple((place[0], place[1]) for place in envelope.rejected or ())
    return Raw([bytes(body) for body in envelope.callbacks], erased, attempt, rejected)


def told_by(refused: Refused, raw: Raw | None) -> tuple[Refused, bytes | None]:
    """Return a callback that streams refused, with its attempts, and its bytes; None when they are gone."""
    if raw is None or refused.place is None or refused.place[2] >= len(raw.bodies):
        return refused, None
    at = refused.place[2]
    body = b"" if at in raw.erased else raw.bodies[at]
    return refused._replace(attempts=raw.attempt), body


def judged(refused: Refused, body: bytes | None, done: Container[Rejection], erasures: Erasures) -> Judged:
    """Return the fate of a callback with these bytes: None when they are gone, empty ones when they were erased."""
    fate = _fate_without_reading(refused, body, done)
    if fate is None and body is not None and _covers(erasures, body, refused.first_received_at_ms):
        fate = Fate.ERASED
    if fate is not None or body is None:
        return Judged(refused, fate or Fate.GONE, "", b"", "")
    read = read_callback(body)
    if isinstance(read, Rejected):
        return Judged(refused, Fate.NO_CALLBACK, "", body, f"{read.reason}: {read.detail}")
    return Judged(refused, Fate.REDRIVE, *read, "")


def _fate_without_reading(refused: Refused, body: bytes | None, done: Container[Rejection]) -> Fate | None:
    if refused.rejection in done:
        return Fate.DONE
    if refused.attempts >= MOST_ATTEMPTS:
        return Fate.TRIED
    if body is None:
        return Fate.GONE
    return Fate.ERASED if not body and refused.place is not None else None


def read_callback(body: bytes) -> tuple[str, bytes] | Rejected:
    """Return the key of a callback and its bytes, repaired where ingest repairs it today; why it is none."""
    examined = examine(body, _NO_SECRETS)
    if not isinstance(examined, Rejected):
        return examined
    repaired = repair(body, examined, _NO_SECRETS, RECORD_BYTES)
    return repaired if isinstance(repaired, Rejected) else (repaired.key, repaired.body)


def _covers(erasures: Erasures, body: bytes, first_received_at_ms: int) -> bool:
    """Tell whether a person in a callback was erased since: then it must not come back."""
    if not erasures:
        return False
    moments = [datetime.fromtimestamp(first_received_at_ms / 1000, UTC), _date(body)]
    return any(erasures.covers(recipient, *moments) for recipient in recipients_in(body))


def _date(body: bytes) -> datetime | None:
    try:
        read = datetime.fromisoformat(orjson.loads(body)["status"]["updatedDate"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)
