"""
Numbers and texts, masked: a number keeps its last three digits, a text none of its letters. Pure.
"""

import json
import re
from typing import Any, Final

from streams.contract.personal import Withholding, kept_body, without_numbers

_SHOWN: Final = 3
_SHORTEST: Final = 7
_DOT: Final = "•"
_PSEUDONYM: Final = re.compile(r"[0-9A-Fa-f]{64}")


def masked_number(number: str | None) -> str | None:
    """Return `+30•••••••415`; a pseudonym or a number that is masked already stays as it is."""
    if number is None or _PSEUDONYM.fullmatch(number):
        return number
    if not number.lstrip("+").isdecimal():  # in another spelling, or none
        return without_numbers(number)
    lead = "+" if number.startswith("+") else ""
    digits = number.removeprefix("+")
    if len(digits) < _SHORTEST:
        return lead + _DOT * len(digits)
    country = digits[:2] if lead else ""
    return f"{lead}{country}{_DOT * (len(digits) - len(country) - _SHOWN)}{digits[-_SHOWN:]}"


def masked_words(text: str | None) -> str | None:
    """Return a name or a label without the numbers in it."""
    return None if text is None else without_numbers(text)


def masked_text(text: str | None) -> str | None:
    """Return a text without its words; its length is told."""
    return None if text is None else f"{_DOT * 3} ({len(text)} characters)"


_MASKED: Final = Withholding(number=masked_number, drops_texts=True, masks_texts=True)


def masked_callback(value: Any) -> Any:  # noqa: ANN401 - JSON is any
    """Return a callback as Routee sent it, without numbers and texts; None when it cannot be looked through."""
    try:
        kept = kept_body(json.dumps(value).encode(), _MASKED).body
    except RecursionError:
        return None
    return _with_lengths(value, json.loads(kept)) if kept else None


def _with_lengths(value: Any, kept: Any) -> Any:  # noqa: ANN401 - JSON is any
    """Return the kept form of a value, with the length of each text that was left out."""
    match value, kept:
        case dict(), dict() if len(value) == len(kept):
            return {key: _with_lengths(was, now) for was, (key, now) in zip(value.values(), kept.items(), strict=True)}
        case list(), list() if len(value) == len(kept):
            return [_with_lengths(was, now) for was, now in zip(value, kept, strict=True)]
        case str(), None:
            return masked_text(value)
        case _:
            return kept
