"""
Refused callbacks, and the fate of each in a redrive. Pure.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Collection, Container, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import orjson

from ingest.callback.body import Rejected, examine
from ingest.callback.envelope import RECORD_BYTES
from ingest.callback.redaction import Redactor
from ingest.callback.repair import repair
from ingest.callback.unwrapping import unwrap
from streams.contract.erasures import Erasures, recipients_in
from streams.contract.personal import CODES_ONLY, kept_body
from streams.contract.records import RefusedBy, Source

MOST_ATTEMPTS: Final = 3
"""A callback that was refused again after so many redrives is left alone."""

_PLACES_BYTES: Final = 20_000
"""Room for the places of the rejections, and the other fields of an envelope."""

MOST_BYTES: Final = RECORD_BYTES - _PLACES_BYTES
"""The bytes of callbacks in one envelope, at most."""

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
    WHOLE = "not redrivable: refused together, as one record of several callbacks"
    PULLED = "pulled, left alone: the backfill asks for them again"
    CODE = "not redrivable: one-time codes"
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
    is_whole: bool = False
    """Streams refused its record as a whole, and that has several callbacks."""
    is_pulled: bool = False
    """The backfill stored it."""

    @property
    def record(self) -> Place | None:
        """Return the record of `callbacks.raw` that has it."""
        return None if self.place is None else self.place[:2]


class Raw(NamedTuple):
    """A record of `callbacks.raw`, as far as a redrive needs it."""

    bodies: Mapping[int, bytes]
    """The asked callbacks, by their places."""
    erased: frozenset[int]
    """The places of callbacks whose data an erasure took out of an archive."""
    attempt: int
    rejected: tuple[Rejection, ...]
    """The rejections of the callbacks, when they were redriven."""
    is_pulled: bool = False
    """The backfill stored it."""
    has_several: bool = False
    """It has several callbacks, as far as it can be read."""


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
_Attempt = Annotated[int, msgspec.Meta(ge=1)]
_CALLBACKS: Final = b'"callbacks"'
_OF_A_RECORD: Final = "envelope: "
"""The detail of a rejection begins so when streams refused a whole record of `callbacks.raw`."""


def refused_of(rejection: Rejection, value: bytes | None) -> Refused | None:
    """Return the refused callback of a record, None when it tells none."""
    try:
        record = orjson.loads(value or b"")
        at_ms = round(datetime.fromisoformat(record["received_at"]).astimezone(UTC).timestamp() * 1000)
        by_streams = record["stage"] != RefusedBy.INGEST and record["partition"] is not None
        place = (int(record["partition"]), int(record["offset"]), int(record["index"])) if by_streams else None
        whole = None if by_streams or record.get("redacted") else _body_of(record)
        is_whole = by_streams and str(record.get("detail")).startswith(_OF_A_RECORD)
        return Refused(rejection, str(record["reason"]), at_ms, place, whole, is_whole=is_whole)
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _body_of(record: Mapping[str, Any]) -> bytes | None:
    if record["body"] is not None:
        return str(record["body"]).encode()
    try:
        return b64decode(record["body_base64"] or "", validate=True)
    except Base64Error:
        return None


def raw_of(value: bytes | None, places: Container[int] | None = None) -> Raw | None:
    """
    Return a record of `callbacks.raw` with the callbacks at these places (all); None without any bytes.

    One that is no envelope has its own bytes.
    """
    if value is None:
        return None
    try:
        envelope = _DECODER.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return Raw({0: value}, frozenset(), 0, (), has_several=_CALLBACKS in value)
    callbacks = envelope.callbacks
    bodies = {at: bytes(body) for at, body in enumerate(callbacks) if places is None or at in places}
    is_again = envelope.source == Source.REDRIVE
    return Raw(
        bodies,
        _read(envelope.erased, frozenset[int], frozenset()),
        _read(envelope.attempt, _Attempt, 1) if is_again else 0,
        _read(envelope.rejected, tuple[Rejection, ...], ()) if is_again else (),
        is_pulled=envelope.source == Source.PULL,
        has_several=len(callbacks) > 1,
    )


def _read(told: Any, kind: Any, otherwise: Any) -> Any:  # noqa: ANN401 - of any field
    """Return the value of a field; `otherwise` when it is of another form, as foreign records may have it."""
    try:
        return msgspec.convert(told, kind)
    except (msgspec.ValidationError, RecursionError):
        return otherwise


def told_by(refused: Refused, raw: Raw | None) -> tuple[Refused, bytes | None]:
    """Return a callback that streams refused, with what its record tells, and its bytes; None when they are gone."""
    if raw is None or refused.place is None:
        return refused, None
    at = refused.place[2]
    is_whole = refused.is_whole and raw.has_several
    told = refused._replace(attempts=raw.attempt, is_whole=is_whole, is_pulled=raw.is_pulled)
    return told, b"" if at in raw.erased else raw.bodies.get(at)


def judged(refused: Refused, body: bytes | None, done: Container[Rejection], erasures: Erasures) -> Judged:
    """Return the fate of a callback with these bytes: None when they are gone, empty ones when they were erased."""
    fate = _fate_without_reading(refused, body, done)
    if fate is not None or body is None:
        return Judged(refused, fate or Fate.GONE, "", b"", "")
    read = read_callback(body)
    if fate := _personal_fate(_forms(body, read), erasures, refused.first_received_at_ms):
        return Judged(refused, fate, "", b"", "")
    if isinstance(read, Rejected):
        return Judged(refused, Fate.NO_CALLBACK, "", body, f"{read.reason}: {read.detail}")
    return Judged(refused, Fate.REDRIVE, *read, "")


def _forms(body: bytes, read: tuple[str, bytes] | Rejected) -> Collection[bytes]:
    """Return a body as it came, out of its covers, and repaired: numbers and codes may stand in any of these."""
    if not isinstance(read, Rejected) and read[1] == body:
        return (body,)
    unwrapped = unwrap(body, RECORD_BYTES)
    plain = () if unwrapped is None else (unwrapped.text.encode(errors="replace"),)
    return {body, *plain, *(() if isinstance(read, Rejected) else (read[1],))}


def _personal_fate(forms: Collection[bytes], erasures: Erasures, first_received_at_ms: int) -> Fate | None:
    """Return the fate of a callback that must not come back, for the person or the code in it; else None."""
    if any(_covers(erasures, form, first_received_at_ms) for form in forms):
        return Fate.ERASED
    return Fate.CODE if any(kept_body(form, CODES_ONLY).redacted for form in forms) else None


def _fate_without_reading(refused: Refused, body: bytes | None, done: Container[Rejection]) -> Fate | None:
    if refused.rejection in done:
        return Fate.DONE
    if refused.attempts >= MOST_ATTEMPTS:
        return Fate.TRIED
    if body is None:
        return Fate.GONE
    if not body and refused.place is not None:
        return Fate.ERASED
    if refused.is_whole:
        return Fate.WHOLE
    return Fate.PULLED if refused.is_pulled else None


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
