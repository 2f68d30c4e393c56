"""
The alarm `route-quiet`: far fewer deliveries come of a route than the other routes of its senders let expect.

It is for SMS that are told only when they are final. While such SMS hang nothing is known of them, and the share of
deliveries stays near its usual value in an outage. A client that stops sending to one country looks the same, so the
alarm says "quiet", not "down".
"""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Final, NamedTuple

import msgspec

from streams.domain.alarms.baseline import WINDOWS_OF_DAY, WINDOWS_OF_HOUR, week_slot
from streams.domain.alarms.deviance import count_deviance

RECOVERED, NEW_NORMAL, NO_TRAFFIC = "recovered", "new normal", "no traffic"

Deliveries = Mapping[str, Mapping[str, int]]
"""Route → sender → deliveries of one window."""

THRESHOLD: Final = 18.0
_SPANS: Final = (1, 2, 3, 6, 12, 24)
_LEAST_EXPECTED, _LEAST_MISSING, _MOST_SEEN = 10.0, 8.0, 0.5
_SILENT_WINDOWS: Final = 8 * WINDOWS_OF_DAY
_LEVEL_WINDOWS, _LEVEL_PRIOR = 18, 10.0
_LEAST_LEVEL, _MOST_LEVEL = 0.4, 2.5
_ODDS_PRIOR: Final = 50.0
"""The odds of an hour begin as if so many deliveries elsewhere had had the odds of all hours."""
_OF_A_DAY: Final = 2 ** (-1 / 14)
_OF_A_WINDOW_OF_SPREAD: Final = 2 ** (-1 / (14 * WINDOWS_OF_DAY))
_SPREAD_PRIOR, _SPREAD_WEIGHT = 0.06, 20.0
_LEAST_SPREAD, _MOST_SPREAD = 0.005, 2.0
_OUTLIER: Final = 9.0
_STEADY: Final = 0.5
"""A steady sender has deliveries in this part of all windows: the bursts of others cannot be expected."""
_OF_A_WINDOW_OF_ACTIVITY: Final = 2 ** (-1 / (3 * WINDOWS_OF_DAY))
_CALM_SPAN, _CALM_TIMES, _CALM_SEEN = 3, 3, 0.6


class Quiet(msgspec.Struct, frozen=True):
    """The numbers of the span that opened the alarm."""

    deviance: float
    first: int
    last: int
    seen: int
    expected: float


class QuietEvent(NamedTuple):
    """An alarm of a route that opened, or closed for a reason."""

    route: str
    quiet: Quiet
    reason: str | None


class _Odds(msgspec.Struct, array_like=True):
    """Deliveries of one sender on a route, and those on its other routes, by hour of weekdays and of weekends."""

    here: list[float] = msgspec.field(default_factory=lambda: [0.0] * 48)
    elsewhere: list[float] = msgspec.field(default_factory=lambda: [0.0] * 48)
    all_here: float = 0.0
    all_elsewhere: float = 0.0

    def expected(self, slot: int, elsewhere: int) -> float:
        of_all = self.all_here / self.all_elsewhere if self.all_elsewhere else 0.0
        return elsewhere * (self.here[slot] + _ODDS_PRIOR * of_all) / (self.elsewhere[slot] + _ODDS_PRIOR)

    def learn(self, slot: int, here: int, elsewhere: int) -> None:
        self.here[slot] += here
        self.elsewhere[slot] += elsewhere
        self.all_here += here
        self.all_elsewhere += elsewhere

    def age(self, kept: float) -> None:
        self.here = [count * kept for count in self.here]
        self.elsewhere = [count * kept for count in self.elsewhere]
        self.all_here *= kept
        self.all_elsewhere *= kept


class _Window(msgspec.Struct, array_like=True):
    number: int
    seen: int
    usual: float
    """The deliveries that the odds alone let expect."""
    expected: float
    """The same by the level of the hours before."""
    elsewhere: int
    pairs: list[tuple[str, int, int]]
    """Sender, its deliveries here and elsewhere."""
    touched: bool = False


