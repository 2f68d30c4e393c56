"""
Keeps the path secrets out of stored bytes: Routee echoes the callback URL in `callbackInfo.url`. Pure.
"""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

import orjson

MASK: Final = "***"
# A shorter secret may occur in a name or a text by chance; it counts only as a whole segment of a path.
_UNLIKELY_BY_CHANCE: Final = 16
# The characters of secrets: a segment goes on while one of them follows.
_SEGMENT_ENDS: Final = "(?![A-Za-z0-9._~-])"
# A JSON string, and the colon that makes it a name. The match is possessive and accepts a string that does not end,
# so hostile bytes can make it neither backtrack nor search for the end again and again.
_STRING: Final = re.compile(rb'("(?:[^"\\]|\\.)*+"?+)(\s*+:)?+', re.DOTALL)


# Escapes of JSON and its kin, as they may hide a secret. Percent codes and entities are undone by `_uncovered`.
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_MOST_COVERS: Final = 6


class _Secret(NamedTuple):
    """One secret: bytes that every occurrence contains, the pattern to replace in text and in bytes, and its mask."""

    needle: bytes
    text: re.Pattern[str]
    raw: re.Pattern[bytes]
    masked: str


def _secret(secret: str) -> _Secret:
    if len(secret) >= _UNLIKELY_BY_CHANCE:
        needle, pattern, masked = secret, re.escape(secret), MASK
    else:
        needle, pattern, masked = f"/{secret}", f"/{re.escape(secret)}{_SEGMENT_ENDS}", f"/{MASK}"
    return _Secret(needle.encode(), re.compile(pattern), re.compile(pattern.encode()), masked)


class Redactor:
    """Finds the secrets in callbacks, in every spelling of the URL, and replaces them by `***`."""

    __slots__ = ("_needles", "_secrets")

    def __init__(self, secrets: Sequence[str]) -> None:
        # The longest first: one secret may be the beginning of another.
        self._secrets = [_secret(secret) for secret in sorted(secrets, key=len, reverse=True)]
        self._needles = [secret.needle for secret in self._secrets]

    def finds(self, body: bytes, document: Mapping[str, object]) -> bool:
        """Return whether a callback, given as bytes and decoded, holds a secret. Costs a search of the bytes."""
        for needle in self._needles:
            if needle in body:
                return True
        info = document.get("callbackInfo")
        return info is not None and self._echoes(info)

    def redact(self, body: bytes) -> bytes:
        """Return a JSON body with the secrets masked in all its values; every other byte is as it was."""
        return _STRING.sub(self._redact_string, body)

    def redact_anything(self, body: bytes) -> bytes:
        """Return bytes, which need not be JSON, with the secrets masked in strings and everywhere else."""
        body = self.redact(body)
        for secret in self._secrets:
            body = secret.raw.sub(secret.masked.encode(), body)
        return body

    def shows(self, text: str) -> bool:
        """
        Return whether a text of any kind may show a secret, however often it is escaped and encoded.

        Also true when the text is covered so often that it was not looked at to the end.
        """
        if not self._secrets:
            return False
        text = text.replace("\0", "")
        for _ in range(_MOST_COVERS):
            if self._mask(text) != text:
                return True
            bare = _uncovered(_ESCAPE.sub(_character, text))
            if bare == text:
                return False
            text = bare
        return True

    def _echoes(self, info: object) -> bool:
        url = info.get("url") if isinstance(info, dict) else None
        return isinstance(url, str) and self._redact_text(url) != url

    def _redact_string(self, match: re.Match[bytes]) -> bytes:
        string, is_name = match.groups()
        if is_name:
            return match[0]
        try:
            text = orjson.loads(string)
        except orjson.JSONDecodeError:
            return match[0]
        redacted = self._redact_text(text)
        return match[0] if redacted == text else orjson.dumps(redacted)

    def _redact_text(self, text: str) -> str:
        """Mask the secrets; a text that shows one only when it is decoded is returned decoded and masked."""
        text = bare = self._mask(text)
        for _ in range(_MOST_COVERS):
            decoded = _uncovered(bare)
            if decoded == bare:
                break
            bare = self._mask(decoded)
            if bare != decoded:
                text = bare
        return text

    def _mask(self, text: str) -> str:
        for secret in self._secrets:
            text = secret.text.sub(secret.masked, text)
        return text


def _uncovered(text: str) -> str:
    """Undo percent codes and the entities of HTML once."""
    return html.unescape(unquote(text))


def _character(escape: re.Match[str]) -> str:
    unit, byte, character = escape.groups()
    return chr(int(unit or byte, 16)) if unit or byte else str(character)
