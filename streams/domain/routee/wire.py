"""
The quick reader: the documented form of SMS callbacks as types. Nearly all bodies have it, and are read in one step.

An envelope that has such bodies only is read in one step as a whole.

This reader never refuses a body; any other form (numbers as text, fields of another type, other channels, reports) is
left to the patient reader, `sms.read_callback`. Both give the same callback, except that this one does not look into
unknown fields: it misses bytes there that are not UTF-8, which ingest never lets through.
"""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from streams.contract.dates import TEXT_MAX_CHARS as DATE_MAX_CHARS
from streams.contract.keys import NIL_ID, NO_ID_MAX_CHARS
from streams.domain.message import MAX_PARTS
from streams.domain.refusal import ID_MAX_CHARS
from streams.domain.routee.coercion import (
    DESCRIPTION_MAX_CHARS,
    GROUPS_MAX,
    MAX_LATENCY_SECONDS,
    MESSAGE_MAX_CHARS,
    TEXT_MAX_CHARS,
)

_Id = Annotated[str, Meta(min_length=NO_ID_MAX_CHARS + 1, max_length=ID_MAX_CHARS)]
"""A shorter one may stand for none, here and below: the patient reader looks (`keys.given_id`)."""
_Text = Annotated[str, Meta(max_length=TEXT_MAX_CHARS)]
_OtherId = Annotated[str, Meta(min_length=NO_ID_MAX_CHARS + 1, max_length=TEXT_MAX_CHARS)]
_Group = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX_CHARS)]
_Date = Annotated[str, Meta(max_length=DATE_MAX_CHARS)]
_Part = Annotated[int, Meta(ge=1, le=MAX_PARTS)]
_Latency = Annotated[int, Meta(ge=0, le=MAX_LATENCY_SECONDS)] | Annotated[float, Meta(ge=0, le=MAX_LATENCY_SECONDS)]
_Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float
_Absent = UnsetType
"""A field that must be absent: it belongs to another kind of callback."""


class WireReason(msgspec.Struct, gc=False):
    """The object `status.reason`."""

    detailedStatus: _Text | None = None  # noqa: N815 - Routee's names, here and below
    description: Annotated[str, Meta(max_length=DESCRIPTION_MAX_CHARS)] | None = None


class WireStatus(msgspec.Struct, gc=False):
    """The object `status`."""

    name: str
    updatedDate: _Date | float | None = None  # noqa: N815
    reason: WireReason | None = None


class WireSms(msgspec.Struct, gc=False):
    """The body of one SMS callback; an empty text means that the field is absent."""

    messageId: _Id  # noqa: N815
    status: WireStatus
    # In the order in which Routee sends them: the decoder looks for a field behind the one before.
    smsId: _OtherId | None = None  # noqa: N815
    campaignTrackingId: _OtherId | None = None  # noqa: N815
    part: _Part | None = None
    parts: _Part | None = None
    label: _Text | None = None
    to: _Text | None = None
    sender: _Text | None = msgspec.field(name="from", default=None)
    country: _Text | None = None
    operator: _Text | None = None
    groups: Annotated[list[_Group], Meta(max_length=GROUPS_MAX)] | None = None
    campaignName: _Text | None = None  # noqa: N815
    message: Annotated[str, Meta(max_length=MESSAGE_MAX_CHARS)] | None = None
    applicationName: _Text | None = None  # noqa: N815
    latency: _Latency | None = None
    price: _Number | None = None
    direction: _Text | None = None
    originatingService: _Text | None = None  # noqa: N815
    type: _Absent = UNSET
    audioMessage: _Absent = UNSET  # noqa: N815
    chargeInterval: _Absent = UNSET  # noqa: N815
    duration: _Absent = UNSET


class _PlainReason(WireReason, forbid_unknown_fields=True, gc=False):
    """A reason with documented fields only."""


class _PlainStatus(WireStatus, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A status with documented fields only."""

    reason: _PlainReason | None = None


class PlainSms(WireSms, forbid_unknown_fields=True, kw_only=True, gc=False):
    """The body of one SMS callback with documented fields only, so that nothing in it is nested deeply."""

    status: _PlainStatus


class PlainEnvelope(msgspec.Struct, forbid_unknown_fields=True):
    """An envelope of such callbacks, none of them repaired: nearly every one."""

    received_at: str | int | float | None
    callbacks: list[PlainSms]


_UNREAD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_DECODER: Final = msgspec.json.Decoder(WireSms)
_PLAIN_DECODER: Final = msgspec.json.Decoder(PlainEnvelope)


def read_plain(envelope: bytes) -> PlainEnvelope | None:
    """Return an envelope with all callbacks read in one step, None for one with anything else in it."""
    try:
        return _PLAIN_DECODER.decode(envelope)
    except _UNREAD:
        return None


def read_wire(body: msgspec.Raw) -> WireSms | None:
    """Return the body of an SMS callback in the documented form, None for any other form."""
    try:
        sms = _DECODER.decode(body)
    except _UNREAD:
        return None
    # Without a message, it may be a report: unknown fields tell that.
    return None if sms.messageId == NIL_ID else sms
