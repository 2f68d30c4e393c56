"""
Reads an object that is nearly JSON: text → its members as JSON, and the names of the repairs. Pure.

The text is read once, from its beginning, without recursion: time and memory grow with its length and with nothing
else. A value that is JSON comes out as it stood, and no other is guessed.
"""

import math
import re
from typing import Final, NamedTuple

from orjson import dumps

from streams.contract.records import Repair

UNREADABLE: Final = "\ufffd"
"""Stands for a character that cannot be read."""

_CLOSERS: Final = {"{": "}", "[": "]"}
_QUOTES: Final = "\"'"

# Each repetition is possessive, or begins with a character that nothing before it takes, so hostile text makes no
# match go back far.
_BLANKS: Final = re.compile(r"[ \t\n\r]*+")
_ANY_BLANK: Final = r"[\s\x00-\x1f\x7f\ufeff\u200b-\u200f\u2060]"
_ODD_BLANKS: Final = re.compile(rf"(?:{_ANY_BLANK}++|/\*[^*]*+\*++(?:[^*/][^*]*+\*++)*/|//[^\n\r]*+)*")
_TO_QUOTE: Final = {quote: re.compile(rf"[^{quote}\\]*+(?:\\.[^{quote}\\]*+)*{quote}", re.DOTALL) for quote in _QUOTES}
_SOUND: Final = re.compile(
    r"[^\x00-\x1f\"\\]*+(?:\\(?:[\"\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
    r"|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})[^\x00-\x1f\"\\]*+)*"
)
# Comments are not skipped here: each quote mark would skip them again.
_BEHIND_VALUE: Final = re.compile(
    rf"{_ANY_BLANK}*+(?:[}}\]/]|$|,{_ANY_BLANK}*+(?:[\"'{{}}\[\],/+\-.0-9]|$|[A-Za-z_$][\w$]{{0,63}}+{_ANY_BLANK}*+:"
    r"|(?:true|false|null|None|True|False|NaN|Infinity|undefined)\b))"
)
_COMMA_MISSING: Final = re.compile(rf"(?<=[}}\]]){_ANY_BLANK}*+([\"']?)[A-Za-z_$][\w$]{{0,63}}+\1{_ANY_BLANK}*+:")
# A text that goes on behind a quote mark may have swallowed the members behind it.
_SWALLOWED: Final = re.compile(
    rf"[\"',]{_ANY_BLANK}*+(?P<quote>[\"'])[A-Za-z_$][\w$]{{0,63}}+(?P=quote){_ANY_BLANK}*+:"
)
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_ESCAPE: Final = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})"
    r"|u[0-9a-fA-F]{0,3}|(.))",
    re.DOTALL,
)
_LETTERS: Final = {
    '"': '"', "'": "'", "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip
_BARE_NAME: Final = re.compile(r"[A-Za-z_$][\w$]*+", re.ASCII)
_WORD: Final = re.compile(r"[\w.+\-]++", re.ASCII)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][+-]?\d++)?", re.ASCII)
_ODD_NUMBER: Final = re.compile(r"[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)
_NUMBER_MAX_CHARS: Final = 400  # as many digits as a double has before its point, and some more
_WORDS: Final = {"true": "true", "false": "false", "null": "null", "none": "null", "undefined": "null"}
_BRACKET_OR_QUOTE: Final = re.compile(r"[{}\[\]\"']")

_SURROGATES: Final = range(0xD800, 0xE000)


class Member(NamedTuple):
    """One member of the object: its name, and its value as JSON."""

    name: str
    value: str


class Scanned(NamedTuple):
    """
    The members of an object, in order, and its repairs.

    The object ends at `end`. With the repair CUT or DAMAGED its end is missing or cannot be read: then the readable
    part ends there. `merged` are the texts, as they stand, in which a quote mark counts as one more character: each may
    be several values between which a quote mark was lost.
    """

    members: list[Member]
    repairs: set[Repair]
    end: int
    merged: list[str]


class _UnreadableError(Exception):
    """The text cannot be read from here on."""

    repair = Repair.DAMAGED


class _CutError(_UnreadableError):
    """The text ends here."""

    repair = Repair.CUT


def scan(text: str, begin: int, max_depth: int) -> Scanned:
    """Read the object whose bracket stands at `begin`; a value that nests it deeper than `max_depth` becomes null."""
    return _Scanner(text, max_depth).read(begin)


def unescaped(content: str) -> tuple[str, set[Repair]]:
    """Return the content of a JSON string without its escapes, and its repairs."""
    scanner = _Scanner(content, 0)
    return scanner.decode(content), scanner.repairs


class _Scanner:
    __slots__ = ("_max_depth", "_text", "merged", "repairs")

    def __init__(self, text: str, max_depth: int) -> None:
        self._text = text
        self._max_depth = max_depth
        self.repairs: set[Repair] = set()
        self.merged: list[str] = []

    def read(self, begin: int) -> Scanned:
        members: list[Member] = []
        ends: list[int] = [begin + 1]
        try:
            at, commas = self._separators(begin + 1)
            if commas:
                self.repairs.add(Repair.SYNTAX)
            while self._peek(at) != "}":
                at = self._member(at, members, ends)
        except _UnreadableError as error:
            self.repairs.add(error.repair)
            return Scanned(members, self.repairs, ends[len(members)], self.merged)
        return Scanned(members, self.repairs, at + 1, self.merged)

    def _member(self, at: int, members: list[Member], ends: list[int]) -> int:
        """Add the member that begins here, and its end; return the place of the next one."""
        try:
            name, at = self._name(at)
        except _UnreadableError as error:
            # The value before may have ended too early, at an unescaped quote mark or a comma within it.
            if error.repair is Repair.DAMAGED and members and not members[-1].value.endswith(("}", "]")):
                members.pop()
            raise
        value, end = self._value(at)
        at, commas = self._separators(end)
        is_cut = at >= len(self._text)
        is_followed = commas or self._text[at : at + 1] == "}"
        # A number may go on behind a cut, and a text behind a quote mark and a bracket that stand unescaped in it.
        is_whole = self._text[end - 1] in "}]\"'" if is_cut else _COMMA_MISSING.match(self._text, end)
        if is_followed or is_whole:
            members.append(Member(name, value))
            ends.append(end)
        if not is_followed:
            raise _CutError if is_cut else _UnreadableError
        return at

    def _peek(self, at: int) -> str:
        if at >= len(self._text):
            raise _CutError
        return self._text[at]

    def _blanks(self, at: int) -> int:
        """Return the place behind white space and comments."""
        found = _BLANKS.match(self._text, at)
        end = found.end() if found else at
        odd = _ODD_BLANKS.match(self._text, end)
        if odd and odd[0]:
            self.repairs.add(Repair.SYNTAX)
            return odd.end()
        return end

    def _separators(self, at: int) -> tuple[int, int]:
        """Return the place behind commas, and their number; a comma too many separates nothing."""
        commas = 0
        at = self._blanks(at)
        while self._text[at : at + 1] == ",":
            commas += 1
            at = self._blanks(at + 1)
        # The first member has no comma before it, and the last none behind it.
        if commas > 1 or (commas and self._text[at : at + 1] in ("}", "]")):
            self.repairs.add(Repair.SYNTAX)
        return at, commas

    def _name(self, at: int) -> tuple[str, int]:
        """Return a name, and the place of its value."""
        if self._peek(at) in _QUOTES:
            end = self._closing(at)
            name, at = self.decode(self._text[at + 1 : end - 1]), end
        else:
            bare = _BARE_NAME.match(self._text, at)
            if bare is None:
                raise _UnreadableError
            self.repairs.add(Repair.QUOTES)
            name, at = bare[0], bare.end()
        at = self._blanks(at)
        if self._peek(at) != ":":
            raise _UnreadableError
        return name, at + 1

    def _value(self, at: int) -> tuple[str, int]:
        """Return a value as JSON, and the place behind it."""
        pieces: list[str] = []
        due: list[str] = []
        while True:
            at = self._blanks(at)
            char = self._peek(at)
            # The object itself is one level.
            begun = char in _CLOSERS and len(due) + 1 < self._max_depth
            if begun:
                due.append(_CLOSERS[char])
                pieces.append(char)
                at += 1
            else:
                value, at = self._scalar(at)
                pieces.append(value)
            at = self._close(at, due, pieces, begun=begun)
            if not due:
                return "".join(pieces), at

    def _close(self, at: int, due: list[str], pieces: list[str], *, begun: bool) -> int:
        """Close the brackets that end here; return the place of the next value, or behind the last bracket."""
        while due:
            at, commas = self._separators(at)
            if self._peek(at) == due[-1]:
                pieces.append(due.pop())
                at, begun = at + 1, False
                continue
            if begun and commas:
                self.repairs.add(Repair.SYNTAX)
            if not begun:
                if not commas:
                    raise _UnreadableError
                pieces.append(",")
            if due[-1] == "}":
                name, at = self._name(at)
                pieces.append(f"{_quoted(name)}:")
            break
        return at

    def _nested(self, at: int) -> int:
        """Return the place behind a value in brackets, of which only brackets and strings are looked at."""
        self.repairs.add(Repair.TOO_DEEP)
        due = [_CLOSERS[self._text[at]]]
        at += 1
        while due:
            found = _BRACKET_OR_QUOTE.search(self._text, at)
            if found is None:
                raise _CutError
            at, char = found.end(), found[0]
            if char in _QUOTES:
                string = _TO_QUOTE[char].match(self._text, at)
                if string is None:
                    raise _CutError
                at = string.end()
            elif char in _CLOSERS:
                due.append(_CLOSERS[char])
            elif due.pop() != char:
                raise _UnreadableError
        return at

    def _scalar(self, at: int) -> tuple[str, int]:
        """Return a string, a number or a word as JSON, and the place behind it; null for a value left out."""
        char = self._peek(at)
        if char in _CLOSERS:
            return "null", self._nested(at)
        if char in _QUOTES:
            return self._string(at)
        word = _WORD.match(self._text, at)
        if word is not None:
            return self._word(word[0]), word.end()
        if char not in ",]}":
            raise _UnreadableError
        self.repairs.add(Repair.VALUE)
        return "null", at

    def _word(self, word: str) -> str:
        if word in ("true", "false", "null"):
            return word
        known = len(word) <= _NUMBER_MAX_CHARS
        if known and _ODD_NUMBER.fullmatch(word) and math.isfinite(float(word)):
            if _NUMBER.fullmatch(word):
                return word
            self.repairs.add(Repair.VALUE)
            return f'"{word}"'
        self.repairs.add(Repair.VALUE)
        return _WORDS.get(word.lower(), "null")

    def _string(self, at: int) -> tuple[str, int]:
        """
        Return a string as JSON, and the place behind it; a quote mark behind which nothing may end is part of it.

        One that seems to hold another member cannot be read: its content would be a value that was not sent.
        """
        quote = self._text[at]
        end = self._closing(at)
        is_merged = False
        while not _BEHIND_VALUE.match(self._text, end):
            is_merged = True
            end = self._closing(end - 1, quote)
        content = self._text[at + 1 : end - 1]
        if is_merged:
            self.merged.append(content)
        if is_merged and _SWALLOWED.search(content):
            self.repairs.add(Repair.REPLACED)
            return _quoted(UNREADABLE), end
        if is_merged or quote != '"':
            self.repairs.add(Repair.QUOTES)
        elif _SOUND.fullmatch(content):
            return f'"{content}"', end
        return _quoted(self.decode(content)), end

    def _closing(self, at: int, quote: str | None = None) -> int:
        """Return the place behind the next quote mark that is not escaped, from the one that stands here."""
        found = _TO_QUOTE[quote or self._text[at]].match(self._text, at + 1)
        if found is None:
            raise _CutError
        return found.end()

    def decode(self, content: str) -> str:
        if _CONTROL.search(content):
            self.repairs.add(Repair.CONTROL_CHARACTER)
        return _ESCAPE.sub(self._character, content) if "\\" in content else content

    def _character(self, escape: re.Match[str]) -> str:
        high, low, unit, byte, letter = escape.groups()
        if high is not None:
            return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
        if unit is not None and int(unit, 16) not in _SURROGATES:
            return chr(int(unit, 16))
        if byte is not None:
            self.repairs.add(Repair.ESCAPE)
            return chr(int(byte, 16))
        if letter is None:
            self.repairs.add(Repair.REPLACED)
            return UNREADABLE
        if letter not in _LETTERS or letter == "'":
            self.repairs.add(Repair.ESCAPE)
        return _LETTERS.get(letter, f"\\{letter}")


def _quoted(text: str) -> str:
    return dumps(text).decode()
