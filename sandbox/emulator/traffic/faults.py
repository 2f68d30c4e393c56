"""
Faults on the way from Routee to a callback URL: callbacks are delayed, repeated, reordered and lost.
"""

from dataclasses import dataclass
from random import Random
from typing import Final

from sandbox.emulator.traffic.options import TrafficOptions

_JITTER_SECONDS: Final = (0.05, 0.6)
_REORDERED_BY_SECONDS: Final = (2.0, 120.0)
_COPIED_WITHIN_SECONDS: Final = (0.5, 90.0)
_ANOTHER_COPY: Final = 0.1


@dataclass(frozen=True, slots=True)
class Arrival:
    """One attempt to come through at a time; `lost` ones never do."""

    at: float
    copy: bool = False
    lost: bool = False


def arrivals(random: Random, options: TrafficOptions, at: float) -> list[Arrival]:
    """Return when a callback made at a time comes through: once, again, or never."""
    at += random.uniform(*_JITTER_SECONDS)
    if random.random() < options.reorder:
        at += random.uniform(*_REORDERED_BY_SECONDS)
    if random.random() < options.lost:
        return [Arrival(at, lost=True)]
    found = [Arrival(at)]
    chance = options.duplicates
    while random.random() < chance:
        found.append(Arrival(at + random.uniform(*_COPIED_WITHIN_SECONDS), copy=True))
        chance = _ANOTHER_COPY
    return found
