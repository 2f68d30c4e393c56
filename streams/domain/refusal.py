"""
A refusal as a value: why input could not be used. The core does not use exceptions for decisions.
"""

from typing import Any, Final, NamedTuple

from streams.contract.records import Reason


class Refusal(NamedTuple):
    """Why one callback is not taken in; `detail` names the field and the expected form, never personal data."""

    reason: Reason
    detail: str
    of_code: bool = False
    """Its message is known to carry a one-time code, whether the callback says so or not."""


ID_MAX_CHARS: Final = 256

NIL_ID: Final = "00000000-0000-0000-0000-000000000000"
_NO_IDS: Final = frozenset({"", "null", "none", "nil", "undefined", "n/a", "-", "0", NIL_ID})
NO_ID_MAX_CHARS: Final = 9
"""Of the texts that stand for no id, all but NIL_ID are this short."""


def given_id(text: str | None) -> str | None:
    """Return an id, None for a text that stands for none: all SMS that have it would be one."""
    if text is None or (len(text) <= NO_ID_MAX_CHARS and text.strip().lower() in _NO_IDS):
        return None
    return None if text == NIL_ID else text


def usable_id(value: Any) -> bool:  # noqa: ANN401 - JSON is any
    """Tell whether a value can be an id: text of 1 to 256 characters (Routee's are UUIDs of 36)."""
    return value.__class__ is str and 0 < len(value) <= ID_MAX_CHARS
