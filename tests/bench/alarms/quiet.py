"""
SMS that are told only when they are final: outages of a route, found by the other routes of its senders.
"""

from collections import defaultdict
from typing import Final, NamedTuple

import numpy as np

from streams.domain.alarms.route_quiet import RouteQuiet, Steadiness, judge_routes
from tests.bench.alarms.traffic import DAY, EDGES, HOUR, Counts, account

_EPOCH: Final = 20_000 * DAY
_BEGIN: Final = 10 * DAY
"""The first days teach the usual."""
_OUTAGES, _WINDOWS = 100, 24
_SIZES: Final = (30, 100, 300, 1_000, 3_000)


class Outage(NamedTuple):
    """A total outage of two hours: its route, its first window, how much of that it has, and what came before."""

    route: int
    window: int
    part: float
    steady: float
    """Steady deliveries an hour of the two hours before."""


class QuietRun(NamedTuple):
    """The figures of one seed."""

    hours: int
    false: int
    after: list[tuple[float, float]]
    """Of each outage: steady deliveries an hour before, and minutes until the alarm; infinite when there was none."""


def quiet_run(seed: int, days: int) -> QuietRun:
    """Let an account's routes fail now and then; count the alarms."""
    routes = account(seed, days)
    delivered = [route.within[:, :, EDGES.index(300)].copy() for route in routes]
    steady = [[at for at, name in enumerate(route.senders) if name.startswith("api-")] for route in routes]
    rng = np.random.default_rng([seed, 1])
    outages = [_fail(rng, delivered, steady, days) for _ in range(_OUTAGES)]
    opened = _opened(delivered, [route.senders for route in routes], days)
    hours = (days - 8) * 24 * len(routes)
    near: dict[int, list[Outage]] = defaultdict(list)
    for outage in outages:
        near[outage.route].append(outage)
    false = sum(
        not routes[route].planned[window]
        and not any(one.window <= window <= one.window + _WINDOWS + HOUR for one in near[route])
        for route, window in opened
    )
    return QuietRun(hours, false, [(one.steady, _found(one, opened)) for one in outages])


def _fail(rng: np.random.Generator, delivered: list[Counts], steady: list[list[int]], days: int) -> Outage:
    route, window = int(rng.integers(len(delivered))), int(rng.integers(_BEGIN, days * DAY - 2 * _WINDOWS))
    counts, part = delivered[route], float(rng.random())
    before = counts[window - _WINDOWS : window, steady[route]].sum() / (_WINDOWS / HOUR)
    counts[window] = rng.binomial(counts[window], 1 - part)
    counts[window + 1 : window + _WINDOWS] = 0
    return Outage(route, window, part, float(before))


def _opened(delivered: list[Counts], senders: list[tuple[str, ...]], days: int) -> list[tuple[int, int]]:
    """Return route and window of each alarm."""
    counts = [one.tolist() for one in delivered]
    steadiness, routes = Steadiness(), dict[str, RouteQuiet]()
    opened = []
    for window in range(days * DAY):
        told = {
            f"{at:02}": {name: count for name, count in zip(senders[at], counts[at][window], strict=True) if count}
            for at in range(len(counts))
        }
        events = judge_routes(steadiness, routes, _EPOCH + window, told)
        opened += [(int(event.route), window) for event in events if event.reason is None]
    return opened


def _found(outage: Outage, opened: list[tuple[int, int]]) -> float:
    """Return the minutes from the outage to its alarm: a window is judged five minutes after its end."""
    began = (outage.window + 1 - outage.part) * 5
    return min(
        (
            (window + 2) * 5 - began
            for route, window in opened
            if route == outage.route and outage.window <= window <= outage.window + _WINDOWS
        ),
        default=float("inf"),
    )


def size_of(steady: float) -> str:
    """Return the class of a volume."""
    return next((f"to {size}" for size in _SIZES if steady < size), "more")