class RouteQuiet(msgspec.Struct):
    """The memory of one route."""

    senders: dict[str, _Odds] = {}
    windows: list[_Window] = []
    spread: float = 0.0
    spread_weight: float = 0.0
    began: int = 0
    day: int = 0
    closed_through: int = 0
    open: Quiet | None = None
    opened: int = 0
    calm: int = 0

    def judge(self, number: int, pairs: list[tuple[str, int, int]]) -> Iterator[tuple[Quiet, str | None]]:
        """Judge a window: the deliveries of each steady sender here and elsewhere. Yield what opens or closes."""
        self._age(number)
        slot = week_slot(number // WINDOWS_OF_DAY, number // WINDOWS_OF_HOUR % 24)
        usual = sum(self.senders[name].expected(slot, other) for name, _, other in pairs if name in self.senders)
        seen = sum(here for name, here, _ in pairs if name in self.senders)
        elsewhere = sum(other for _, _, other in pairs)
        window = _Window(number, seen, usual, usual * self._level(), elsewhere, pairs, self.open is not None)
        self.windows.append(window)
        if number - self.began >= _SILENT_WINDOWS:
            yield from self._change(number)
        self._learn(number)

    def _level(self) -> float:
        recent = [window for window in self.windows[-_LEVEL_WINDOWS:] if not window.touched]
        usual = sum(window.usual for window in recent)
        # While the other routes fail nothing can be expected of this one; that is no level of its own.
        seen = sum(min(window.seen, _MOST_LEVEL * window.usual) for window in recent)
        level = (seen + _LEVEL_PRIOR) / (usual + _LEVEL_PRIOR)
        return min(max(level, _LEAST_LEVEL), _MOST_LEVEL)

    def _change(self, number: int) -> Iterator[tuple[Quiet, str | None]]:
        if self.open is None:
            hit = self._hit(number)
            if hit is not None:
                self.open, self.opened, self.calm = hit, number, 0
                for window in self.windows:
                    window.touched = window.touched or window.number >= hit.first
                yield hit, None
            return
        self.calm = self.calm + 1 if self._is_calm() else 0
        reason = RECOVERED if self.calm >= _CALM_TIMES else None
        if reason is None and number - self.opened >= WINDOWS_OF_DAY:
            reason = NEW_NORMAL
            self.senders, self.began = {}, number
        if reason is not None:
            yield self.open, reason
            self.open, self.closed_through = None, number - _CALM_SPAN

    def _hit(self, number: int) -> Quiet | None:
        best: Quiet | None = None
        seen = elsewhere = 0
        expected = 0.0
        index = len(self.windows) - 1
        spread = self._spread
        for span in _SPANS:
            first = number - span + 1
            if first <= self.closed_through:
                break
            while index >= 0 and self.windows[index].number >= first:
                window = self.windows[index]
                seen += window.seen
                expected += window.expected
                elsewhere += window.elsewhere
                index -= 1
            if expected < _LEAST_EXPECTED or expected - seen < _LEAST_MISSING or seen >= _MOST_SEEN * expected:
                continue
            deviance = count_deviance(seen, expected, spread + 1 / max(elsewhere, 1))
            if deviance >= THRESHOLD and (best is None or deviance > best.deviance):
                best = Quiet(deviance, first, number, seen, expected)
        return best

    @property
    def _spread(self) -> float:
        prior = _SPREAD_PRIOR * _SPREAD_WEIGHT
        spread = (self.spread + prior) / (self.spread_weight + _SPREAD_WEIGHT)
        return min(max(spread, _LEAST_SPREAD), _MOST_SPREAD)

    def _is_calm(self) -> bool:
        last = self.windows[-_CALM_SPAN:]
        expected = sum(window.usual for window in last)
        return expected > 0 and sum(window.seen for window in last) >= _CALM_SEEN * expected

    def _learn(self, number: int) -> None:
        while self.windows and self.windows[0].number <= number - _SPANS[-1]:
            window = self.windows.pop(0)
            if window.touched:
                continue
            slot = week_slot(window.number // WINDOWS_OF_DAY, window.number // WINDOWS_OF_HOUR % 24)
            for name, here, elsewhere in window.pairs:
                self.senders.setdefault(name, _Odds()).learn(slot, here, elsewhere)
            if window.expected > 0 and window.number - self.began >= WINDOWS_OF_DAY:
                self._learn_spread(window)

    def _learn_spread(self, window: _Window) -> None:
        expected = window.expected
        wide = 1 + expected * self._spread
        weight = wide**-2
        square = min((window.seen - expected) ** 2, _OUTLIER * expected * wide)
        self.spread = self.spread * _OF_A_WINDOW_OF_SPREAD + weight * (square - expected)
        self.spread_weight = self.spread_weight * _OF_A_WINDOW_OF_SPREAD + weight * expected**2

    def _age(self, number: int) -> None:
        if not self.began:
            self.began = number
        day = number // WINDOWS_OF_DAY
        if self.day and day > self.day:
            for odds in self.senders.values():
                odds.age(_OF_A_DAY ** (day - self.day))
        self.day = max(day, self.day)


class Steadiness(msgspec.Struct):
    """Which senders of the account are steady."""

    active: dict[str, float] = {}
    """Sender → the part of the last days' windows in which it had deliveries."""

    def learn(self, deliveries: Mapping[str, int]) -> None:
        """Take in one window of the whole account: deliveries by sender."""
        gained = 1 - _OF_A_WINDOW_OF_ACTIVITY
        for sender in sorted({*self.active, *(name for name, count in deliveries.items() if count)}):
            part = self.active.get(sender, 0.0) * _OF_A_WINDOW_OF_ACTIVITY
            self.active[sender] = part + (gained if deliveries.get(sender) else 0.0)
            if self.active[sender] < gained / 4:
                del self.active[sender]

    def is_steady(self, sender: str) -> bool:
        """Tell whether the traffic of a sender can be expected."""
        return self.active.get(sender, 0.0) >= _STEADY


def judge_routes(
    steadiness: Steadiness, routes: MutableMapping[str, RouteQuiet], number: int, deliveries: Deliveries
) -> Iterator[QuietEvent]:
    """Judge one window of all routes, in the order of their names. Yield what opens or closes."""
    of_senders: dict[str, int] = {}
    for by_sender in deliveries.values():
        for sender, count in by_sender.items():
            of_senders[sender] = of_senders.get(sender, 0) + count
    steadiness.learn(of_senders)
    steady = sorted(sender for sender in of_senders if steadiness.is_steady(sender))
    for name in sorted({*routes, *deliveries}):
        route = routes.setdefault(name, RouteQuiet())
        by_sender = deliveries.get(name, {})
        pairs = [
            (sender, by_sender.get(sender, 0), of_senders[sender] - by_sender.get(sender, 0))
            for sender in steady
            if sender in route.senders or sender in by_sender
        ]
        for quiet, reason in route.judge(number, pairs):
            yield QuietEvent(name, quiet, reason)
