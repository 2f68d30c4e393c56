"""
Keys that may be guessed, as far as their form tells.

Phone numbers are few: with a key that can be guessed, every number can be found from its hash.
"""

import re
from typing import Final

from streams.contract.erasures import KEY_BYTES

# Of 64 random hexadecimal digits at least 10 differ, but for one key in a trillion.
_KEY_DIFFERENT: Final = 10
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]+")


def weakness(key: str) -> str | None:
    """Return why a key may be guessed, None when its form has no fault."""
    text = key.rstrip("=")
    room = len(text) // 2 if _HEXADECIMAL.fullmatch(text) else len(text) * 3 // 4  # as base64 has
    if room < KEY_BYTES:
        return f"a key of its form has {room} random bytes at most, {KEY_BYTES} are needed"
    if len(set(key)) < _KEY_DIFFERENT:
        return f"it has only {len(set(key))} different characters"
    return None
