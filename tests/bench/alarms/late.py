"""
Callbacks that come late: after an outage of our own Routee posts them again, and their SMS look as if they hung.

The rules of the product take in cells as they fill, minute by minute, with the ticks that tell how many callbacks came
late. Two routes with two senders each, after a day of ordinary traffic.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, NamedTuple

import numpy as np

from streams.domain.alarms.watch import AlarmWatch
from tests.support.memory_rows import MemoryRows
from tests.unit.streams.domain.alarms.feed import Account, cell, tick, told

_BEGIN: Final = 20_000 * 288
_ROUTES: Final = (("GR", "A"), ("GR", "B"))
_SENDERS: Final = ("acme", "shop")
_SENT: Final = 60
"""SMS of a sender and window."""
_SHARE, _MEDIAN, _SPREAD = 0.92, 15.0, 1.0
_LATE_SECONDS: Final = 60
_BOUNDS: Final = (5, 10, 30, 60, 120, 300, 900)
_AGAIN: Final = (0, 30, 90, 210, 510, 1110, 2010, 3810, 7410)
"""When Routee posts a callback that was not taken, in seconds after the first time."""
_BEFORE, _AFTER = 40, 240
"""Minutes of ordinary traffic before and after the outage."""


_Place = tuple[int, tuple[str, str], str]
"""Window, route and sender: a cell."""


class Late(NamedTuple):
    """The alarms of one outage, with the guard and without."""

    guarded: int
    unguarded: int


def ordinary() -> MemoryRows:
    """Return the rows after a day of ordinary traffic."""
    rows = MemoryRows()
    account = Account(routes=[*_ROUTES], senders=_SENDERS, sent=_SENT)
    told(account.lines(_BEGIN, _BEGIN + 288 + 40), rows)
    return rows


def late(known: MemoryRows, seed: int, minutes: int) -> Late:
    """Return what an outage of ingest for so many minutes tells."""
    rng = np.random.default_rng([seed, minutes])
    begin = (_BEGIN + 288 + 40) * 5
    ticks = [*_minutes(rng, begin, minutes)]
    return Late(*(_alarms(known, ticks, begin, is_guarded=guard) for guard in (True, False)))


class _Minute(NamedTuple):
    cells: list[dict[str, Any]]
    callbacks: int
    late: int


def _alarms(known: MemoryRows, minutes: list[_Minute], begin: int, *, is_guarded: bool) -> int:
    watch = AlarmWatch(MemoryRows.of(known.written), {})
    opened = 0
    for at, minute in enumerate(minutes):
        for one in minute.cells:
            watch.take_cell(one)
        # Without the guard no callback is told as late, and a gap is none.
        callbacks, late_ones = (minute.callbacks, minute.late) if is_guarded else (max(minute.callbacks, 100), 0)
        records = watch.take_tick(tick(begin + at, callbacks=callbacks, late=late_ones))
        opened += sum(one["is_open"] and one["level"] == "alarm" for one in records)
    return opened


@dataclass
class _Counts:
    """The arrivals of one minute: SMS by cell, deliveries by cell and bound of latency, callbacks, late ones."""

    parts: Counter[_Place] = field(default_factory=Counter)
    delivered: defaultdict[_Place, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    callbacks: int = 0
    late: int = 0


def _minutes(rng: np.random.Generator, begin: int, outage: int) -> Iterator[_Minute]:
    """Yield for each minute the cells that changed, and how many callbacks came and were late."""
    length = _BEFORE + outage + _AFTER
    down, up = _BEFORE * 60.0, (_BEFORE + outage) * 60.0
    counts: defaultdict[int, _Counts] = defaultdict(_Counts)
    for window in range(length // 5):
        for place in ((window, route, sender) for route in _ROUTES for sender in _SENDERS):
            sent = rng.uniform(window * 300, window * 300 + 300, _SENT)
            latency = np.where(rng.random(_SENT) < _SHARE, rng.lognormal(np.log(_MEDIAN), _SPREAD, _SENT), np.inf)
            for moment, after in zip(sent.tolist(), latency.tolist(), strict=True):
                _count(counts, place, moment, after, (down, up))
    yield from _cells(begin, [counts[minute] for minute in range(length)])


def _count(
    counts: defaultdict[int, _Counts], place: _Place, moment: float, after: float, outage: tuple[float, float]
) -> None:
    """Count an SMS: when it was told that it was sent, and that it was delivered; `after` is its latency."""
    came = [(_arrival(true, *outage), true) for true in (moment, moment + after) if true < inf]
    counts[int(min(at for at, _ in came) // 60)].parts[place] += 1
    if after < inf:
        bound = next((str(edge) for edge in _BOUNDS if after <= edge), "more")
        counts[int(came[1][0] // 60)].delivered[place][bound] += 1
    for at, true in came:
        counts[int(at // 60)].callbacks += 1
        counts[int(at // 60)].late += at - true > _LATE_SECONDS


def _arrival(moment: float, down: float, up: float) -> float:
    """Return when a callback comes through: at the first attempt outside the outage."""
    return next((at for again in _AGAIN if not down <= (at := moment + again) < up), up + _AGAIN[-1])


def _cells(begin: int, minutes: list[_Counts]) -> Iterator[_Minute]:
    sums: dict[_Place, tuple[int, Counter[str], int]] = {}
    for counted in minutes:
        cells = []
        for place in sorted({*counted.parts, *counted.delivered}):
            window, route, sender = place
            sent, within, revision = sums.get(place, (0, Counter[str](), 0))
            sent, within = sent + counted.parts[place], within + counted.delivered[place]
            sums[place] = sent, within, revision + 1
            done = sum(within.values())
            told_as = {
                "parts_by_status": {"Delivered": done, "Sent": sent - done},
                "delivered_by_latency": dict(within),
            }
            cells.append(cell(begin // 5 + window, route, sender, sent, done, **told_as, revision=revision + 1))
        yield _Minute(cells, counted.callbacks, counted.late)
