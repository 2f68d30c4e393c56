"""
Operators that break for a while: they deliver fewer SMS, or later, or tell nothing until it is over.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from sandbox.emulator.traffic.chance import stream
from sandbox.emulator.traffic.model import Change, Route
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.world import ROUTES

_LAST_PART: Final = (0.9, 0.93)
"""Of the time of the traffic, when a break begins: before, the ordinary times can be learnt."""
_SECONDS: Final = (2400, 3600)
_LOST: Final = (0.5, 0.8)
_SLOWER: Final = (100.0, 300.0)


_HELD_FASTER: Final = 10
"""Changes that were held back come so many times as fast."""


class Kind(StrEnum):
    """The ways in which an operator breaks."""

    SHARE = "share"
    LATENCY = "latency"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Break:
    """
    An operator that is broken from `begins` to `ends`, seconds since 1970-01-01 UTC.

    `degree` is the part of its deliveries that is lost, the factor of its latency, or without a meaning in a silence.
    """

    route: Route
    kind: Kind
    begins: float
    ends: float
    degree: float


def breaks(options: TrafficOptions, start: float) -> list[Break]:
    """
    Return the operators that break during the traffic of the options, each another one.

    They are among the largest: others have too little traffic for a break to show.
    """
    random = stream(options.seed, "breaks")
    largest = sorted(ROUTES[: options.operators], key=lambda route: -route.share)[: options.breaks + 1]
    planned = []
    for route in random.sample(largest, min(options.breaks, len(largest))):
        kind = random.choice([*Kind])
        begins = start + random.uniform(*_LAST_PART) * options.singles_seconds
        ends = begins + random.uniform(*_SECONDS)
        degree = random.uniform(*(_SLOWER if kind is Kind.LATENCY else _LOST))
        planned.append(Break(route, kind, begins, ends, degree))
    return planned


def broken(route: Route, planned: list[Break], at: float) -> Route:
    """Return how a route is at a time."""
    for one in planned:
        if one.route == route and one.begins <= at < one.ends:
            if one.kind is Kind.SHARE:
                delivered, undelivered, failed, unsent = route.outcomes
                lost = delivered * one.degree
                return replace(route, outcomes=(delivered - lost, undelivered + lost, failed, unsent))
            if one.kind is Kind.LATENCY:
                return replace(route, latency=route.latency * one.degree)
    return route


def held(changes: tuple[Change, ...], route: Route, planned: list[Break]) -> tuple[Change, ...]:
    """Return the changes of an SMS, those of a silent operator when its silence is over."""
    for one in planned:
        if one.route == route and one.kind is Kind.SILENCE:
            return tuple(_after(one, change, changes[0].updated_at) for change in changes)
    return changes


def _after(silence: Break, change: Change, queued_at: int) -> Change:
    if not change.status.is_final or not silence.begins <= change.at < silence.ends:
        return change
    at = silence.ends + (change.at - silence.begins) / _HELD_FASTER
    return replace(change, at=at, latency=int(at) - queued_at)
