"""
Text from outside made safe to show: no control character of it reaches a terminal.

A campaign's name, an operator, an error that quotes them: the sender of a callback chooses these. A terminal obeys
escape sequences in them, and shows their letters in another order where it is told to.
"""

import json
import unicodedata
from typing import Final

# Control characters (C0, DEL, C1), invisible ones that format (direction, zero width), lone surrogates, ends of lines
# and paragraphs. All other categories are shown, also what this Python's Unicode does not know yet: new emoji.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# They join and part letters of Persian and of Indian scripts, and parts of emoji; they move nothing.
_JOINERS: Final = frozenset({"\u200c", "\u200d"})


def printable(text: str) -> str:
    r"""Return the text in one line; a character that is not to be shown stands there as `\n`, `\x1b` or `\u202e`."""
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def printable_lines(text: str) -> str:
    """Return the text as `printable`, with its own line ends."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    """Return a text of JSON that means the same, with such characters of its strings as JSON's own escapes."""
    if text.isprintable():
        return text
    return "".join(json.dumps(character)[1:-1] if _is_hidden(character) else character for character in text)


def _shown(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii") if _is_hidden(character) else character


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS
