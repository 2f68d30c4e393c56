"""
The query of the list of alarms. Pure.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from streams.read_api.parameters import Readers, read_parameters

_WORDS: Final = {"true": True, "false": False}


class AlarmQuery(NamedTuple):
    """The wanted alarms (None: all), and every fault, as a phrase each; none when it is right."""

    is_open: bool | None
    faults: list[str]


def read_alarm_query(given: Sequence[tuple[str, str]]) -> AlarmQuery:
    """Return the query of a list by its parameters. Faults repeat no value."""
    read, faults = read_parameters(given, _READERS)
    return AlarmQuery(read.get("open"), faults)


def _is_open(text: str) -> bool:
    if text not in _WORDS:
        raise ValueError("true or false is expected")
    return _WORDS[text]


_READERS: Final[Readers] = {"open": _is_open}
