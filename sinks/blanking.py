"""
Records and rows without the data of erased recipients.

An erasure covers an SMS by its recipient and its moments, and a refused body by the recipients that are found in it.
Covered, its personal fields become null; keys, times, statuses and prices stay, and so do all counts. Raw callbacks are
covered and blanked one by one (`raw_callbacks`).
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final

import msgspec
import orjson
from msgspec.structs import replace

from sinks.raw_callbacks import callback_in, covers, without_erased
from sinks.source import Record
from sinks.tables import RAW_CALLBACKS_TABLE, REJECTED_CALLBACKS_TABLE, SMS_STATUS_TABLE
from streams.contract.erasures import BLANKED, MOMENTS, Erasures, moment_of

RECIPIENT: Final = "recipient"
RECEIVED: Final = "received_at"
BODIES: Final = ("body", "body_base64")
"""Of a refused callback: one of them has its bytes."""

PERSONAL: Final[Mapping[str, Sequence[str]]] = {
    SMS_STATUS_TABLE: BLANKED,
    REJECTED_CALLBACKS_TABLE: BODIES,
    RAW_CALLBACKS_TABLE: ("value",),
}
"""Table → its fields that an erasure blanks; the other tables have none."""
DECIDING: Final[Mapping[str, Sequence[str]]] = {
    SMS_STATUS_TABLE: (RECIPIENT, *MOMENTS),
    REJECTED_CALLBACKS_TABLE: (*BODIES, RECEIVED),
}
"""Table → the fields that tell whether an erasure covers a row."""

_ERASURES_OF: Final = attrgetter("erasures")
_SECOND: Final = timedelta(seconds=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class _Head(msgspec.Struct, gc=False):
    """The deciding fields of an SMS: reading these alone takes a third of the time of reading all."""

    first_received_at: str
    status_updated_at: str
    recipient: str | None = None
    queued_at: str | None = None
    sent_at: str | None = None
    final_at: str | None = None


_read_head: Final = msgspec.json.Decoder(_Head).decode


def blanked(table: str, records: Sequence[Record], erasures: Erasures) -> Sequence[Record]:
    """
    Return the records, the covered ones without personal fields.

    A value that is no JSON object stays as it is: no table takes it.
    """
    if erasures.latest is None or table not in PERSONAL:
        return records
    if table == RAW_CALLBACKS_TABLE:
        return [blanked_raw(record, erasures)[0] for record in records]
    if table != SMS_STATUS_TABLE:
        return [_blanked(table, record, erasures) for record in records]
    digest = erasures.digest
    if {*map(_ERASURES_OF, records)} == {digest}:
        # Nearly always: streams made all of them with these very erasures, and has compared their recipients.
        return records
    # One second more, and no fraction: texts of moments then compare like the moments, however exact they are.
    after = (erasures.latest.astimezone(UTC) + _SECOND).strftime("%Y-%m-%dT%H:%M:%S")
    return [
        record
        if record.erasures == digest or _stays(record.value, after, erasures)
        else _blanked(table, record, erasures)
        for record in records
    ]


def _stays(value: bytes | None, after: str, erasures: Erasures) -> bool:
    """Return whether an SMS is certainly not covered: younger than every erasure, or of a recipient without one."""
    try:
        head = _read_head(value or b"")
    except msgspec.MsgspecError:
        return False
    if head.recipient is None:
        return True
    is_later = (
        head.first_received_at > after
        and head.status_updated_at > after
        and (head.queued_at is None or head.queued_at > after)
        and (head.sent_at is None or head.sent_at > after)
        and (head.final_at is None or head.final_at > after)
    )
    return is_later or erasures.erased_at(head.recipient) is None


def _blanked(table: str, record: Record, erasures: Erasures) -> Record:
    try:
        row = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        return record
    if not isinstance(row, dict) or not is_covered(table, row, erasures):
        return record
    return replace(record, value=orjson.dumps(row | blanks(table, row)))


def blanked_raw(record: Record, erasures: Erasures) -> tuple[Record, int]:
    """Return a raw record without the data of erased people, and how many of its callbacks had some."""
    value, count = without_erased(record.value, moment_of(record.timestamp), erasures)
    return (replace(record, value=value), count) if count else (record, 0)


def is_covered(table: str, row: Mapping[str, Any], erasures: Erasures) -> bool:
    """
    Return whether an erasure covers a row of the table, given at least its deciding fields.

    A row of raw callbacks is one callback (`raw_callbacks.row_of`).
    """
    if (callback := callback_in(row)) is not None:
        return covers(erasures, callback, _moment(row.get("timestamp")) or _LONG_AGO)
    if table == SMS_STATUS_TABLE:
        recipient = row.get(RECIPIENT)
        # The moments cost more than a look for the recipient, which few rows pass.
        return (
            isinstance(recipient, str)
            and erasures.erased_at(recipient) is not None
            and erasures.covers(recipient, *(_moment(row.get(name)) for name in MOMENTS))
        )
    body, received = body_of(row), _moment(row.get(RECEIVED))
    return body is not None and received is not None and erasures.covers_body(body, received)


def blanks(table: str, row: Iterable[str]) -> dict[str, None]:
    """Return the personal fields that a row has, each null."""
    return dict.fromkeys(name for name in PERSONAL[table] if name in row)


def body_of(row: Mapping[str, Any]) -> bytes | None:
    """Return the bytes of a refused callback, None when they are gone."""
    text, base64 = (row.get(name) for name in BODIES)
    if isinstance(text, str):
        return text.encode()
    if not isinstance(base64, str):
        return None
    try:
        return b64decode(base64)
    except (Base64Error, ValueError):
        return base64.encode()


def _moment(told: object) -> datetime | None:
    """Return the moment of a field, a text in JSON; None when it tells none."""
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) else told
    except ValueError:
        return None
    if not isinstance(moment, datetime):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
