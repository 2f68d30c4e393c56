"""
The patient path: makes a callback of a body that `body.examine` refused, when it can be read in one way only. Pure.

The ids and the status decide. They must stand in the body once, whole and readable, or the body stays refused. All
else is repaired or left out, and the note beside the callback names the repairs and keeps the bytes that came.
"""

import re
from base64 import b64encode
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final

from orjson import dumps, loads

from ingest.callback.body import NOT_GZIP, Rejected, examine
from ingest.callback.envelope import RECORD_BYTES
from ingest.callback.masking import masked
from ingest.callback.nesting import MAX_DEPTH
from ingest.callback.redaction import Redactor
from ingest.callback.scanner import UNREADABLE, Member, scan, unescaped
from ingest.callback.unwrapping import Unwrapped, is_alone, unwrap
from streams.contract.keys import given_id
from streams.contract.records import Reason, Repair

_KEYS: Final = ("messageId", "trackingId")
_OTHER_IDS: Final = ("smsId", "campaignTrackingId")
_IDS: Final = (*_KEYS, *_OTHER_IDS)
_STATUSES: Final = ("status", "campaignStatus", "messageStatuses")
_DECIDING: Final = (*_IDS, "part", *_STATUSES, "totalRecipients")
_DECIDING_OF_STATUS: Final = ("name", "updatedDate")
_NAMES: Final = "|".join(_DECIDING)
_NAMED: Final = re.compile(rf"(?:[{{,]\s*+|[\"'])(?:{_NAMES})(?:[\"']|\s*+:)")
_NAMED_WITHIN: Final = re.compile(rf"(?:[{{,]\s*+|[\"'])(?:{_NAMES}|parts)(?:[\"']|\s*+:)")
_NAMED_OUTSIDE: Final = re.compile(rf"(?<!\w)(?:{_NAMES})[\"']?\s*+[:=]")
_DIGITS: Final = re.compile(r"\d{1,256}", re.ASCII)
_NO_PART_OF_AN_ID: Final = re.compile(rf"[\x00-\x1f\"\\{UNREADABLE}]")
_NO_PART_OF_A_WORD: Final = re.compile(rf"[\"\\{UNREADABLE}]")
# The text of the last member may go on behind a quote mark and a bracket that stand unescaped in it.
_ENDS_IN_TEXT: Final = re.compile(r"[\"']\}[^{\[\"]*+\"")
_BROKEN: Final = {Repair.CUT, Repair.DAMAGED}
_LOSING: Final = {Repair.CUT, Repair.DAMAGED, Repair.UNREADABLE_ID}
_NULLING: Final = {Repair.VALUE, Repair.TOO_DEEP}
_ENVELOPE_BYTES: Final = 100  # around one callback and its note

_SEVERAL: Final = Rejected(Reason.NOT_JSON, "more than one document")
_OUTSIDE: Final = Rejected(Reason.NOT_JSON, "a field that decides is named outside the object")
_MERGED: Final = Rejected(Reason.NOT_JSON, "a field that decides is named in a text whose quote marks do not fit")
_BRACKET_MISSING: Final = Rejected(Reason.NOT_JSON, "a field that decides is named within status")
_UNREADABLE_KEY: Final = Rejected(Reason.NO_KEY, "messageId cannot be read")
_TOO_LONG: Final = Rejected(Reason.NOT_JSON, "too long to be kept beside its repair")


@dataclass(frozen=True, slots=True)
class Repaired:
    """A callback that was repaired: its key, its JSON, and the note to store beside it (`envelope.seal`)."""

    key: str
    body: bytes
    note: bytes


class _RefusedError(Exception):
    """Carries the reason out of the decisions."""

    def __init__(self, rejected: Rejected) -> None:
        super().__init__(rejected.detail)
        self.rejected: Final = rejected


def repair(body: bytes, refused: Rejected, redactor: Redactor, max_bytes: int) -> Repaired | Rejected:
    """
    Return the callback in a body that was `refused`, repaired; why it stays refused, when it does.

    No more than `max_bytes` of a compressed body are looked at.
    """
    unwrapped = unwrap(body, max_bytes)
    if unwrapped is None:
        return refused
    if refused is NOT_GZIP:
        unwrapped.repairs.add(Repair.COMPRESSION)
    try:
        document, repairs = _read(unwrapped, refused)
    except _RefusedError as error:
        return error.rejected
    examined = examine(document, redactor)
    if isinstance(examined, Rejected):
        return refused
    key, stored = examined
    original = masked(body, redactor, max_bytes)
    if original is not None and not original.strip(b'"*'):  # nothing but the mask is left of it
        original = None
    note = {"repairs": sorted(repairs), "original": None if original is None else b64encode(original).decode()}
    repaired = Repaired(key, redactor.redact(stored), dumps(note))
    size = len(repaired.body) + len(repaired.note) + _ENVELOPE_BYTES
    return repaired if size <= RECORD_BYTES else _TOO_LONG


def is_callback(body: bytes, redactor: Redactor, max_bytes: int) -> bool:
    """Tell whether a body is a callback, as it stands or repaired."""
    found = examine(body, redactor)
    return not isinstance(found, Rejected) or isinstance(repair(body, found, redactor, max_bytes), Repaired)


