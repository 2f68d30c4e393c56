"""
The documented form of an SMS callback as types: nearly all bodies have it, and are examined in one step. Pure.

Every value is read by its type, and no other field is let through. So orjson takes every body that is taken here: its
texts are UTF-8, its numbers finite, nothing in it is nested deeply. All other bodies are left to `body.examine`, which
knows the ones of another form from the ones that are no callback.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from streams.contract.keys import KEY_MAX_CHARS, NO_ID_MAX_CHARS

_Text = str | None
# Of whole numbers, too: `int` takes any number of digits, and to orjson a number of 400 digits is infinite, and none.
_Number = float | None


class _Reason(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The object `status.reason`."""

    detailedStatus: _Text = None  # noqa: N815 - Routee's names, here and below
    description: _Text = None


class _Status(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The object `status`."""

    name: _Text = None
    reason: _Reason | None = None
    updatedDate: _Text = None  # noqa: N815


class DocumentedSms(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body of an SMS callback; its key is the `messageId`."""

    # A shorter one may stand for none (`keys.given_id`).
    messageId: Annotated[str, Meta(min_length=NO_ID_MAX_CHARS + 1, max_length=KEY_MAX_CHARS)]  # noqa: N815
    # In the order in which Routee sends them: the decoder looks for a field behind the one before.
    smsId: _Text = None  # noqa: N815
    campaignTrackingId: _Text = None  # noqa: N815
    part: _Number = None
    parts: _Number = None
    label: _Text = None
    to: _Text = None
    sender: _Text = msgspec.field(name="from", default=None)
    country: _Text = None
    operator: _Text = None
    groups: list[str] | None = None
    campaignName: _Text = None  # noqa: N815
    status: _Status | None = None
    message: _Text = None
    applicationName: _Text = None  # noqa: N815
    latency: _Number = None
    price: _Number = None
    direction: _Text = None
    originatingService: _Text = None  # noqa: N815


NOT_DOCUMENTED: Final = (msgspec.MsgspecError, UnicodeDecodeError)
"""The errors of `read_documented` for a body of another form."""

read_documented: Final = msgspec.json.Decoder(DocumentedSms).decode
"""Return the fields of a body in the documented form."""
