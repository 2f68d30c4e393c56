"""
The scan that both `delivery-drop` and `latency-rise` are: the last windows of a route against its own usual share.

A window of sending is judged once by each horizon, when the horizon's time is over: by then every SMS that it counts
as in time has come. Spans of several windows are judged together, the older windows by their last horizon. A fall
that only one sender has is that sender's bad list; one that the others have, too, is the route's.
"""

from collections.abc import Iterator, Sequence
from math import log2
from typing import Final, Literal, NamedTuple

import msgspec

from streams.domain.alarms.baseline import WINDOWS_OF_DAY, WINDOWS_OF_HOUR, Baseline
from streams.domain.alarms.deviance import share_deviance

SenderCount = tuple[str, int, int]
"""A sender, its SMS of a window, and those of them that came in time."""

REST: Final = "other"
"""Stands for all senders of a window without a name of their own here; nothing is told as theirs."""

Scope = Literal["route", "sender"]
Level = Literal["suspected", "alarm"]

RECOVERED, WIDENED, NEW_NORMAL, NO_TRAFFIC = "recovered", "widened", "new normal", "no traffic"

_SPANS: Final = (1, 2, 3, 6, 12)
_KEPT: Final = 13
"""A window is learnt when it is so many windows old, unless an alarm was about it."""
_LEAST_SMS, _LEAST_LOST = 20, 8
_LEAST_OF_REST: Final = 10
_LEAST_SENDER_FALL: Final = 0.20
_SILENT_DAYS, _LEAST_KNOWN = 1, 300
_CALM_SPAN, _CALM_TIMES, _CALM_DEVIANCE = 3, 3, 6.0
_QUIET_TIMES: Final = 6
"""A suspicion ends after so many windows without a new hit."""
_WITHOUT_TRAFFIC: Final = 6 * WINDOWS_OF_HOUR
_OF_A_WINDOW_OF_VOLUME: Final = 2 ** (-1 / (7 * WINDOWS_OF_DAY))
_LARGE: Final = 2_000 / WINDOWS_OF_HOUR
"""SMS of a window, by the route's own mean, from which on the threshold rises."""
_MOST_DOUBLINGS: Final = 2.0


class ScanRule(NamedTuple):
    """The thresholds of one kind of scan; falls are parts of all SMS."""

    horizons: tuple[int, ...]
    """Seconds after the end of the window, in order."""
    threshold: float
    suspected: float
    floor: float
    early_floor: float
    """The floor of a single window that is not yet judged by the last horizon."""
    second_deviance: float
    more_when_doubled: float
    """
    How much higher the threshold is for each doubling of a route's volume beyond `_LARGE`, up to `_MOST_DOUBLINGS`.

    Such a route has SMS enough to be judged in every window, also at night, so it is looked at most often, and what it
    shows is the operator's own unrest and no longer chance. It can afford the minutes that this costs.
    """


DELIVERY_DROP: Final = ScanRule((60, 120, 300), 22.0, 14.0, 0.15, 0.30, 6.6, 3.0)
LATENCY_RISE: Final = ScanRule((900,), 21.0, 14.0, 0.20, 0.20, 4.0, 0.0)


class Finding(msgspec.Struct, frozen=True):
    """The numbers of the span that opened an alarm."""

    scope: Scope
    sender: str | None
    level: Level
    deviance: float
    first: int
    last: int
    """The first and the last window of the span."""
    horizon: int
    n: int
    x: int
    expected: float
    rest_n: int
    rest_x: int
    rest_expected: float
    """The SMS of all senders but the one that lost most."""
    threshold: float = 0.0
    """The deviance that an alarm had to reach."""

    @property
    def only_sender(self) -> bool:
        """Whether there are too few SMS of others to tell the sender's fault from the route's."""
        return self.rest_n < _LEAST_OF_REST

    @property
    def fall(self) -> float:
        """How far the share is below the expected one."""
        return (self.expected - self.x) / self.n


