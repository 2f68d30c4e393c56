"""
The people who may look: each has a name, a token, and a right to numbers and texts or none.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_PERSON: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,64}):(?P<token>[A-Za-z0-9._~-]{16,128}):(?P<sees>full|masked)")


@dataclass(frozen=True, slots=True)
class Person:
    """A person who looks. `may_unmask`: numbers and texts are shown on demand, and each such look is logged."""

    name: str
    may_unmask: bool
    token: str = field(default="", repr=False)


LOCAL: Final = Person("local", may_unmask=True)
"""The person of a console without tokens, which only this machine reaches."""


class People:
    """The people with a token. Without any, the console asks for no login."""

    def __init__(self, people: Sequence[Person]) -> None:
        self._people = list(people)

    def __bool__(self) -> bool:
        return bool(self._people)

    def with_token(self, token: str) -> Person | None:
        """Return the person of a token, None for a stranger. Compares with every token in constant time."""
        found = None
        for person in self._people:
            if hmac.compare_digest(token.encode(), person.token.encode()):
                found = person
        return found

    def named(self, name: str) -> list[Person]:
        """Return the people of a name: several while a token is replaced."""
        return [person for person in self._people if person.name == name]


def parse_people(text: str) -> list[Person]:
    """Return the people of CONSOLE_TOKENS; ValueError names the fault and repeats no token."""
    people = [_parse(entry) for entry in filter(None, map(str.strip, text.split(",")))]
    if text and not people:
        raise ValueError("no person stands there: name:token:full or name:token:masked is expected")
    tokens = [person.token for person in people]
    if len(set(tokens)) < len(tokens):
        raise ValueError("one token stands there twice")
    if any(one.may_unmask != other.may_unmask for one in people for other in people if one.name == other.name):
        raise ValueError("one name has both `full` and `masked`")
    return people


def _parse(entry: str) -> Person:
    found = _PERSON.fullmatch(entry)
    if found is None:
        raise ValueError(
            "name:token:full or name:token:masked is expected, comma-separated; a token has 16 to 128 letters, digits "
            "and . _ ~ -"
        )
    return Person(found["name"], found["sees"] == "full", found["token"])
