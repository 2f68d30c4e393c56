"""
The scan of the product over simulated windows, each handed in at the moments at which streams would judge it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streams.domain.alarms.scan import Closed, Finding, Opened, Scan, ScanRule
from tests.bench.alarms.traffic import EDGES, Counts


class Event(NamedTuple):
    """An alarm that opened or closed; `minute` since the beginning of the traffic."""

    minute: int
    finding: Finding
    closed: str | None


def window_of(event: Event) -> int:
    """Return the last window of what an event is about, counted from the beginning of the traffic."""
    return event.finding.last - _EPOCH


def drop_events(rule: ScanRule, senders: Sequence[str], sent: Counts, within: Counts) -> Iterator[Event]:
    """Yield what the scan of deliveries tells: sent SMS, and those delivered within each horizon."""
    edges = [EDGES.index(horizon) for horizon in rule.horizons]
    in_time = [within[:, :, edge].tolist() for edge in edges]
    counts = [sent.tolist()] * len(edges)
    yield from _events(rule, senders, counts, in_time)


def latency_events(rule: ScanRule, senders: Sequence[str], within: Counts, edge: int) -> Iterator[Event]:
    """Yield what the scan of latencies tells: SMS delivered within 15 minutes, and those within an edge."""
    counts = within[:, :, EDGES.index(900)].tolist()
    in_time = within[:, :, EDGES.index(edge)].tolist()
    yield from _events(rule, senders, [counts], [in_time])


def _events(
    rule: ScanRule,
    senders: Sequence[str],
    counts: Sequence[list[list[int]]],
    in_time: Sequence[list[list[int]]],
) -> Iterator[Event]:
    scan = Scan.new(rule)
    horizons = range(len(rule.horizons))
    for at in range(len(counts[0])):
        number = at + _EPOCH
        sent = counts[0][at]
        total = sum(sent)
        if total:
            for horizon in horizons:
                seen = in_time[horizon][at]
                named = [(name, n, x) for name, n, x in zip(senders, sent, seen, strict=True) if n]
                minute = (at + 1) * 5 + rule.horizons[horizon] // 60
                for change in scan.judge(rule, None, number, horizon, total, sum(seen), named):
                    yield _event(minute, change)
        if total or scan.open is not None or scan.suspected is not None:
            minute = (at + 1) * 5 + rule.horizons[-1] // 60
            for closed in scan.settle(rule, number):
                yield _event(minute, closed)


_EPOCH = 20_000 * 288
"""The number of the first window: a midnight, a Thursday of 2024."""


def _event(minute: int, change: Opened | Closed) -> Event:
    return Event(minute, change.finding, change.reason if isinstance(change, Closed) else None)
