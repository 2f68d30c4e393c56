"""
When 90, 95 and 99 % of a campaign will be final, and how sure that is.

Its messages are cohorts, by route and by the time at which they were sent. Of the open ones in a cohort, the curve of
the route says how many will be final after any time. Messages that nothing is known of are of two kinds. Where Routee
tells only of final ones (OnCompletion), a cohort of which a share F should be final by now has final / F messages. The
others are not sent yet: they go on being sent at the pace of the last minutes.

All of it is never promised: a message may stay open until its validity ends.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isqrt, sqrt
from typing import Final, NamedTuple

from console.eta.survival import Curve

SHARES: Final = (0.90, 0.95, 0.99)

SURE_FROM: Final = 0.3
"""Of a campaign's messages so many have to be final before a time is told as certain."""

_SURE_WITHIN: Final = 0.2
"""The spread of a certain time, as a share of the time that is left."""

_FAR: Final = 86_400.0
_PACE_SECONDS: Final = 180.0
_SEEN_ENOUGH: Final = 0.25
_STOPPED: Final = 0.1
_SIGMAS: Final = 1.3
"""About four of five times lie within the spread."""

_CURVE_DIFFERS: Final = 0.07
"""Today a route is so much slower or quicker than the day that its curve is of, mostly."""

_STEPS: Final = 40
_LEAST: Final = 1e-6


class Cohort(NamedTuple):
    """Messages of one route that were sent `age` seconds ago: the known ones, and of them the final ones."""

    curve: Curve
    age: float
    known: float
    final: float


