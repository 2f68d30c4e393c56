"""
How long messages of a route stay open: the share that has no final status yet, by the time since they were sent.

The counts are those of cells, which are of any age: a cell that was sent three minutes ago says nothing of what happens
after five. So each step of a curve is counted over the cells that are old enough for it alone (the estimator of Kaplan
and Meier), and the youngest cells count for the first steps.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log
from typing import Final, NamedTuple

BOUNDS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 14400, 43200, 86400)
"""The bounds of the histograms of cells, in seconds."""

ENOUGH: Final = 200
"""A route with fewer SMS in a day has the curve of all routes together."""

_FIRST: Final = 0.5
_LEAST: Final = 1e-9

Route = tuple[str | None, str | None]
"""Country and operator."""


class Cells(NamedTuple):
    """
    The cells of a route that have the same age.

    `full` is how many of the bounds all of their SMS have passed. `within` counts delivered SMS by the bounds, each in
    the least that it does not exceed.
    """

    route: Route
    full: int
    sms: int
    final: int
    delivered: int
    within: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """The share that is still open at each of the bounds, and the number of SMS that tell it."""

    open_at: tuple[float, ...]
    sms: int

    def still_open(self, age: float) -> float:
        """Return the share that is open at an age in seconds; between bounds it falls with the logarithm of time."""
        if age <= 0:
            return 1.0
        place = bisect_left(BOUNDS, age)
        if place == len(BOUNDS):
            return self.open_at[-1]
        before, after = BOUNDS[place - 1] if place else _FIRST, BOUNDS[place]
        share_before = self.open_at[place - 1] if place else 1.0
        if age <= before:
            return share_before
        part = log(age / before) / log(after / before)
        return share_before + (self.open_at[place] - share_before) * part

    def final_within(self, age: float, seconds: float) -> float:
        """Return the chance that a message, open at an age, is final so many seconds later."""
        now = self.still_open(age)
        return 1.0 - self.still_open(age + seconds) / now if now > _LEAST else 0.0


class Curves:
    """The curve of each route, and that of all together."""

    def __init__(self, cells: Iterable[Cells]) -> None:
        by_route: dict[Route, list[Cells]] = {}
        for one in cells:
            by_route.setdefault(one.route, []).append(one)
        self.all = curve_of([one for of_route in by_route.values() for one in of_route])
        self._of: Mapping[Route, Curve] = {
            route: curve for route, found in by_route.items() if (curve := curve_of(found)).sms >= ENOUGH
        }

    def of(self, route: Route) -> Curve:
        """Return the curve of a route."""
        return self._of.get(route, self.all)


def curve_of(cells: list[Cells]) -> Curve:
    """Return the curve of some cells, all of one route or of several."""
    share, shares = 1.0, []
    for place in range(len(BOUNDS)):
        old_enough = [one for one in cells if one.full > place]
        at_risk = sum(_open_before(one, place) for one in old_enough)
        ended = sum(_ended_within(one, place) for one in old_enough)
        if at_risk >= 1:
            share *= max(0.0, 1.0 - ended / at_risk)
        shares.append(share)
    return Curve(tuple(shares), sum(one.sms for one in cells))


def _open_before(cells: Cells, place: int) -> float:
    return cells.sms - _scale(cells) * sum(cells.within[:place])


def _ended_within(cells: Cells, place: int) -> float:
    return _scale(cells) * cells.within[place]


def _scale(cells: Cells) -> float:
    """Return final SMS for each delivered one with a latency: cells do not say how long the others took."""
    timed = sum(cells.within)
    return cells.final / timed if timed else 0.0
