"""
Mutes: subjects whose notices are withheld until a minute. Their alarms are judged and recorded as ever.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson

ACCOUNT: Final = "account"
CAMPAIGN: Final = "campaign:"
"""Begins the subject of a campaign, before its id."""
MOST_MUTES: Final = 500
"""Of further ones the one that ends first is given up."""

_PLACE, _SENDER = 2, 3
"""How many names a route has, and a sender on it."""


class Mute(msgspec.Struct):
    """From which minute on a subject is muted, and until which."""

    since: int
    until: int


def normal_subject(text: str) -> str:
    """Return a subject as the records of alarms have it; ValueError for another text."""
    if text == ACCOUNT or (text.startswith(CAMPAIGN) and text != CAMPAIGN):
        return text
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        names = None
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not is_list or len(names) not in (_PLACE, _SENDER):
        raise ValueError(
            f"`{ACCOUNT}` or JSON as the alarm has it is expected: "
            '["country","operator"] of a route, ["country","operator","sender"] of a sender on it, campaign:ID'
        )
    return orjson.dumps(names).decode()


def mute_line(subject: str, until: int) -> bytes:
    """Return the line for the topic of the alarms: muted until a minute since 1970; 0 ends a mute."""
    return orjson.dumps({"mute": subject, "until": until})


def mute_of(mutes: Mapping[str, Mute], subject: str) -> Mute | None:
    """Return since when and until when a subject is muted: by its own mute and, of a sender, by that of its route."""
    found = [mute for name in (subject, _route_of(subject)) if (mute := mutes.get(name)) is not None]
    return Mute(min(mute.since for mute in found), max(mute.until for mute in found)) if found else None


def is_of(subject: str, muted: str) -> bool:
    """Tell whether a mute is also that of a subject."""
    return muted in (subject, _route_of(subject))


def _route_of(subject: str) -> str:
    if not subject.startswith("["):
        return subject
    names: list[Any] = orjson.loads(subject)
    return orjson.dumps(names[:_PLACE]).decode()
