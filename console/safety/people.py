"""
The people who may look: each has a name, a token, and a right to numbers and texts or none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from streams.program.tokens import holder_of, parse_grants


@dataclass(frozen=True, slots=True)
class Person:
    """A person who looks. `may_unmask`: numbers and texts are shown on demand, and each such look is logged."""

    name: str
    may_unmask: bool
    token: str = field(default="", repr=False)
    until: float | None = field(default=None, compare=False)
    """When the login ends, in seconds since 1970; None without a cookie, where each request names the person."""


LOCAL: Final = Person("local", may_unmask=True)
"""The person of a console without tokens, which only this machine reaches."""


class People:
    """The people with a token. Without any, the console asks for no login."""

    def __init__(self, people: Sequence[Person]) -> None:
        self._people = list(people)

    def __bool__(self) -> bool:
        return bool(self._people)

    def with_token(self, token: str) -> Person | None:
        """Return the person of a token, None for a stranger."""
        return holder_of(token, self._people)

    def named(self, name: str) -> list[Person]:
        """Return the people of a name: several while a token is replaced."""
        return [person for person in self._people if person.name == name]


def parse_people(text: str) -> list[Person]:
    """Return the people of CONSOLE_TOKENS; ValueError names the fault and repeats no token."""
    return [Person(*grant) for grant in parse_grants(text)]
