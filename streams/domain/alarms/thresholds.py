"""
The thresholds that routes have of their own, as the setting has them.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from streams.domain.alarms.alarm import subject_of

_LEAST, _MOST = 5.0, 1000.0
_FORM: Final = '[["GR","Cosmote",25]] is the form: country, operator and a number'


def parse_thresholds(text: str) -> dict[str, float]:
    """Return subject of a route → its deviance; ValueError that names every fault, in the order of the routes."""
    if not text:
        return {}
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError(f"it is no JSON: {_FORM}") from None
    if not isinstance(given, list):
        raise ValueError(f"a list is expected: {_FORM}")  # noqa: TRY004 - a value of a setting
    if faults := [*_faults(given)]:
        raise ValueError("; ".join(faults))
    return {subject_of((country, operator)): float(deviance) for country, operator, deviance in given}


def _faults(given: list[Any]) -> Iterator[str]:
    seen = set[tuple[str, str]]()
    for number, one in enumerate(given, 1):
        match one:
            case [str(country), str(operator), int() | float() as deviance] if not isinstance(deviance, bool):
                if not _LEAST <= deviance <= _MOST:
                    yield f"route {number}: a number from {_LEAST:g} to {_MOST:g} is expected"
                if (country, operator) in seen:
                    yield f"route {number}: it is named twice"
                seen.add((country, operator))
            case _:
                yield f"route {number}: {_FORM}"