class Time(NamedTuple):
    """A time from now on in seconds, and how much earlier or later it may be."""

    seconds: float
    spread: float
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    When each share will be final: 0 seconds when it is, None when it will not be within a day.

    `seen` is the share that is final now; `waiting` the messages that will be open after a day, as it seems.
    """

    times: dict[float, Time | None]
    seen: float
    waiting: int


class _Group(NamedTuple):
    """Messages that will be final by a curve: open at an age now, or sent later (a negative age)."""

    curve: Curve
    age: float
    open: float


def forecast(cohorts: Iterable[Cohort], total: int, *, only_finals: bool) -> Forecast:
    """Return the forecast of a campaign of `total` messages; `only_finals` says that open ones are not told of."""
    known = list(cohorts)
    final = sum(one.final for one in known)
    seen = final / total if total else 0.0
    groups, pace_doubt = _open_groups(known, total, only_finals=only_finals)
    doubt = _Doubt(sqrt(sum(one.open for one in groups)) if groups else 0.0, pace_doubt)
    times = {share: _time(groups, final, share * total, seen, doubt) for share in SHARES}
    left = total - _final_by(groups, final, _FAR)
    return Forecast(times, seen, max(0, round(left)))


class _Doubt(NamedTuple):
    noise: float
    pace: float


def _time(groups: Sequence[_Group], final: float, wanted: float, seen: float, doubt: _Doubt) -> Time | None:
    if final >= wanted:
        return Time(0.0, 0.0, is_certain=True)
    found = _crossing(lambda at: _final_by(groups, final, at), wanted)
    if found is None:
        return None
    noise = _SIGMAS * sqrt(max(0.0, _variance(groups, found)))
    early = _crossing(lambda at: _final_by(groups, final, at) + noise, wanted) or 0.0
    late = _crossing(lambda at: _final_by(groups, final, at) - noise, wanted)
    stretch = found * (_CURVE_DIFFERS + doubt.pace)
    if late is None:
        return Time(found, max(found - early, stretch, found * 0.5), is_certain=False)
    spread = sqrt(((late - early) / 2) ** 2 + stretch**2)
    return Time(found, spread, is_certain=seen >= SURE_FROM and spread <= _SURE_WITHIN * found)


def _open_groups(cohorts: list[Cohort], total: int, *, only_finals: bool) -> tuple[list[_Group], float]:
    """Return the messages that are open or to be sent, and how doubtful the pace of sending is."""
    if only_finals:
        return _hidden_groups(cohorts, total)
    groups = [_Group(one.curve, one.age, one.known - one.final) for one in cohorts if one.known > one.final]
    unseen = total - sum(one.known for one in cohorts)
    sent = [(one.age, one.known, one.curve) for one in cohorts]
    later, doubt = _later_groups(sent, unseen, newest=0.0)
    return [*groups, *later], doubt


def _hidden_groups(cohorts: list[Cohort], total: int) -> tuple[list[_Group], float]:
    """Return the open messages that nothing is told of: each cohort is as large as its finals say."""
    hidden = total - sum(one.final for one in cohorts)
    told = [(one, 1.0 - one.curve.still_open(one.age)) for one in cohorts if one.final]
    trusted = [(one, share) for one, share in told if share >= _SEEN_ENOUGH]
    groups = [_Group(one.curve, one.age, one.final / share - one.final) for one, share in trusted]
    found = sum(one.open for one in groups)
    newest = min((one.age for one, _ in trusted), default=0.0)
    sent = [(one.age, one.final / share, one.curve) for one, share in trusted]
    later, doubt = _later_groups(sent, hidden - found, newest=newest)
    if later or not found:
        return [*groups, *later], doubt
    # Sending is over, so all that is hidden was sent: the guesses add up to it.
    return [_Group(one.curve, one.age, one.open * hidden / found) for one in groups], doubt


def _later_groups(
    sent: Sequence[tuple[float, float, Curve]], unseen: float, newest: float
) -> tuple[list[_Group], float]:
    """
    Return the messages that are still to be sent, at the pace of the last minutes; none when sending has stopped.

    `sent` are age, number and curve of cohorts; the ones younger than `newest` seconds cannot be judged yet.
    """
    if unseen < 1 or not sent:
        return [], 0.0
    latest = [one for one in sent if one[0] <= newest + _PACE_SECONDS]
    oldest = max((age for age, _, _ in latest), default=0.0)
    span = max(oldest - newest, 30.0)
    count = sum(number for _, number, _ in latest)
    whole = sum(number for _, number, _ in sent) / max(max(age for age, _, _ in sent) - newest, span)
    pace = count / span
    youngest = min(age for age, _, _ in sent)
    if pace < _STOPPED * whole or youngest > newest + _PACE_SECONDS / 2 or count < 1:
        return [], 0.0
    curves: dict[int, tuple[Curve, float]] = {}
    for _, number, curve in latest:
        curves[id(curve)] = (curve, curves.get(id(curve), (curve, 0.0))[1] + number)
    began, lasts = -newest, unseen / pace
    steps = max(1, min(_STEPS, isqrt(round(unseen)) + 1))
    groups = [
        _Group(curve, -(began + lasts * (step + 0.5) / steps), unseen / steps * number / count)
        for curve, number in curves.values()
        for step in range(steps)
    ]
    return groups, min(1.0, 1.0 / sqrt(count)) + 0.05


def _final_by(groups: Iterable[_Group], final: float, at: float) -> float:
    return final + sum(one.open * _chance(one, at) for one in groups)


def _variance(groups: Iterable[_Group], at: float) -> float:
    return sum(one.open * chance * (1.0 - chance) for one in groups for chance in [_chance(one, at)])


def _chance(group: _Group, at: float) -> float:
    """Return the chance that a message of a group is final at a time from now."""
    if group.age < 0:
        return 1.0 - group.curve.still_open(at + group.age)
    return group.curve.final_within(group.age, at)


def _crossing(count_at: Callable[[float], float], wanted: float) -> float | None:
    """Return when a count that only rises reaches a number; None when it does not within a day."""
    if count_at(0.0) >= wanted:
        return 0.0
    early, late = 0.0, 1.0
    while count_at(late) < wanted:
        early, late = late, late * 2
        if early > _FAR:
            return None
    while late - early > max(0.5, early * 0.002):
        middle = (early + late) / 2
        early, late = (middle, late) if count_at(middle) < wanted else (early, middle)
    return late