class Opened(NamedTuple):
    """An alarm opened, or a suspected one became an alarm."""

    finding: Finding


class Closed(NamedTuple):
    """An alarm closed."""

    finding: Finding
    reason: str


class Judged(msgspec.Struct, array_like=True):
    """One window as it was judged. `senders`, `x` and `share` are of the newest horizon, `learnt` of each."""

    number: int
    n: int
    x: int
    share: float
    senders: list[SenderCount]
    learnt: list[tuple[int, int, float]]
    touched: bool = False


class _Sums(NamedTuple):
    n: int
    x: int
    expected: float


class Scan(msgspec.Struct):
    """The memory of one route. The caller hands in each window once by horizon, in the order of their times."""

    baselines: list[Baseline]
    began: int = 0
    sent: float = 0.0
    """SMS of all learnt windows, halved in a week."""
    sent_until: int = 0
    windows: list[Judged] = []
    closed_through: int = 0
    """No span looks back over the end of a closed alarm: it would open again at once."""
    open: Finding | None = None
    opened: int = 0
    """The window at which the alarm opened."""
    calm: int = 0
    suspected: Finding | None = None
    quiet: int = 0
    fresh: list[Baseline] | None = None
    """While an alarm is open: what its windows alone would teach. After a day it is the new normal."""

    @classmethod
    def new(cls, rule: ScanRule) -> "Scan":
        """Return the scan of a route that nothing is known of."""
        return cls([Baseline() for _ in rule.horizons])

    def judge(  # noqa: PLR0913, PLR0917 - a window, its counts, and the rule
        self, rule: ScanRule, threshold: float | None, number: int, at: int, n: int, x: int, senders: list[SenderCount]
    ) -> Iterator[Opened | Closed]:
        """Judge a window by the horizon of that index, and by the route's own threshold, if any. Yield what changes."""
        if threshold is None:
            threshold = rule.threshold + rule.more_when_doubled * self._doublings
        share = self.baselines[at].share(number)
        self._note(number, at, n, x, share, senders)
        if self._is_silent(number):
            return
        hit = self._hit(rule, min(rule.suspected, threshold), at)
        if hit is not None:
            yield from self._take(msgspec.structs.replace(hit, threshold=threshold), threshold)

    @property
    def _doublings(self) -> float:
        """Return how often the volume of the route is twice the one from which on it is large."""
        if not self.sent:
            return 0.0
        kept = _OF_A_WINDOW_OF_VOLUME
        mean = self.sent * (1 - kept) / (1 - kept ** (self.sent_until - self.began + 1))
        return min(max(log2(mean / _LARGE), 0.0), _MOST_DOUBLINGS)

    def has(self, number: int) -> bool:
        """Tell whether a window is the newest that was judged."""
        return bool(self.windows) and self.windows[-1].number == number

    def skip(self, number: int) -> None:
        """Leave out a window whose counts cannot be trusted: it is neither judged nor learnt."""
        self.windows = [window for window in self.windows if window.number != number]

    def settle(self, rule: ScanRule, number: int) -> Iterator[Closed]:
        """Close alarms that are over, and learn, when a window was judged by its last horizon, or had no SMS."""
        self._learn(number)
        if self.suspected is not None:
            self.quiet += 1
            if self.quiet >= _QUIET_TIMES:
                yield Closed(self.suspected, RECOVERED)
                self.suspected = None
        if self.open is None:
            return
        self.calm = self.calm + 1 if self._is_calm(rule, number) else 0
        last_sent = self.windows[-1].number if self.windows else self.opened
        if self.calm >= _CALM_TIMES:
            yield self._close(self.open, number, RECOVERED)
        elif number - last_sent >= _WITHOUT_TRAFFIC:
            yield self._close(self.open, number, NO_TRAFFIC)
        elif number - self.opened >= WINDOWS_OF_DAY:
            yield self._close(self.open, number, NEW_NORMAL)

    def _note(  # noqa: PLR0913, PLR0917 - one window's numbers
        self, number: int, at: int, n: int, x: int, share: float, senders: list[SenderCount]
    ) -> None:
        if not self.began:
            self.began = number
        if self.has(number):
            window = self.windows[-1]
            window.n, window.x, window.share, window.senders = n, x, share, senders
        else:
            learnt = [(0, 0, share)] * len(self.baselines)
            window = Judged(number, n, x, share, senders, learnt, touched=self.open is not None)
            self.windows.append(window)
        window.learnt[at] = (n, x, share)

    def _is_silent(self, number: int) -> bool:
        return number - self.began < _SILENT_DAYS * WINDOWS_OF_DAY or self.baselines[-1].all_sent < _LEAST_KNOWN

    def _hit(self, rule: ScanRule, least: float, at: int) -> Finding | None:
        windows, is_last = self.windows, at == len(self.baselines) - 1
        newest = windows[-1]
        number = newest.number
        n = x = 0
        expected = best = 0.0
        best_span: tuple[int, int, _Sums] | None = None
        index = len(windows) - 1
        for span in _SPANS:
            first = number - span + 1
            if first <= self.closed_through:
                break
            while index >= 0 and windows[index].number >= first:
                window = windows[index]
                n += window.n
                x += window.x
                expected += window.n * window.share
                index -= 1
            lost = expected - x
            floor = rule.early_floor if span == 1 and not is_last else rule.floor
            if n < _LEAST_SMS or lost < _LEAST_LOST or lost < floor * n:
                continue
            if not is_last and span > 1 and _is_slow_only(rule, newest, n, x, expected):
                continue
            rho = self._rho(at, newest.n, n)
            deviance = share_deviance(n, x, expected / n, rho, self.baselines[at].known(number))
            if deviance >= least and deviance > best:
                best, best_span = deviance, (first, index + 1, _Sums(n, x, expected))
        return None if best_span is None else self._told(rule, at, best, *best_span)

    def _rho(self, at: int, newest: int, n: int) -> float:
        """Return the correlation of a span: that of each horizon, by the SMS which it judged."""
        return (newest * self.baselines[at].rho + (n - newest) * self.baselines[-1].rho) / n

    def _told(  # noqa: PLR0913, PLR0917 - a span and what it shows
        self, rule: ScanRule, at: int, deviance: float, first: int, index: int, sums: _Sums
    ) -> Finding | None:
        """Tell whose fall it is; None when it is neither the route's nor plainly a sender's."""
        span = self.windows[index:]
        by_sender = _by_sender(span)
        worst = _worst(by_sender)
        lost_by = by_sender.get(worst, _Sums(0, 0, 0.0))
        rest = _Sums(sums.n - lost_by.n, sums.x - lost_by.x, sums.expected - lost_by.expected)
        is_routes = self._is_shared(rule, at, rest, (sums.expected - sums.x) / sums.n)
        if not is_routes and not (
            lost_by.n >= _LEAST_SMS and lost_by.expected - lost_by.x >= _LEAST_SENDER_FALL * lost_by.n
        ):
            return None
        told = sums if is_routes else lost_by
        return Finding(
            scope="route" if is_routes else "sender",
            sender=None if is_routes else worst,
            level="alarm",
            deviance=deviance,
            first=first,
            last=self.windows[-1].number,
            horizon=rule.horizons[at],
            n=told.n,
            x=told.x,
            expected=told.expected,
            rest_n=rest.n,
            rest_x=rest.x,
            rest_expected=rest.expected,
        )

    def _is_shared(self, rule: ScanRule, at: int, rest: _Sums, fall: float) -> bool:
        if rest.n < _LEAST_OF_REST:
            return False
        if rest.expected - rest.x < max(rule.floor / 2, 0.4 * fall) * rest.n:
            return False
        known = self.baselines[-1].known(self.windows[-1].number)
        rho = self.baselines[at].rho
        return share_deviance(rest.n, rest.x, rest.expected / rest.n, rho, known) >= rule.second_deviance

    def _take(self, hit: Finding, threshold: float) -> Iterator[Opened | Closed]:
        self.quiet = 0
        if hit.deviance < threshold:
            if self.open is None and self.suspected is None:
                self.suspected = msgspec.structs.replace(hit, level="suspected")
                yield Opened(self.suspected)
            return
        for window in self.windows:
            window.touched = window.touched or window.number >= hit.first
        if self.open is not None and not (self.open.scope == "sender" and hit.scope == "route"):
            return
        yield from self._open(hit)

    def _open(self, hit: Finding) -> Iterator[Opened | Closed]:
        for before in (self.suspected, self.open):
            if before is not None and (before.scope, before.sender) != (hit.scope, hit.sender):
                yield Closed(before, WIDENED)
        if self.open is None:
            self.opened = hit.last
            self.fresh = [Baseline() for _ in self.baselines]
        self.suspected, self.open, self.calm = None, hit, 0
        yield Opened(hit)

    def _is_calm(self, rule: ScanRule, number: int) -> bool:
        last = [window for window in self.windows[-_CALM_SPAN:] if window.number > number - _CALM_SPAN]
        n, x = sum(window.n for window in last), sum(window.x for window in last)
        if not n:
            return False
        expected = sum(window.n * window.share for window in last)
        if expected - x >= rule.floor / 2 * n:
            return False
        baseline = self.baselines[-1]
        return share_deviance(n, x, expected / n, baseline.rho, baseline.known(number)) < _CALM_DEVIANCE

    def _close(self, finding: Finding, number: int, reason: str) -> Closed:
        fresh = self.fresh
        self.open, self.fresh, self.calm = None, None, 0
        self.closed_through = number - _CALM_SPAN
        if reason == NEW_NORMAL and fresh is not None:
            self._begin_anew(fresh, number)
        return Closed(finding, reason)

    def _begin_anew(self, fresh: Sequence[Baseline], number: int) -> None:
        """Take the windows of the alarm as the new normal; how the route varies it still knows."""
        for old, new in zip(self.baselines, fresh, strict=True):
            new.spread, new.spread_weight, new.rho = old.spread, old.spread_weight, old.rho
        self.baselines = list(fresh)
        self.closed_through = number

    def _learn(self, number: int) -> None:
        while self.windows and self.windows[0].number <= number - _KEPT:
            window = self.windows.pop(0)
            self.sent = self.sent * _OF_A_WINDOW_OF_VOLUME ** (window.number - self.sent_until) + window.n
            self.sent_until = window.number
            baselines = self.fresh if window.touched else self.baselines
            if baselines is None or (window.touched and window.number < self.opened):
                continue
            for baseline, (n, x, share) in zip(baselines, window.learnt, strict=True):
                if n:
                    baseline.learn(window.number, n, x, share)


def _is_slow_only(rule: ScanRule, newest: Judged, n: int, x: int, expected: float) -> bool:
    """Tell whether the windows that are judged by the last horizon have lost little: slow so far, not lost."""
    n, x, expected = n - newest.n, x - newest.x, expected - newest.n * newest.share
    return n > 0 and expected - x < rule.floor / 2 * n


def _by_sender(span: Sequence[Judged]) -> dict[str, _Sums]:
    sums: dict[str, _Sums] = {}
    for window in span:
        for sender, n, x in window.senders:
            before = sums.get(sender, _Sums(0, 0, 0.0))
            sums[sender] = _Sums(before.n + n, before.x + x, before.expected + n * window.share)
    return sums


def _worst(by_sender: dict[str, _Sums]) -> str:
    """Return the sender that lost most, of those with a name of their own."""
    named = [(sums.expected - sums.x, sender) for sender, sums in by_sender.items() if sender != REST]
    return max(named)[1] if named else REST
