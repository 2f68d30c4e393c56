"""
Numbers and texts, masked: a number keeps its last three digits, a text none of its letters. Pure.
"""

import re
from typing import Any, Final

from streams.contract.personal import without_numbers

_SHOWN: Final = 3
_SHORTEST: Final = 7
_DOT: Final = "•"
_TEXTS: Final = frozenset({"message", "text", "body"})
_NUMBERS: Final = frozenset({"to", "recipient", "from", "sender"})
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_IDS: Final = frozenset({"messageId", "smsId", "campaignTrackingId", "trackingId"})


def masked_number(number: str | None) -> str | None:
    """Return `+30•••••••415`; a pseudonym or a number that is masked already stays as it is."""
    if number is None or not number.lstrip("+").isdecimal():
        return number
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


def masked_callback(value: Any, name: str = "") -> Any:  # noqa: ANN401 - JSON is any
    """Return a callback as Routee sent it, without numbers and texts; every other value stays."""
    if isinstance(value, dict):
        return {key: masked_callback(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [masked_callback(one, name) for one in value]
    if name in _NUMBERS and isinstance(value, str | int) and not isinstance(value, bool):
        return masked_number(str(value)) if _is_number(str(value)) else masked_words(str(value))
    if name in _TEXTS and isinstance(value, str):
        return masked_text(value)
    if isinstance(value, str) and name not in _IDS and not _DATE.match(value):
        return masked_words(value)
    return value


def _is_number(text: str) -> bool:
    return text.lstrip("+").isdecimal()
