"""
The cookie of a login: the name of a person and an end, signed with the person's own token. Pure.

Nothing is kept here: a console that starts again knows its people, and a token that is taken away ends every login
that was made with it.
"""

import hmac
from dataclasses import replace
from typing import Final

from console.safety.people import People, Person

NAME: Final = "routee_console"
SECONDS: Final = 12 * 60 * 60
"""A working day; after it the form is there again."""

_PURPOSE: Final = b"routee-console login "


def cookie_for(person: Person, now: float) -> str:
    """Return the value for a person who has just shown the token; `now` in seconds since 1970."""
    said = f"{person.name}:{int(now) + SECONDS}"
    return f"{said}:{_signature(person, said)}"


def person_of(cookie: str, people: People, now: float) -> Person | None:
    """Return the person of a cookie, with its end; None when it is forged, too old, or of a token that is gone."""
    said, _, signature = cookie.rpartition(":")
    name, _, end = said.partition(":")
    if not (end.isascii() and end.isdecimal() and len(end) <= len(str(1 << 40))) or not now < int(end):
        return None
    for person in people.named(name):
        if hmac.compare_digest(signature.encode(), _signature(person, said).encode()):
            return replace(person, until=float(end))
    return None


def _signature(person: Person, said: str) -> str:
    return hmac.digest(person.token.encode(), _PURPOSE + said.encode(), "sha256").hex()
