"""
The alarm `silence`: no callback of the whole account has come for longer than its usual rate allows.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from streams.domain.alarms.baseline import week_slot

_MINUTES_OF_DAY: Final = 24 * 60
_OF_A_DAY: Final = 0.933
_LEAST_GAP: Final = 10
_LEAST_MISSING: Final = 18.0
_SLOWEST: Final = 0.5
"""The rate may be half of the usual one on a quiet day."""
_HOLDS_MISSING: Final = 4.0
"""With so many missing, what routes show is not theirs."""
_SILENT_MINUTES: Final = 8 * _MINUTES_OF_DAY
"""Weekdays and weekends are known after so long."""


class Silent(NamedTuple):
    """No callbacks for so many minutes, and how many were to be expected at the least."""

    since: int
    minutes: int
    expected: float


def _hours() -> list[float]:
    return [0.0] * 48


class Silence(msgspec.Struct):
    """Callbacks a minute of the account, by hour of weekdays and of weekends. Minutes are since 1970, in UTC."""

    counted: list[float] = msgspec.field(default_factory=_hours)
    minutes: list[float] = msgspec.field(default_factory=_hours)
    began: int = 0
    last: int = 0
    """The last minute with a callback."""
    day: int = 0
    open: Silent | None = None

    def take(self, minute: int, callbacks: int) -> Iterator[Silent]:
        """Take in one minute. Yield the silence that opens, or that ends, which `open` then tells apart."""
        self._age(minute)
        slot = week_slot(minute // _MINUTES_OF_DAY, minute // 60 % 24)
        if not self.began:
            self.began = self.last = minute
        if callbacks:
            self.last = minute
            if self.open is not None:
                ended, self.open = self.open, None
                yield ended
        if self.open is None:
            self.counted[slot] += callbacks
            self.minutes[slot] += 1
            yield from self._judge(minute)

    def is_gap(self, minute: int) -> bool:
        """Tell whether too few callbacks come to judge any route."""
        return self.open is not None or self._missing(minute) >= _HOLDS_MISSING

    def _judge(self, minute: int) -> Iterator[Silent]:
        gap, missing = minute - self.last, self._missing(minute)
        if minute - self.began >= _SILENT_MINUTES and gap >= _LEAST_GAP and missing >= _LEAST_MISSING:
            self.open = Silent(self.last, gap, missing)
            yield self.open

    def _missing(self, minute: int) -> float:
        """Return how many callbacks should have come since the last one, at the least."""
        slot = week_slot(minute // _MINUTES_OF_DAY, minute // 60 % 24)
        rate = self.counted[slot] / self.minutes[slot] if self.minutes[slot] >= 1 else 0.0
        return (minute - self.last) * rate * _SLOWEST

    def _age(self, minute: int) -> None:
        day = minute // _MINUTES_OF_DAY
        if self.day and day > self.day:
            kept = _OF_A_DAY ** (day - self.day)
            self.counted = [counted * kept for counted in self.counted]
            self.minutes = [minutes * kept for minutes in self.minutes]
        self.day = max(day, self.day)
