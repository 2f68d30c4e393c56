"""
Faults of a known beginning on one route of a flat volume: how soon the scan finds them, and when it closes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.domain.alarms.scan import DELIVERY_DROP, LATENCY_RISE, ScanRule
from tests.bench.alarms.scanning import Event, drop_events, latency_events
from tests.bench.alarms.traffic import DAY, EDGES, HOUR, Counts, Floats, Operator, delivered

_DAYS: Final = 9
_WITHIN_300: Final = EDGES.index(300)


@dataclass(frozen=True)
class Run:
    """One fault: the minute it began (with a fraction), and the events from then on."""

    began: float
    events: list[Event]

    def found_after(self, scope: str | None = "route", level: str = "alarm") -> float:
        """Return the minutes until an alarm of this scope (None: any) opened; infinite when none did."""
        for event in self.events:
            finding = event.finding
            if event.closed is None and finding.level == level and scope in (None, finding.scope):
                return event.minute - self.began
        return float("inf")


@dataclass(frozen=True)
class Fault:
    """
    Something breaks, from any second of the ninth day on.

    `fall` is the part of all SMS that is lost beside the usual; `slower` a factor of the latency; `senders` how many
    the route has, None: 2 to 4; `lists` is True when only the largest sender loses SMS; `minutes` is how long it lasts.
    """

    fall: float = 0.0
    slower: float = 1.0
    minutes: float = float("inf")
    senders: int | None = None
    lists: bool = False
    days_after: int = 0


def runs(volume: float, fault: Fault, count: int, seed: int, rule: ScanRule = DELIVERY_DROP) -> Iterator[Run]:
    """Yield that many faults on routes of that volume an hour; one whose alarm was open before is drawn anew."""
    made, at = 0, 0
    while made < count:
        run = _run(np.random.default_rng([seed, at]), volume, fault, rule)
        at += 1
        if run is not None:
            made += 1
            yield run


def _run(rng: np.random.Generator, volume: float, fault: Fault, rule: ScanRule) -> Run | None:
    windows = (_DAYS + fault.days_after) * DAY
    operator = Operator.drawn(rng, windows)
    senders = fault.senders or int(rng.integers(2, 5))
    weights = rng.dirichlet([4.0] * senders)
    sent = rng.poisson(volume / HOUR * weights, (windows, senders))
    began = (_DAYS - 1) * DAY * 5 + float(rng.uniform(0, DAY * 5 - 200))
    affected = _affected(windows, began / 5, (began + fault.minutes) / 5)
    within = _deliveries(rng, operator, sent, fault, affected, int(weights.argmax()))
    names = tuple(f"api-{i}" for i in range(senders))
    if rule is LATENCY_RISE:
        events = latency_events(rule, names, within, best_edge(within[: 7 * DAY]))
    else:
        events = drop_events(rule, names, sent, within)
    return _from_then(began, list(events))


def best_edge(within: Counts) -> int:
    """Return the edge nearest to 85 % of all deliveries within 15 minutes."""
    total = within.sum(axis=(0, 1))
    edges = (10, 30, 60, 120, 300)
    return min(edges, key=lambda edge: abs(total[EDGES.index(edge)] / max(total[EDGES.index(900)], 1) - 0.85))


def _affected(windows: int, begin: float, end: float) -> Floats:
    """Return the part of each window that a fault covers."""
    at = np.arange(windows)
    part: Floats = np.clip(np.minimum(at + 1, end) - np.maximum(at, begin), 0, 1)
    return part


def _deliveries(  # noqa: PLR0917 - traffic and the fault
    rng: np.random.Generator, operator: Operator, sent: Counts, fault: Fault, affected: Floats, largest: int
) -> Counts:
    windows, senders = sent.shape
    usual = operator.within(operator.share, np.ones(windows))
    day_before = usual[(_DAYS - 2) * DAY : (_DAYS - 1) * DAY, _WITHIN_300].mean()
    lost = np.clip(affected * fault.fall / day_before, 0, 1)
    slow = operator.within(operator.share, np.where(affected > 0, fault.slower, 1.0))
    chance = usual * (1 - affected[:, None]) + slow * affected[:, None]
    broken = chance * (1 - lost)[:, None]
    hit = [broken if not fault.lists or sender == largest else usual for sender in range(senders)]
    return np.stack([delivered(rng, sent[:, i], hit[i]) for i in range(senders)], axis=1)


def _from_then(began: float, events: list[Event]) -> Run | None:
    is_open = False
    for event in events:
        if event.minute <= began:
            is_open = event.closed is None and event.finding.level == "alarm"
    return None if is_open else Run(began, [event for event in events if event.minute > began])
