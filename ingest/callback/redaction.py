"""
Keeps the path secrets out of stored bytes: Routee echoes the callback URL in `callbackInfo.url`. Pure.
"""

import html
import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterator, Sequence
from html.entities import html5
from string import ascii_letters, digits
from typing import Final, NamedTuple
from urllib.parse import unquote

import orjson

MASK: Final = "***"
# A shorter secret may occur in a name or a text by chance; it counts only as a whole segment of a path.
_UNLIKELY_BY_CHANCE: Final = 16
# The characters of secrets: a segment goes on while one of them follows.
_SEGMENT_ENDS: Final = "(?![A-Za-z0-9._~-])"
# A JSON string, and the colon that makes it a name. A string that does not end is accepted, so hostile bytes can make
# the pattern neither backtrack nor search for the end again and again.
_STRING: Final = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*"?)(\s*+:)?', re.DOTALL)

# The covers that may hide a secret: escapes of JSON and its kin, percent codes, entities of HTML, base64. Each can be
# around any other. The outermost one stands in the bytes as it is, so these patterns find that there is a cover.
_ESCAPE: Final = re.compile(r"\\(?:u\{0*([0-9a-fA-F]{1,5})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(?:u00(?:00|[2-7][0-9a-fA-F])|u\{|x)")
_PERCENT: Final = re.compile(rb"%[2-7][0-9a-fA-F]")
_OF_SECRETS_AND_COVERS: Final = frozenset(ascii_letters + digits + "._~-%&#;\\{}+/=")
_ENTITY: Final = re.compile(
    b"&(?:#|%s)" % b"|".join(sorted(name.encode() for name, text in html5.items() if _OF_SECRETS_AND_COVERS & {*text}))
)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}+={0,2}")
# The letters of base64 that callbacks have least often come first.
_RARE_FIRST: Final = "QXJWKVYHZUFLBPNqzMOEIjxAwRkCDGvyTSbf"
_BACKSLASH, _PERCENT_SIGN, _AMPERSAND = b"\\%&"
_BASE64_RUN: Final = re.compile(r"[A-Za-z0-9+/_=-]*+")
_BASE64_CHARACTERS: Final = ascii_letters + digits + "+/_=-"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_URL_SAFE: Final = str.maketrans("+/", "-_")
_STANDARD: Final = str.maketrans("-_", "+/")
_MOST_COVERS: Final = 6


class _Secret(NamedTuple):
    """One secret: what every plain occurrence contains, the pattern to replace, its mask, and its forms in base64."""

    needle: bytes
    pattern: re.Pattern[str]
    masked: str
    base64: tuple[str, ...]


def _secret(secret: str) -> _Secret:
    if len(secret) >= _UNLIKELY_BY_CHANCE:
        needle, pattern, masked = secret, re.escape(secret), MASK
    else:
        needle, pattern, masked = f"/{secret}", f"/{re.escape(secret)}{_SEGMENT_ENDS}", f"/{MASK}"
    return _Secret(needle.encode(), re.compile(pattern), masked, tuple(_in_base64(needle.encode())))


def _in_base64(needle: bytes) -> Iterator[str]:
    """Yield what stands in each base64 text of bytes that contain the needle, at the three places it may begin at."""
    # A character that holds bits of what stands before the needle, or behind it, may be any.
    for before, begin in enumerate((0, 2, 3)):
        text = b64encode(bytes(before) + needle).decode()[begin : 8 * (before + len(needle)) // 6]
        yield text
        if (safe := text.translate(_URL_SAFE)) != text:
            yield safe


class Redactor:
    """Finds the secrets in bodies, in every spelling, and replaces them by `***`."""

    __slots__ = ("_forms", "_needles", "_secrets")

    def __init__(self, secrets: Sequence[str]) -> None:
        # The longest first: one secret may be the beginning of another.
        self._secrets = [_secret(secret) for secret in sorted(secrets, key=len, reverse=True)]
        self._needles = [secret.needle for secret in self._secrets]
        self._forms = [(_rarest(form), form.encode()) for secret in self._secrets for form in secret.base64]

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def finds(self, body: bytes) -> bool:
        """
        Return whether a callback holds a secret: plain, in base64, or however often escaped and encoded.

        Not promised: a secret that was escaped or encoded first, and then put into base64. Costs a few searches of the
        bytes, unless they have covers.
        """
        for needle in self._needles:
            # Not `in`, which first takes the needle for a number: that costs as much as the search.
            if body.find(needle) >= 0:
                return True
        for rare, form in self._forms:
            if rare in body and form in body:
                return True
        return bool(self._secrets) and _is_covered(body) and self.shows(body.decode(errors="replace"))

    def redact(self, body: bytes) -> bytes:
        """Return a JSON body with the secrets masked in all its strings; every other byte is as it was."""
        return _STRING.sub(self._redact_string, body)

    def redact_anything(self, body: bytes) -> bytes:
        """Return bytes, which need not be JSON, with the secrets masked in strings and everywhere else."""
        return self._mask(self.redact(body).decode("latin-1")).encode("latin-1")

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
            bare = _uncovered(_ESCAPE.sub(_character, text)).replace("\0", "")
            if bare == text:
                bare = _BASE64.sub(lambda run: _content(run[0]), text)
            if bare == text:
                return False
            text = bare
        return True

    def _redact_string(self, match: re.Match[bytes]) -> bytes:
        string, colon = match.groups()
        try:
            text = orjson.loads(string)
        except orjson.JSONDecodeError:
            return match[0]
        redacted = self._redact_text(text)
        if self.shows(redacted):
            redacted = MASK
        return match[0] if redacted == text else orjson.dumps(redacted) + (colon or b"")

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
            text = secret.pattern.sub(secret.masked, text)
            for form in secret.base64:
                if form in text:
                    text = _without_runs(text, form)
        return text


def _rarest(form: str) -> int:
    """Return the letter of a text in base64 that callbacks have least often: where it is missing, a search is over."""
    return ord(next((letter for letter in _RARE_FIRST if letter in form), form[0]))


def _is_covered(body: bytes) -> bool:
    """Return whether bytes have escapes or codes that may hide a secret."""
    # Each pattern only where its first byte is: to look for one byte, given as a number, costs next to nothing.
    found = (
        (_BACKSLASH in body and _ESCAPED.search(body))
        or (_PERCENT_SIGN in body and _PERCENT.search(body))
        or (_AMPERSAND in body and _ENTITY.search(body))
    )
    return bool(found)


def _uncovered(text: str) -> str:
    """Undo percent codes and the entities of HTML once."""
    return html.unescape(unquote(text))


def _character(escape: re.Match[str]) -> str:
    braced, unit, byte, character = escape.groups()
    code = braced or unit or byte
    return chr(int(code, 16)) if code else str(character)


def _content(run: str) -> str:
    """Return the text that stands in a run of base64 characters; the run itself when that is no text."""
    coded = run.rstrip("=").translate(_STANDARD)
    try:
        content = a2b_base64(coded + "=" * (-len(coded) % 4)).decode()
    except (Base64Error, UnicodeDecodeError):
        return run
    return run if _CONTROL.search(content) else content


def _without_runs(text: str, form: str) -> str:
    """Return a text with the mask in place of each run of base64 characters that contains the form."""
    parts, end = [], 0
    while (begin := text.find(form, end)) >= 0:
        parts += [text[end:begin].rstrip(_BASE64_CHARACTERS), MASK]
        run = _BASE64_RUN.match(text, begin)
        end = run.end() if run else len(text)
    return "".join([*parts, text[end:]])
