"""
Cells and ticks of an invented account, as the alarms get them, and the alarms that they tell.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from streams.domain.alarms.watch import AlarmWatch
from tests.support.memory_rows import MemoryRows

Line = dict[str, Any]

BEGIN = 20_000 * 288
"""A midnight, in windows since 1970; a Thursday."""
DAY = 288


def cell(window: int, route: tuple[str, str], sender: str, sent: int, delivered: int, **more: Any) -> Line:  # noqa: ANN401
    """Return the record of a cell: `delivered` of `sent` within five seconds, the others under way."""
    place = [*route, sender, None, None, None]
    return {
        "cell": f"{window}:{orjson.dumps(place).decode()}",
        "country": route[0],
        "operator": route[1],
        "sender": sender,
        "parts": sent,
        "parts_by_status": {"Delivered": delivered, "Sent": sent - delivered},
        "delivered_by_latency": {"5": delivered},
        "generation": 0,
        "revision": 1,
    } | more


def tick(minute: int, source: str = "0", callbacks: int = 100, late: int = 0) -> Line:
    """Return the tick of a source."""
    return {"source": source, "minute": minute, "callbacks": callbacks, "late": late}


@dataclass
class Campaigns:
    """
    One campaign of 1,000 SMS an hour, or more at once; each is handed out within ten minutes and over after 55.

    `shares` are the parts that become final, by the number of the hour, when it is not about 0.95; `reported` are those
    of Routee's own counts, when they are others. `more` are fields of each line.
    """

    at_once: int = 1
    shares: Mapping[int, float] = field(default_factory=dict)
    reported: Mapping[int, float] = field(default_factory=dict)
    more: Line = field(default_factory=dict)

    def lines(self, hours: range) -> Iterator[Line]:
        """Yield the lines of these hours since `BEGIN`, each before the tick of its minute."""
        for hour in hours:
            for minute in range(BEGIN * 5 + hour * 60, BEGIN * 5 + hour * 60 + 60):
                yield from self.told_at(minute)
                yield tick(minute)

    def told_at(self, minute: int) -> Iterator[Line]:
        """Yield the lines of a minute since 1970."""
        hour, minute_of_hour = divmod(minute - BEGIN * 5, 60)
        if minute_of_hour in {2, 4, 6, 8, 10, 30, 55}:
            yield from (self._line(hour, one, minute_of_hour) for one in range(self.at_once))

    def _line(self, hour: int, one: int, minute: int) -> Line:
        handed = min(100 * minute, 1_000)
        share = self.shares.get(hour, 0.93 + 0.04 * (hour * 7 % 11) / 10)
        return {
            "campaign": f"{hour}-{one}",
            "at": BEGIN * 5 + hour * 60 + minute,
            "handed": handed,
            "final": round(share * handed),
            "reported": round(self.reported.get(hour, share) * handed),
            "under_way": False,
            "ended": minute == 55,
            "generation": 0,
            "revision": minute,
        } | self.more


@dataclass
class Account:
    """SMS of two senders on each route, and campaigns. `shares` are those of a window's sender when it is not 0.9."""

    routes: list[tuple[str, str]] = field(default_factory=lambda: [("GR", "A"), ("GR", "B")])
    senders: tuple[str, ...] = ("acme", "shop")
    sent: int = 60
    shares: Mapping[tuple[int, tuple[str, str], str], float] = field(default_factory=dict)
    campaigns: Campaigns | None = None

    def lines(self, begin: int, end: int) -> Iterator[Line]:
        """Yield the cells of these windows, each before the tick of its end, and a tick for each minute."""
        for window in range(begin, end):
            for minute in range(5):
                if minute == 0 and window > begin:
                    yield from self.cells(window - 1)
                if self.campaigns is not None:
                    yield from self.campaigns.told_at(window * 5 + minute)
                yield tick(window * 5 + minute)

    def cells(self, window: int) -> Iterator[Line]:
        """Yield the cells of a window."""
        for route in self.routes:
            for sender in self.senders:
                share = self.shares.get((window, route, sender), 0.9)
                yield cell(window, route, sender, self.sent, round(self.sent * share))


def fault(
    begin: int, end: int, routes: Iterable[tuple[str, str]], senders: Iterable[str], share: float
) -> dict[tuple[int, tuple[str, str], str], float]:
    """Return the shares of these windows, routes and senders."""
    senders = [*senders]
    return {(window, route, sender): share for route in routes for window in range(begin, end) for sender in senders}


def told(lines: Iterable[Line], rows: MemoryRows | None = None) -> list[dict[str, Any]]:
    """Return the records that these lines tell."""
    watch = AlarmWatch(rows if rows is not None else MemoryRows(), {})
    records = []
    for line in lines:
        if "cell" in line:
            watch.take_cell(line)
        elif "campaign" in line:
            watch.take_campaign(line)
        else:
            records += watch.take_tick(line)
    return records


def alarms(records: Iterable[dict[str, Any]]) -> list[tuple[str, bool, Any]]:
    """Return alarm, whether it is open, and why it closed, of the records above suspicion."""
    return [(one["alarm"], one["is_open"], one["closed_because"]) for one in records if one["level"] == "alarm"]


def example_alarms() -> list[Line]:
    """Return the alarm of a route that breaks for an hour: when it opens, and when it closes."""
    broke = BEGIN + DAY + 40
    account = Account(shares=fault(broke, broke + 12, [("GR", "A")], ("acme", "shop"), 0.4))
    return told(account.lines(BEGIN, broke + 24))
