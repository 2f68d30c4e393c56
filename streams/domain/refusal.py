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


def usable_id(value: Any) -> bool:  # noqa: ANN401 - JSON is any
    """Tell whether a value can be an id: text of 1 to 256 characters (Routee's are UUIDs of 36)."""
    return value.__class__ is str and 0 < len(value) <= ID_MAX_CHARS
