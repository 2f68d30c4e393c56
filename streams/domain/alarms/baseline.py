"""
The ordinary times of a route: its share by hour of the day, its level of the last hours, and how both vary.
"""

from typing import Final

import msgspec

WINDOWS_OF_HOUR: Final = 12
WINDOWS_OF_DAY: Final = 24 * WINDOWS_OF_HOUR

_OF_A_DAY: Final = 2 ** (-1 / 7)
_OF_A_WINDOW_OF_LEVEL: Final = 2 ** (-1 / (3 * WINDOWS_OF_HOUR))
_OF_A_WINDOW_OF_SPREAD: Final = 2 ** (-1 / (14 * WINDOWS_OF_DAY))

_PRIOR: Final = 100.0
"""The share of an hour begins as if so many SMS of it had had the share of all hours."""
_LEAST_SHARE, _MOST_SHARE = 0.02, 0.995
_LEVEL_PRIOR: Final = 200.0
_LEAST_LEVEL, _MOST_LEVEL = 0.93, 1.05
_RHO_PRIOR: Final = (0.8, 200.0)
_LEAST_RHO, _MOST_RHO = 0.001, 0.03
_OUTLIER: Final = 9.0
"""A squared residual counts as so many times the expected one at most: one bad hour does not make a route deaf."""


_SATURDAY: Final = 5


def week_slot(day: int, hour: int) -> int:
    """Return 0 to 47: an hour of weekdays, or of weekends; `day` counts from 1970, in UTC."""
    # The first day of 1970 was a Thursday.
    return hour + 24 * ((day + 3) % 7 >= _SATURDAY)


def _zeros() -> list[float]:
    return [0.0] * 24


class Baseline(msgspec.Struct):
    """
    The usual share of one horizon of one route. Hours are of UTC.

    All counts are effective ones: `n` SMS of a window tell no more than n/(1 + (n-1)·rho) that are independent, so one
    campaign is not the usual for a week. Counts halve in a week, the level in three hours, the spread in two weeks.
    """

    hour_sent: list[float] = msgspec.field(default_factory=_zeros)
    hour_seen: list[float] = msgspec.field(default_factory=_zeros)
    all_sent: float = 0.0
    all_seen: float = 0.0
    level_usual: float = 0.0
    level_seen: float = 0.0
    spread: float = 0.0
    spread_weight: float = 0.0
    rho: float = _RHO_PRIOR[0] / _RHO_PRIOR[1]
    day: int = 0
    window: int = 0
    """The last window that was learnt."""

    def share(self, window: int) -> float:
        """Return the share to expect of a window."""
        level = (self.level_seen + _LEVEL_PRIOR) / (self.level_usual + _LEVEL_PRIOR)
        level = min(max(level, _LEAST_LEVEL), _MOST_LEVEL)
        return min(max(self._usual(window) * level, _LEAST_SHARE), _MOST_SHARE)

    def known(self, window: int) -> float:
        """Return how many SMS the expected share of a window rests on."""
        return min(self.hour_sent[window // WINDOWS_OF_HOUR % 24] + _PRIOR, self.all_sent + 1)

    def learn(self, window: int, n: int, x: int, expected: float) -> None:
        """Learn a window: `x` of `n`, of which a share was expected when it was judged."""
        self._age(window)
        usual, hour = self._usual(window), window // WINDOWS_OF_HOUR % 24
        effective = n / (1 + (n - 1) * self.rho)
        seen = effective * x / n
        self.hour_sent[hour] += effective
        self.hour_seen[hour] += seen
        self.all_sent += effective
        self.all_seen += seen
        self.level_usual += effective * usual
        self.level_seen += seen
        self._learn_spread(n, x, expected)

    def _usual(self, window: int) -> float:
        hour = window // WINDOWS_OF_HOUR % 24
        of_all = (self.all_seen + 9) / (self.all_sent + 10)
        return (self.hour_seen[hour] + _PRIOR * of_all) / (self.hour_sent[hour] + _PRIOR)

    def _learn_spread(self, n: int, x: int, expected: float) -> None:
        wide = 1 + (n - 1) * self.rho
        binomial = n * expected * (1 - expected)
        weight = wide**-2
        square = min((x - n * expected) ** 2, _OUTLIER * binomial * wide)
        self.spread = self.spread * _OF_A_WINDOW_OF_SPREAD + weight * (square - binomial)
        self.spread_weight = self.spread_weight * _OF_A_WINDOW_OF_SPREAD + weight * binomial * (n - 1)
        rho = (self.spread + _RHO_PRIOR[0]) / (self.spread_weight + _RHO_PRIOR[1])
        self.rho = min(max(rho, _LEAST_RHO), _MOST_RHO)

    def _age(self, window: int) -> None:
        day = window // WINDOWS_OF_DAY
        if day > self.day:
            kept = _OF_A_DAY ** (day - self.day) if self.day else 1.0
            self.hour_sent = [sent * kept for sent in self.hour_sent]
            self.hour_seen = [seen * kept for seen in self.hour_seen]
            self.all_sent *= kept
            self.all_seen *= kept
            self.day = day
        if window > self.window:
            kept = _OF_A_WINDOW_OF_LEVEL ** (window - self.window) if self.window else 1.0
            self.level_usual *= kept
            self.level_seen *= kept
            self.window = window
