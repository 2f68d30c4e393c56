"""
Tokens of the clients that may ask: `name:token:full` or `name:token:masked`, comma-separated, as settings have them.
"""

import hmac
import re
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol, TypeVar

TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]{16,128}")
_FORM: Final = "name:token:full or name:token:masked"
_GRANT: Final = re.compile(rf"(?P<name>[A-Za-z0-9._-]{{1,64}}):(?P<token>{TOKEN.pattern}):(?P<sees>full|masked)")


class Grant(NamedTuple):
    """A client of the setting. `is_full`: it may see numbers and texts."""

    name: str
    is_full: bool
    token: str


class _HasToken(Protocol):
    @property
    def token(self) -> str: ...


_Holder = TypeVar("_Holder", bound=_HasToken)


def parse_grants(text: str) -> list[Grant]:
    """
    Return the clients of a setting, none of an empty one; ValueError names the fault and repeats no token.

    A text that is not empty names a client: nothing but commas is a fault, or it would open the door to all clients.
    """
    grants = [_parse(entry) for entry in filter(None, map(str.strip, text.split(",")))]
    if text and not grants:
        raise ValueError(f"no person stands there: {_FORM} is expected")
    if len({grant.token for grant in grants}) < len(grants):
        raise ValueError("one token stands there twice")
    if len({(grant.name, grant.is_full) for grant in grants}) > len({grant.name for grant in grants}):
        raise ValueError("one name has both `full` and `masked`")
    return grants


def holder_of(token: str, holders: Iterable[_Holder]) -> _Holder | None:
    """Return the holder of a token, None for a stranger. Compares with every token in constant time."""
    given, found = token.encode(), None
    for holder in holders:
        if hmac.compare_digest(given, holder.token.encode()):
            found = holder
    return found


def _parse(entry: str) -> Grant:
    found = _GRANT.fullmatch(entry)
    if found is None:
        raise ValueError(f"{_FORM} is expected, comma-separated; a token has 16 to 128 letters, digits and . _ ~ -")
    return Grant(found["name"], found["sees"] == "full", found["token"])
