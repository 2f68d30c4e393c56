"""
A refusal as a value: why input could not be used. The core does not use exceptions for decisions.
"""

from typing import Any, Final, NamedTuple

from streams.contract.keys import given_id
from streams.contract.records import Reason


class Refusal(NamedTuple):
    """Why one callback is not taken in; `detail` names the field and the expected form, never personal data."""

    reason: Reason
    detail: str
    of_code: bool = False
    """Its message is known to carry a one-time code, whether the callback says so or not."""


ID_MAX_CHARS: Final = 256


def fault_of_id(value: Any) -> str | None:  # noqa: ANN401 - JSON is any
    """Return why a value is no id, None for one: text of 1 to 256 characters (Routee's are UUIDs of 36)."""
    if value.__class__ is not str or not 0 < len(value) <= ID_MAX_CHARS:
        return f"expected text of 1 to {ID_MAX_CHARS} characters"
    return "expected an id, and not a text that stands for none" if given_id(value) is None else None
