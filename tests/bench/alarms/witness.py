"""
Campaigns whose SMS are told only when they are final, and whose reports tell how many Routee has handed out.

Routee reports a campaign at each fifth of its SMS that left the queue or became final. Most SMS that are not delivered
fail soon, or hang until they expire after a day.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.domain.alarms.hanging import CampaignWatch, HangEvent
from tests.bench.alarms.traffic import DAY, Floats, Operator
from tests.support.memory_rows import MemoryRows

_EPOCH: Final = 20_000 * 24 * 60
_OPERATORS, _OF_A_COUNTRY = 15, 3
_MEDIAN_SIZE, _LEAST_SIZE, _MOST_SIZE = 1_500, 30, 30_000
_BAD_LISTS: Final = 0.06
_SLOW_FAILURE_SECONDS: Final = 60.0
_EXPIRY_SECONDS: Final = 24 * 3_600.0
_TAUGHT_CAMPAIGNS, _LEAST_DAYS = 60, 2
_FAULT_MINUTES, _WATCHED_MINUTES = 60, 120
_STEPS: Final = (0.2, 0.4, 0.6, 0.8, 1.0)


class Break(NamedTuple):
    """
    A fault: minute of its begin, and the part of all SMS that it loses.

    `one_operator` is True when it is only the largest operator of a campaign; `is_untold` when SMS are delivered and
    their statuses do not reach us.
    """

    minute: float
    fall: float
    one_operator: bool = False
    is_untold: bool = False


@dataclass(frozen=True)
class _Sending:
    """One campaign. Times are seconds since the beginning of the traffic."""

    name: str
    is_bad: bool
    begin: float
    end: float
    sent: Floats
    final: Floats
    told: Floats
    """When the status of each SMS came; infinite for one that is lost."""

    def lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the lines that the alarms read, each with the minute whose tick follows it."""
        size = len(self.sent)
        sent, final, told = np.sort(self.sent), np.sort(self.final), np.sort(self.told)
        finished = float(final[-1])
        fifths = [max(int(size * step) - 1, 0) for step in _STEPS]
        reports = np.sort(np.array([*sent[fifths], *final[fifths]]))
        known = told[np.isfinite(told)]
        # A second after each report, and at the end of each minute with a status.
        moments = np.unique(np.concatenate([reports + 1, np.ceil(known / 60) * 60]))
        for revision, moment in enumerate(moments[moments > reports[0]].tolist(), 1):
            at = reports[np.searchsorted(reports, moment) - 1]
            line = {
                "campaign": self.name,
                "at": _EPOCH + int(moment // 60),
                "handed": int(np.searchsorted(sent, at, "right")),
                "final": int(np.searchsorted(told, moment, "right")),
                "reported": int(np.searchsorted(final, at, "right")),
                "under_way": False,
                "ended": bool(finished <= moment),
                "revision": revision,
                "generation": 0,
            }
            yield math.ceil(moment / 60), line


class _Account:
    """Operators, and the campaigns of some days."""

    def __init__(self, rng: np.random.Generator, days: int, of_a_day: int) -> None:
        self._rng = rng
        self._windows = days * DAY
        self._operators = [Operator.drawn(rng, self._windows) for _ in range(_OPERATORS)]
        self._begins = np.sort(
            np.concatenate([(day * 24 + rng.uniform(7, 20, rng.poisson(of_a_day))) * 3_600 for day in range(days)])
        )

    def begins(self) -> Floats:
        """Return when campaigns begin."""
        return self._begins

    def sendings(self, broken: Break | None) -> Iterator[_Sending]:
        """Yield the campaigns in order."""
        for number, begin in enumerate(self._begins.tolist()):
            yield self._sending(str(number), begin, broken)

    def _sending(self, name: str, begin: float, broken: Break | None) -> _Sending:
        rng = self._rng
        size = int(np.clip(_MEDIAN_SIZE * rng.lognormal(0, 1.2), _LEAST_SIZE, _MOST_SIZE))
        end = begin + rng.uniform(5, 30) * 60
        is_bad = bool(rng.random() < _BAD_LISTS)
        good = rng.beta(30, 1.5) * (rng.uniform(0.2, 0.7) if is_bad else 1)
        country = int(rng.integers(_OPERATORS // _OF_A_COUNTRY)) * _OF_A_COUNTRY
        weights = rng.dirichlet([2.0] * _OF_A_COUNTRY)
        sent = rng.uniform(begin, end, size)
        by = rng.choice(_OF_A_COUNTRY, size, p=weights)
        window = np.minimum((sent // 300).astype(int), self._windows - 1)
        share, median, sigma = (np.empty(size) for _ in range(3))
        for at in range(_OF_A_COUNTRY):
            operator, mine = self._operators[country + at], by == at
            share[mine], median[mine] = operator.share[window[mine]], operator.median[window[mine]]
            sigma[mine] = operator.sigma
        is_delivered = rng.random(size) < share * good
        fails_soon = rng.random(size) < 0.5
        latency = np.where(is_delivered, median * np.exp(sigma * rng.normal(size=size)), _EXPIRY_SECONDS)
        soon = _SLOW_FAILURE_SECONDS * rng.lognormal(0, 1, size)
        latency = np.minimum(np.where(~is_delivered & fails_soon, soon, latency), _EXPIRY_SECONDS)
        told = latency.copy()
        if broken is not None:
            hit = _hit(rng, broken, sent, by == int(weights.argmax()), share * good)
            if broken.is_untold:
                told[hit] = np.inf
            else:
                latency[hit] = told[hit] = _EXPIRY_SECONDS
        return _Sending(name, is_bad, begin, end, sent, sent + latency, sent + told)


def _hit(
    rng: np.random.Generator, broken: Break, sent: Floats, of_largest: NDArray[np.bool_], share: Floats
) -> NDArray[np.bool_]:
    """Tell which SMS a fault takes."""
    since = broken.minute * 60
    during = (sent >= since) & (sent < since + _FAULT_MINUTES * 60)
    taken = rng.random(len(sent)) < np.clip(broken.fall / np.maximum(share, 0.01), 0, 1)
    return during & taken & (of_largest if broken.one_operator else True)


class Told(NamedTuple):
    """An alarm that opened: its minute, its campaign (None: the account), and what it says."""

    minute: int
    campaign: str | None
    is_untold: bool


def _told(sendings: list[_Sending], until: int) -> Iterator[Told]:
    lines: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for sending in sendings:
        for minute, line in sending.lines():
            lines[minute].append(line)
    watch = CampaignWatch(MemoryRows())
    for minute in range(until):
        for line in lines.pop(minute, ()):
            watch.take(line, _EPOCH + minute - 1)
        for event in watch.judge(_EPOCH + minute, is_trusted=True):
            if event.reason is None:
                if isinstance(event, HangEvent):
                    yield Told(minute, event.campaign, event.hang.is_untold)
                else:
                    yield Told(minute, None, is_untold=False)


def ordinary_campaigns(seed: int, days: int, of_a_day: int) -> Counter[str]:
    """Return how many campaigns there were, and of which an alarm was told, with no fault but bad lists."""
    account = _Account(np.random.default_rng([seed, of_a_day]), days, of_a_day)
    sendings = [*account.sendings(None)]
    bad = {one.name for one in sendings if one.is_bad}
    counted = Counter({"campaigns": len(sendings), "bad lists": len(bad), "hours": days * 24})
    for told in _told(sendings, days * 24 * 60):
        if told.campaign is None:
            counted["account"] += 1
        elif told.campaign in bad:
            counted["told bad lists"] += 1
        else:
            counted["false"] += 1
    return counted


class Found(NamedTuple):
    """Minutes from a fault to the first alarm and to that of the account; infinite when there was none."""

    after: float
    account: float
    is_untold: bool


def broken_campaigns(seed: int, of_a_day: int, kind: Break) -> Found:
    """Return the alarms of a fault that begins while a campaign is sent."""
    rng = np.random.default_rng([seed, of_a_day, 1])
    taught = max(_TAUGHT_CAMPAIGNS // of_a_day, _LEAST_DAYS)
    days = taught + 1
    account = _Account(rng, days, of_a_day)
    begins = account.begins()
    last = begins[begins > taught * 86_400]
    began = float(rng.choice(last if len(last) else begins[-1:])) / 60 + 1
    sendings = [*account.sendings(kind._replace(minute=began))]
    hit = {one.name for one in sendings if one.end > began * 60 and one.begin < (began + _FAULT_MINUTES) * 60}
    told = [one for one in _told(sendings, int(began) + _WATCHED_MINUTES) if one.minute >= began]
    first = next((one for one in told if one.campaign in hit), None)
    many = next((one for one in told if one.campaign is None), None)
    return Found(
        first.minute - began if first else float("inf"),
        many.minute - began if many else float("inf"),
        first is not None and first.is_untold,
    )
