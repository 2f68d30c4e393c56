"""
Simulated campaigns: routes with their latencies, sent at a pace, told of at every change or only when final.

The cells of the day before are drawn from the same routes, and the truth is known. Some routes are slower today.
"""

from dataclasses import dataclass
from functools import cache
from random import Random

from console.eta.estimate import Cohort
from console.eta.survival import BOUNDS, Cells, Curves, Route

STEP = 30.0


@dataclass(frozen=True)
class Law:
    """How a route delivers: the median of its latency, the spread of its logarithm, the share that is never final."""

    median: float
    sigma: float
    never: float

    def latency(self, random: Random) -> float | None:
        return None if random.random() < self.never else random.lognormvariate(0, self.sigma) * self.median


@dataclass(frozen=True)
class Sent:
    route: Route
    at: float
    final_at: float | None


@dataclass(frozen=True)
class Simulated:
    messages: list[Sent]
    curves: Curves
    only_finals: bool

    @property
    def total(self) -> int:
        return len(self.messages)

    def when_final(self, share: float) -> float:
        """Return the moment at which a share is final, infinite when it never is."""
        times = sorted(one.final_at if one.final_at is not None else float("inf") for one in self.messages)
        return times[int(share * self.total + 0.999999) - 1]

    def cohorts(self, now: float) -> list[Cohort]:
        known: dict[tuple[Route, int], tuple[int, int]] = {}
        for one in self.messages:
            is_final = one.final_at is not None and one.final_at <= now
            if one.at > now or (self.only_finals and not is_final):
                continue
            key = one.route, int(one.at // STEP)
            count, final = known.get(key, (0, 0))
            known[key] = count + 1, final + is_final
        return [
            Cohort(self.curves.of(route), max(0.0, now - (step + 0.5) * STEP), count, final)
            for (route, step), (count, final) in known.items()
        ]


@cache
def simulated(seed: int, *, only_finals: bool) -> Simulated:
    random = Random(seed)  # noqa: S311 - the same campaign for the same seed
    every: list[Route] = [("GR", "A"), ("GR", "B"), ("IN", "C"), ("NG", "D")]
    routes = every[: random.randint(1, 4)]
    laws = {route: Law(random.uniform(4, 90), random.uniform(0.5, 1.1), random.uniform(0, 0.006)) for route in routes}
    curves = Curves(yesterday(laws, random))
    today = {route: Law(law.median * random.uniform(0.93, 1.07), law.sigma, law.never) for route, law in laws.items()}
    total, lasts = random.randint(800, 12_000), random.uniform(60, 1500)
    messages = []
    for number in range(total):
        route = random.choice(routes)
        at = lasts * number / total
        latency = today[route].latency(random)
        messages.append(Sent(route, at, None if latency is None else at + latency))
    return Simulated(messages, curves, only_finals)


def yesterday(laws: dict[Route, Law], random: Random) -> list[Cells]:
    """Return the cells of a day: windows of five minutes, of which the youngest are not over."""
    cells = []
    for route, law in laws.items():
        for window in range(96):
            age = 150.0 + window * 900.0
            latencies = [law.latency(random) for _ in range(25)]
            done = [one for one in latencies if one is not None and one <= age]
            within = [0] * len(BOUNDS)
            for latency in done:
                place = next((index for index, bound in enumerate(BOUNDS) if latency <= bound), None)
                if place is not None:
                    within[place] += 1
            full = sum(bound <= age for bound in BOUNDS)
            cells.append(Cells(route, full, len(latencies), len(done), len(done), tuple(within)))
    return cells
