"""
How one SMS lives: queued, sent, and an end that its operator decides.
"""

from dataclasses import replace
from decimal import Decimal
from math import log
from random import Random
from typing import Final

from sandbox.emulator.traffic.model import FINALS, Change, Route, Status
from sandbox.emulator.traffic.world import OUTCOMES, endings

_SENT_DESCRIPTION: Final = "The SMS was sent to its recipient."
_FREE: Final = Decimal("0.00000000")
_NOT_CHARGED: Final = frozenset({Status.FAILED, Status.UNSENT})
_LONGEST_DELIVERY: Final = 3000.0
_SAME_SECOND: Final = 0.2
_CONFLICT_WITHIN: Final = 600.0


def outcome(random: Random, route: Route, *, campaign: bool) -> Status:
    """Return how an SMS ends on a route. Only campaigns know `Unsent`."""
    status = random.choices(OUTCOMES, route.outcomes)[0]
    return status if campaign or status is not Status.UNSENT else Status.FAILED


def life(random: Random, route: Route, queued_at: float, sent_at: float, final: Status) -> tuple[Change, ...]:
    """Return the changes of an SMS that ends as `final`, oldest first."""
    queued = Change(Status.QUEUED, queued_at, route.price)
    if final in _NOT_CHARGED:
        return queued, _end(random, route, queued_at, queued_at, final)
    sent = Change(Status.SENT, sent_at, route.price, detail="Sent", description=_SENT_DESCRIPTION)
    return queued, sent, _end(random, route, queued_at, sent_at, final)


def _end(random: Random, route: Route, queued_at: float, since: float, final: Status) -> Change:
    ways = endings(final, route.country)
    ending = random.choices(ways, [way.share for way in ways])[0]
    wait = _delivery_time(random, route) if final is Status.DELIVERED else random.uniform(*ending.wait)
    price = _FREE if final in _NOT_CHARGED else route.price
    latency = max(0, int(since + wait) - int(queued_at))
    return Change(final, since + wait, price, latency, ending.detail, ending.description)


def _delivery_time(random: Random, route: Route) -> float:
    return min(random.lognormvariate(log(route.latency), route.spread), _LONGEST_DELIVERY)


def contradicted(random: Random, route: Route, changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Return the same life followed by a different final status, sometimes within the same second."""
    first = changes[-1]
    status = random.choice(sorted(FINALS - {first.status, Status.UNSENT}))
    second = _end(random, route, changes[0].at, first.at, status)
    within = random.random() < _SAME_SECOND
    at = first.updated_at + 0.999 if within else first.at + random.uniform(1, _CONFLICT_WITHIN)
    return *changes, replace(second, at=at, latency=max(0, int(at) - changes[0].updated_at))
