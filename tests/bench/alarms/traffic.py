"""
Invented traffic of one account: 50 routes of all sizes, with campaigns, bad lists, maintenance and outages of clients.

One seed gives the same traffic. A route's SMS are counted by window of sending and sender, with the deliveries within
each of `EDGES` seconds.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

EDGES: Final = (10, 30, 60, 120, 300, 900)
HOUR, DAY = 12, 288
ROUTES: Final = 50
_ROUTES_OF_A_COUNTRY: Final = 3
_API_SENDERS, _BRANDS = 12, 6
_CAMPAIGNS_OF_A_DAY: Final = 12


@dataclass(frozen=True)
class Operator:
    """How an operator delivers: the chance of an SMS to be delivered within each edge, in ordinary times."""

    share: Floats
    median: Floats
    sigma: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, windows: int) -> "Operator":
        """Draw an operator: its share and latency vary by day, hour and window."""
        days, hours = windows // DAY + 1, windows // HOUR + 1
        mean, rho = rng.uniform(0.86, 0.985), rng.choice([0.0005, 0.002, 0.006])
        spread = 1 / rho - 1
        by_day = np.clip(rng.beta(mean * spread, (1 - mean) * spread, days), 0.02, 0.999)
        logit = np.log(by_day / (1 - by_day)).repeat(DAY)[:windows]
        by_hour = _ar(rng, hours, 0.7, rng.uniform(0.1, 0.25) * np.sqrt(1 - 0.7**2))
        logit += by_hour.repeat(HOUR)[:windows] + rng.normal(0, rng.uniform(0.05, 0.15), windows)
        median = np.exp(rng.uniform(np.log(5), np.log(40)))
        by_day = rng.normal(0, 0.12, days).repeat(DAY)[:windows]
        slow_nights = rng.choice([1.0, 1.0, 1.5, 2.5])
        hour_of_day = np.arange(windows) // HOUR % 24
        medians = median * np.exp(by_day + rng.normal(0, 0.08, windows))
        medians = np.where((hour_of_day >= 1) & (hour_of_day < 6), medians * slow_nights, medians)
        return cls(1 / (1 + np.exp(-logit)), medians, float(np.log(rng.uniform(3, 9)) / 1.2816))

    def within(self, share: Floats, slower: Floats) -> Floats:
        """Return the chance to be delivered within each edge: windows by edges."""
        edges = np.log(np.array(EDGES))[None, :]
        return share[:, None] * _normal_cdf((edges - np.log(self.median * slower)[:, None]) / self.sigma)


@dataclass(frozen=True)
class Route:
    """
    One route: its mean volume an hour, and windows by senders, or by senders and edges of SMS.

    `sent` and `within` have the steady senders first. `planned` marks windows of maintenance, `bad_list` those of a
    campaign with a bad list, each with the 75 minutes after it.
    """

    volume: float
    senders: tuple[str, ...]
    sent: Counts
    within: Counts
    planned: NDArray[np.bool_]
    bad_list: NDArray[np.bool_]


def account(seed: int, days: int, routes: int = ROUTES) -> list[Route]:
    """Return the routes of an account."""
    rng = np.random.default_rng(seed)
    windows = days * DAY
    volumes = rng.permutation(np.exp(np.linspace(np.log(5), np.log(20_000), routes)))
    clients = _clients(rng, windows)
    campaigns = _campaigns(rng, windows, routes)
    return [_route(rng, at, float(volumes[at]), windows, clients, campaigns) for at in range(routes)]


@dataclass(frozen=True)
class _Campaign:
    country: int
    brand: int
    begin: int
    windows: int
    size: float
    """In hours of the route's mean volume."""
    share: float
    is_bad: bool


def _clients(rng: np.random.Generator, windows: int) -> Floats:
    """Return how much each API sender sends of its usual: senders by windows; 0 in its own outages."""
    level = np.exp(_ar_many(rng, _API_SENDERS, windows, 0.95, 0.07))
    for sender in range(_API_SENDERS):
        for begin in np.flatnonzero(rng.random(windows) < 1 / (10 * DAY)):
            level[sender, begin : begin + rng.integers(6, 37)] = 0
    return level