def _read(unwrapped: Unwrapped, refused: Rejected) -> tuple[bytes, set[Repair]]:
    """Return the object as JSON, and the names of its repairs."""
    text = unwrapped.text
    members, repairs, end, merged = scan(text, unwrapped.begin, MAX_DEPTH)
    _require_once(members, _DECIDING)
    if any(map(_NAMED_WITHIN.search, merged)):
        raise _RefusedError(_MERGED)
    if _NAMED_OUTSIDE.search(text, 0, unwrapped.begin):
        raise _RefusedError(_OUTSIDE)
    if not repairs & _BROKEN and _ENDS_IN_TEXT.match(text, end - 2):
        repairs.add(Repair.DAMAGED)
        members.pop()
    members = _readable(members, repairs)
    repairs |= unwrapped.repairs
    if not _tells_which_sms(members, repairs):
        raise _RefusedError(refused)
    if repairs & _BROKEN:
        if not _suffices(members, text[end:]):
            raise _RefusedError(refused)
    elif not is_alone(text[end:], repairs):
        raise _RefusedError(_SEVERAL if refused.reason is Reason.NOT_JSON else refused)
    elif _NAMED_OUTSIDE.search(text, end):
        raise _RefusedError(_OUTSIDE)
    if not repairs:
        raise _RefusedError(refused)
    left = ",".join(f"{dumps(name).decode()}:{value}" for name, value in members)
    return f"{{{left}}}".encode(), repairs


def _require_once(members: Iterable[Member], names: Container[str], of: str = "") -> None:
    """Refuse an object that has one of these members twice, with different values."""
    first: dict[str, str] = {}
    for name, value in members:
        known = first.setdefault(name, value) if name in names else value
        if known != value and loads(known) != loads(value):
            raise _RefusedError(Rejected(Reason.NOT_JSON, f"{of}{name} more than once, with different values"))


def _readable(members: Iterable[Member], repairs: set[Repair]) -> list[Member]:
    """Return the members with their ids as text, without ids that cannot be read; refuse a `messageId` that cannot."""
    left = []
    for name, value in members:
        if name in _STATUSES:
            _check_statuses(name, value)
        if name not in _IDS and name != "part":
            left.append(Member(name, value))
        elif _DIGITS.fullmatch(value) and name != "part":
            repairs.add(Repair.ID_AS_NUMBER)
            left.append(Member(name, f'"{value}"'))
        elif not _is_unreadable(value):
            left.append(Member(name, value))
        elif name == "messageId":
            raise _RefusedError(_UNREADABLE_KEY)
        else:
            repairs.add(Repair.UNREADABLE_ID)
            left += [Member(name, "null")] if name == "part" else []
    return left


def _is_unreadable(value: str) -> bool:
    """Tell whether an id has characters that were not read, or that no id has."""
    text = loads(value)
    return isinstance(text, str) and _NO_PART_OF_AN_ID.search(text) is not None


def _check_statuses(name: str, value: str) -> None:
    """Refuse a status, or the numbers of a report, that can be read in two ways, or not at all."""
    content = loads(value)
    words = [content]
    if isinstance(content, dict):
        is_status = name == "status"
        if is_status and not content.keys().isdisjoint((*_DECIDING, "parts")):
            raise _RefusedError(_BRACKET_MISSING)
        _require_once(scan(value, 0, MAX_DEPTH).members, _DECIDING_OF_STATUS if is_status else content, f"{name}.")
        name, words = ("status.name", [content.get("name")]) if is_status else (name, [*content])
    if any(isinstance(word, str) and _NO_PART_OF_A_WORD.search(word) for word in words):
        raise _RefusedError(Rejected(Reason.NOT_JSON, f"{name} cannot be read"))


def _suffices(members: Iterable[Member], rest: str) -> bool:
    """
    Tell whether the readable part of a body tells a status, and the rest does not name again the fields that decide.

    A report never suffices: numbers may stand in the rest.
    """
    values = {name: loads(value) for name, value in members}
    return "status" in values and bool(values.get("messageId")) and not _NAMED.search(unescaped(rest)[0])


def _tells_which_sms(members: Iterable[Member], repairs: set[Repair]) -> bool:
    """Tell whether a body says which of a message's parts it is about, unless nothing of that was left out."""
    values = {name: loads(value) for name, value in members if name in ("smsId", "part", "parts")}
    nothing = {name for name in ("smsId", "part") if name in values and values[name] is None}
    unreadable = any(_NO_PART_OF_AN_ID.search(name) for name, _ in members)
    if not (repairs & _LOSING or unreadable or (nothing and repairs & _NULLING)):
        return True
    # Where no number of parts is told, there is one; but not where a part was told and cannot be read.
    one = (1, "1") if "part" in nothing and Repair.UNREADABLE_ID in repairs else (None, 1, "1")
    named = (values.get(name) for name in ("smsId", "part"))
    return values.get("parts") in one or any(value and given_id(str(value)) for value in named)