def _campaigns(rng: np.random.Generator, windows: int, routes: int) -> list[_Campaign]:
    made = []
    for day in range(windows // DAY):
        for _ in range(_CAMPAIGNS_OF_A_DAY):
            is_bad = rng.random() < 0.06
            share = rng.beta(30, 1.5) * (rng.uniform(0.2, 0.7) if is_bad else 1)
            begin = day * DAY + int(rng.uniform(7, 20) * HOUR)
            country = int(rng.integers(-(-routes // _ROUTES_OF_A_COUNTRY)))
            size, length = 1.5 * rng.lognormal(0, 1), int(rng.integers(1, 7))
            made.append(_Campaign(country, int(rng.integers(_BRANDS)), begin, length, size, share, is_bad))
    return made


def _day_profile(rng: np.random.Generator, windows: int) -> Floats:
    """Return the volume by time of day and day of the week, around 1; clocks change in the middle."""
    at = np.arange(windows)
    hour = (at / HOUR + (at >= windows // 2)) % 24
    shape = 0.06 + np.exp(-(((hour - 10.5) / 2.6) ** 2) / 2) + 0.9 * np.exp(-(((hour - 17.5) / 2.6) ** 2) / 2)
    weekend = np.where(at // DAY % 7 >= 5, rng.uniform(0.3, 0.8), 1.0)
    profile: Floats = shape / shape.mean() * weekend
    return profile


def _route(  # noqa: PLR0917 - what the account has
    rng: np.random.Generator, at: int, volume: float, windows: int, clients: Floats, campaigns: list[_Campaign]
) -> Route:
    operator = Operator.drawn(rng, windows)
    share, slower, planned = _with_maintenance(rng, operator.share, windows)
    count = 1 if volume < 60 else int(rng.integers(1, 5))
    chosen = rng.choice(_API_SENDERS, count, replace=False)
    weights = rng.dirichlet([2.0] * count)
    profile = 0.7 * volume / HOUR * _day_profile(rng, windows)
    own = np.exp(_ar_many(rng, count, windows, 0.9, 0.08))
    shares = [share * rng.uniform(0.96, 1) for _ in range(count)]
    rates = [profile * weights[i] * clients[chosen[i]] * own[i] for i in range(count)]
    bad_list = np.zeros(windows, dtype=bool)
    brands = np.zeros((_BRANDS, windows))
    brand_share = np.ones((_BRANDS, windows))
    for campaign in campaigns:
        if campaign.country == at // _ROUTES_OF_A_COUNTRY:
            span = slice(campaign.begin, campaign.begin + campaign.windows)
            brands[campaign.brand, span] += campaign.size * volume / campaign.windows
            brand_share[campaign.brand, span] = campaign.share
            if campaign.is_bad:
                bad_list[campaign.begin : campaign.begin + campaign.windows + 15] = True
    used = np.flatnonzero(brands.any(axis=1))
    names = [f"api-{c}" for c in chosen] + [f"brand-{b}" for b in used]
    rates += [brands[b] for b in used]
    shares += [share * brand_share[b] for b in used]
    sent = rng.poisson(np.array(rates)).T
    within = np.stack(
        [delivered(rng, sent[:, i], operator.within(shares[i], slower)) for i in range(len(names))], axis=1
    )
    return Route(volume, tuple(names), sent, within, planned, bad_list)


def delivered(rng: np.random.Generator, sent: Counts, chance: Floats) -> Counts:
    """Return how many of `sent` were delivered within each edge: chained binomials, the last edge first."""
    counts = np.empty(chance.shape, dtype=np.int64)
    left, before = sent, np.ones(len(sent))
    for edge in reversed(range(chance.shape[1])):
        ratio = np.clip(chance[:, edge] / np.maximum(before, 1e-12), 0, 1)
        left = counts[:, edge] = rng.binomial(left, ratio)
        before = chance[:, edge]
    return counts


def _with_maintenance(
    rng: np.random.Generator, share: Floats, windows: int
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    share, slower, planned = share.copy(), np.ones(windows), np.zeros(windows, dtype=bool)
    for month in range(windows // (30 * DAY)):
        begin = (month * 30 + int(rng.integers(30))) * DAY + int(rng.uniform(2, 4.5) * HOUR)
        end = begin + int(rng.integers(6, 13))
        if rng.random() < 0.5:
            share[begin:end] *= rng.uniform(0.2, 0.6)
        else:
            slower[begin:end] = 20.0
        planned[begin : end + 15] = True
    return share, slower, planned


def _ar_many(rng: np.random.Generator, series: int, length: int, keep: float, step: float) -> Floats:
    """Return autoregressive noise: series by length, begun in its steady state."""
    noise = rng.normal(0, step, (length, series))
    noise[0] /= np.sqrt(1 - keep**2)
    for at in range(1, length):
        noise[at] += keep * noise[at - 1]
    series_first: Floats = noise.T
    return series_first


def _ar(rng: np.random.Generator, length: int, keep: float, step: float) -> Floats:
    series: Floats = _ar_many(rng, 1, length, keep, step)[0]
    return series


def _normal_cdf(z: Floats) -> Floats:
    """Return the normal distribution function, right to seven decimals (Abramowitz and Stegun, 26.2.17)."""
    t = 1 / (1 + 0.2316419 * np.abs(z))
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * series
    below: Floats = np.where(z >= 0, 1 - tail, tail)
    return below
