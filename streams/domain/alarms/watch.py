"""
Turns cells, campaigns and ticks into alarms: judges each window of each route when its time has come.

Time is what the ticks say, never a clock. A tick tells that one source of cells has been taken in up to a minute; time
is the least of all sources, so a source that lags holds all judgement, and nothing is judged before it is complete.
The judgement follows from the order of cells and ticks alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
import orjson

from streams.contract.codec import format_time_ms
from streams.domain.alarms.alarm import (
    CAMPAIGN_HANGING,
    DELIVERY_DROP,
    LATENCY_RISE,
    ROUTE_QUIET,
    SILENCE,
    Place,
    Record,
    account_alarm,
    alarm_key,
    hanging_alarm,
    many_hanging_alarm,
    quiet_alarm,
    scan_alarm,
    silence_alarm,
    subject_of,
    subject_of_campaign,
)
from streams.domain.alarms.baseline import WINDOWS_OF_DAY
from streams.domain.alarms.hanging import CampaignWatch, HangEvent
from streams.domain.alarms.mute import ACCOUNT, Mute
from streams.domain.alarms.route_quiet import RouteQuiet, Steadiness, judge_routes
from streams.domain.alarms.rows import read_row
from streams.domain.alarms.scan import DELIVERY_DROP as DROP_RULE
from streams.domain.alarms.scan import LATENCY_RISE as LATENCY_RULE
from streams.domain.alarms.scan import REST, Closed, Finding, Opened, Scan, SenderCount
from streams.domain.alarms.seen import EDGES, WINDOW_SECONDS, Seen, by_sender, counts_within, place_of, seen_of
from streams.domain.alarms.silence import Silence
from streams.domain.alarms.told import Told
from streams.domain.stage import Rows

_CLOCK_KEY, _ROUTES_KEY = b"v:", b"n:"
_ROUTE, _QUIET, _CELLS = b"r:", b"q:", b"c:"

MOST_ROUTES: Final = 500
"""Strangers can invent operators. A route beyond so many is not watched until another one is forgotten."""
_FORGOTTEN_AFTER: Final = 30 * WINDOWS_OF_DAY
_FOLLOWED_FOR: Final = 7 * WINDOWS_OF_DAY
_CHOOSING: Final = 7 * WINDOWS_OF_DAY
_FAST_PART: Final = 0.85
_LATE_MINUTES, _LATE_PART = 5, 0.5
_MOST_MINUTES: Final = 2 * 24 * 60
"""Time that jumps further, after a long standstill, is not gone through."""
_AT_ONCE_MINUTES, _LEAST_AT_ONCE, _PART_AT_ONCE = 10, 3, 0.5
ACTIVE_SMS, ACTIVE_WINDOWS = 20, 3
"""A route has traffic when it has so many SMS in so many windows."""


class _Minute(msgspec.Struct):
    """The counts that the ticks of one minute told."""

    callbacks: int = 0
    late: int = 0


class _Clock(msgspec.Struct):
    """Time, and what concerns the whole account."""

    sources: dict[str, int] = {}
    """Source of cells → the minute up to which it has been taken in."""
    now: int = 0
    minutes: dict[int, _Minute] = {}
    silence: Silence = msgspec.field(default_factory=Silence)
    steadiness: Steadiness = msgspec.field(default_factory=Steadiness)
    fell: dict[str, int] = {}
    """Routes whose own alarm is open → the minute at which it opened."""
    told_together: list[str] | None = None
    """While the account's alarm is open: the routes that it stands for."""
    mutes: dict[str, Mute] = {}
    """Subject → its mute."""


class _Route(msgspec.Struct):
    """The memory of one route."""

    country: str
    operator: str
    last: int = 0
    """The newest window with a cell."""
    drop: Scan = msgspec.field(default_factory=lambda: Scan.new(DROP_RULE))
    latency: Scan = msgspec.field(default_factory=lambda: Scan.new(LATENCY_RULE))
    followed: dict[str, int] = {}
    """Sender → the newest window that showed an SMS of it under way. The SMS of others are told when they are final."""
    first: int = 0
    edge: int = 0
    """How soon most SMS are delivered, chosen after a week."""
    delivered: list[int] = msgspec.field(default_factory=lambda: [0] * len(EDGES))

    @property
    def place(self) -> Place:
        """Return the country and the operator."""
        return self.country, self.operator


class AlarmWatch:
    """
    The alarms of one partition of cells and ticks. All it remembers is in the rows.

    `thresholds` has the routes, by subject, whose deviance has to be another one than that of the rule.
    """

    def __init__(self, rows: Rows, thresholds: Mapping[str, float]) -> None:
        self._rows = rows
        self._thresholds = thresholds
        self._clock = read_row(rows, _CLOCK_KEY, _Clock) or _Clock()
        self._names: list[str] = rows.get(_ROUTES_KEY) or []
        self._told = Told(rows, self._clock.mutes)
        self._campaigns = CampaignWatch(rows)

    def take_cell(self, record: Mapping[str, Any]) -> None:
        """Take in the public record of a cell, unless its window is judged already, or a newer one is known."""
        window, country, operator = place_of(record)
        name = subject_of((country, operator))
        if self._is_over(window) or not self._is_watched(name):
            return
        key = _cells_key(window, name)
        cells = read_row(self._rows, key, dict[str, Seen]) or {}
        before = cells.get(record["cell"])
        seen = seen_of(record, before)
        if before is None or seen.age > before.age:
            cells[record["cell"]] = seen
            self._rows.put(key, cells)

    @property
    def now_ms(self) -> int:
        """Return the time as far as ticks told it."""
        return self._clock.now * 60_000

    def take_campaign(self, line: Mapping[str, Any]) -> None:
        """Take in the line of a campaign."""
        self._campaigns.take(line, self._clock.now)

    def take_mute(self, line: Mapping[str, Any], offset: int = 0, generation: int = 0) -> list[Record]:
        """Take in that a subject is muted until a minute, or no more. Return the open alarms that this changes."""
        self._told.begin(offset, generation)
        records = [*self._told.mute(line, self._clock.now)]
        self._rows.put(_CLOCK_KEY, self._clock)
        return records

    def take_tick(self, tick: Mapping[str, Any], offset: int = 0, generation: int = 0) -> list[Record]:
        """Take in a tick: source, minute, callbacks and how many of them came late. Return what opens and closes."""
        self._told.begin(offset, generation)
        clock, minute = self._clock, tick["minute"]
        if minute > clock.sources.get(tick["source"], 0):
            clock.sources[tick["source"]] = minute
            counted = clock.minutes.setdefault(max(minute, clock.now + 1), _Minute())
            counted.callbacks += tick.get("callbacks", 0)
            counted.late += tick.get("late", 0)
        least = min(clock.sources.values())
        records: list[Record] = []
        if not clock.now:
            clock.now = least
        for passed in range(max(clock.now, least - _MOST_MINUTES) + 1, least + 1):
            clock.now = passed
            records += self._pass(passed)
        self._rows.put(_CLOCK_KEY, clock)
        return records

    def _is_over(self, window: int) -> bool:
        return (window + 1) * WINDOW_SECONDS + EDGES[-1] <= self._clock.now * 60

    def _is_watched(self, name: str) -> bool:
        if name in self._names:
            return True
        if len(self._names) >= MOST_ROUTES:
            return False
        self._names = sorted([*self._names, name])
        self._rows.put(_ROUTES_KEY, self._names)
        return True

    def _pass(self, minute: int) -> Iterable[Record]:
        """Judge all windows that are due at a minute."""
        yield from self._told.end_mutes(minute)
        yield from self._judge_account(minute)
        is_trusted = not self._is_late(minute) and not self._clock.silence.is_gap(minute)
        seconds = minute * 60
        changes: list[tuple[_Route, Opened | Closed]] = []
        for at, horizon in enumerate(DROP_RULE.horizons):
            if (seconds - horizon) % WINDOW_SECONDS == 0:
                changes += self._judge_drops((seconds - horizon) // WINDOW_SECONDS - 1, at, is_trusted=is_trusted)
        yield from self._tell(minute, changes)
        yield from self._judge_campaigns(minute, is_trusted=is_trusted)
        if seconds % WINDOW_SECONDS == 0:
            number = seconds // WINDOW_SECONDS - 1
            yield from self._judge_quiet(
                minute, number - DROP_RULE.horizons[-1] // WINDOW_SECONDS, is_trusted=is_trusted
            )
            yield from self._judge_latency(
                minute, number - LATENCY_RULE.horizons[-1] // WINDOW_SECONDS, is_trusted=is_trusted
            )

    # The account

    def _judge_account(self, minute: int) -> Iterator[Record]:
        counted = self._clock.minutes.get(minute, _Minute())
        for silent in self._clock.silence.take(minute, counted.callbacks):
            if self._clock.silence.open is None:
                yield from self._told.close(alarm_key(SILENCE, ACCOUNT), minute, "callbacks came again")
            else:
                yield self._told.open(silence_alarm(silent, minute))

    def _judge_campaigns(self, minute: int, *, is_trusted: bool) -> Iterator[Record]:
        for event in self._campaigns.judge(minute, is_trusted=is_trusted):
            if event.reason is not None:
                subject = subject_of_campaign(event.campaign) if isinstance(event, HangEvent) else ACCOUNT
                yield from self._told.close(alarm_key(CAMPAIGN_HANGING, subject), minute, event.reason)
            elif isinstance(event, HangEvent):
                yield self._told.open(hanging_alarm(event.campaign, event.hang, minute))
            else:
                yield self._told.open(many_hanging_alarm(event, minute))

    def _is_late(self, minute: int) -> bool:
        """Tell whether most callbacks of the last minutes came late: SMS then only look as if they hung."""
        minutes = self._clock.minutes
        for known in [known for known in minutes if known <= minute - _LATE_MINUTES]:
            del minutes[known]
        recent = [counted for at, counted in minutes.items() if at <= minute]
        return sum(one.late for one in recent) > _LATE_PART * sum(one.callbacks for one in recent)

    # Routes

    def _judge_drops(self, number: int, at: int, *, is_trusted: bool) -> Iterator[tuple[_Route, Opened | Closed]]:
        rule, is_last = DROP_RULE, at == len(DROP_RULE.horizons) - 1
        for name in self._names:
            cells = self._cells(number, name)
            route = self._route(name) if cells else read_row(self._rows, _ROUTE + name.encode(), _Route)
            if route is None or not (cells or route.drop.open or route.drop.suspected):
                continue
            _follow(route, number, cells)
            if not is_trusted:
                route.drop.skip(number)
            elif cells:
                senders = by_sender(seen for seen in cells.values() if _is_followed(route, number, seen.sender))
                counts = counts_within(senders, rule.horizons[at])
                n, x = sum(n for _, n, _ in counts), sum(x for _, _, x in counts)
                if n or route.drop.has(number):
                    changes = route.drop.judge(rule, self._thresholds.get(name), number, at, n, x, counts)
                    yield from ((route, change) for change in changes)
            if is_last:
                yield from ((route, change) for change in route.drop.settle(rule, number))
            self._put_route(name, route)

    def _tell(self, minute: int, changes: Iterable[tuple[_Route, Opened | Closed]]) -> Iterator[Record]:
        """Tell what changed; many routes that fall at once are one alarm of the account."""
        clock, fresh = self._clock, set[str]()
        for route, change in changes:
            name, finding = subject_of(route.place), change.finding
            is_routes = finding.scope == "route" and finding.level == "alarm"
            if isinstance(change, Closed):
                if is_routes:
                    clock.fell.pop(name, None)
                    fresh.discard(name)
                yield from self._told.close(_scan_key(DELIVERY_DROP, route, finding), minute, change.reason)
            elif is_routes:
                clock.fell[name] = minute
                fresh.add(name)
            else:
                yield self._told.open(self._drop_record(route, finding, minute))
        yield from self._tell_routes(minute, fresh)

    def _tell_routes(self, minute: int, fresh: set[str]) -> Iterator[Record]:
        """Tell the routes whose own alarm opened, each by itself or as one of many."""
        clock = self._clock
        if clock.told_together is None:
            yield from self._join(minute, fresh)
        else:
            clock.told_together = sorted({*clock.told_together, *fresh} & clock.fell.keys())
            if len(clock.told_together) < _LEAST_AT_ONCE:
                fresh, clock.told_together = set(clock.told_together), None
                yield from self._told.close(alarm_key(DELIVERY_DROP, ACCOUNT), minute, "most routes recovered")
        if clock.told_together is None:
            for name in sorted(fresh):
                route = self._route(name)
                if route.drop.open is not None:
                    yield self._told.open(self._drop_record(route, route.drop.open, minute))

    def _join(self, minute: int, fresh: set[str]) -> Iterator[Record]:
        """Open the account's alarm when too many routes fell within minutes, and close the alarms of these."""
        clock = self._clock
        active = self._active(minute) if len(clock.fell) >= _LEAST_AT_ONCE else 0
        fell = fell_at_once(clock.fell, active, minute)
        if not fresh or not fell:
            return
        firsts = [route.drop.open.first for name in fell if (route := self._route(name)).drop.open is not None]
        clock.told_together = fell
        yield self._told.open(account_alarm(fell, active, minute, min(firsts)))
        for name in fell:
            yield from self._told.close(alarm_key(DELIVERY_DROP, name), minute, "told as the account's")

    def _active(self, minute: int) -> int:
        """Return how many routes have traffic."""
        least = minute * 60 // WINDOW_SECONDS - 2 - ACTIVE_WINDOWS
        recent = (self._route(name).drop.windows[-ACTIVE_WINDOWS - 2 :] for name in self._names)
        return sum(sum(one.n for one in windows if one.number > least) >= ACTIVE_SMS for windows in recent)

    def _drop_record(self, route: _Route, finding: Finding, minute: int) -> Record:
        return scan_alarm(DELIVERY_DROP, route.place, finding, minute, finding.horizon)

    def _judge_latency(self, minute: int, number: int, *, is_trusted: bool) -> Iterator[Record]:
        """Judge how soon the deliveries of a window came, and forget its cells."""
        for name in self._names:
            cells = self._cells(number, name)
            route = self._route(name)
            if cells:
                _choose_edge(route, number, cells)
                route.last = max(route.last, number)
            scan = route.latency
            if cells and route.edge and is_trusted:
                counts = _fast_counts(cells, route.edge)
                n, x = sum(n for _, n, _ in counts), sum(x for _, _, x in counts)
                if n:
                    for change in scan.judge(LATENCY_RULE, None, number, 0, n, x, counts):
                        yield from self._tell_latency(route, change, minute)
            if cells or scan.open or scan.suspected:
                for change in scan.settle(LATENCY_RULE, number):
                    yield from self._tell_latency(route, change, minute)
                self._put_route(name, route)
                self._rows.delete(_cells_key(number, name))
            elif number - route.last > _FORGOTTEN_AFTER:
                self._forget(name)

    def _tell_latency(self, route: _Route, change: Opened | Closed, minute: int) -> Iterator[Record]:
        finding = change.finding
        if isinstance(change, Closed):
            yield from self._told.close(_scan_key(LATENCY_RISE, route, finding), minute, change.reason)
        else:
            yield self._told.open(scan_alarm(LATENCY_RISE, route.place, finding, minute, route.edge))

    def _judge_quiet(self, minute: int, number: int, *, is_trusted: bool) -> Iterator[Record]:
        """Judge the deliveries of all senders whose SMS are told only when they are final."""
        if not is_trusted:
            return
        deliveries: dict[str, dict[str, int]] = {}
        for name in self._names:
            cells = self._cells(number, name)
            if cells:
                route = self._route(name)
                unfollowed = [seen for seen in cells.values() if not _is_followed(route, number, seen.sender)]
                counts = counts_within(by_sender(unfollowed), DROP_RULE.horizons[-1])
                deliveries[name] = {sender: x for sender, _, x in counts if x and sender != REST}
        known = {
            name: quiet for name in self._names if (quiet := read_row(self._rows, _QUIET + name.encode(), RouteQuiet))
        }
        for event in judge_routes(self._clock.steadiness, known, number, deliveries):
            place = self._route(event.route).place
            if event.reason is None:
                yield self._told.open(quiet_alarm(place, event.quiet, minute))
            else:
                yield from self._told.close(alarm_key(ROUTE_QUIET, event.route), minute, event.reason)
        for name, quiet in known.items():
            if quiet.senders or quiet.windows:
                self._rows.put(_QUIET + name.encode(), quiet)

    # Rows

    def _cells(self, number: int, name: str) -> dict[str, Seen]:
        return read_row(self._rows, _cells_key(number, name), dict[str, Seen]) or {}

    def _route(self, name: str) -> _Route:
        route = read_row(self._rows, _ROUTE + name.encode(), _Route)
        if route is None:
            country, operator = orjson.loads(name)
            route = _Route(country, operator, last=self._clock.now * 60 // WINDOW_SECONDS)
        return route

    def _put_route(self, name: str, route: _Route) -> None:
        self._rows.put(_ROUTE + name.encode(), route)

    def _forget(self, name: str) -> None:
        self._rows.delete(_ROUTE + name.encode())
        self._rows.delete(_QUIET + name.encode())
        self._names = [one for one in self._names if one != name]
        self._rows.put(_ROUTES_KEY, self._names)


def fell_at_once(fell: Mapping[str, int], active: int, minute: int) -> list[str]:
    """
    Return the routes that fell within minutes, when they are too many for a cause of their own; else none.

    `fell` has the minute at which the alarm of each route opened, and `active` is how many routes have traffic.
    """
    names = sorted(name for name, at in fell.items() if at > minute - _AT_ONCE_MINUTES)
    return names if len(names) >= max(_LEAST_AT_ONCE, _PART_AT_ONCE * active) else []


def told_mutes(rows: Rows) -> list[Record]:
    """Return the subjects that are muted now, and until when."""
    clock = read_row(rows, _CLOCK_KEY, _Clock) or _Clock()
    return [
        {"subject": subject, "until": format_time_ms(mute.until * 60_000)}
        for subject, mute in sorted(clock.mutes.items())
    ]


def _cells_key(number: int, name: str) -> bytes:
    return b"%s%d:%s" % (_CELLS, number, name.encode())


def _scan_key(kind: str, route: _Route, finding: Finding) -> str:
    return alarm_key(kind, subject_of(route.place, finding.sender))


def _follow(route: _Route, number: int, cells: Mapping[str, Seen]) -> None:
    for seen in cells.values():
        if seen.was_under_way:
            route.followed[seen.sender] = number
    for sender in [sender for sender, newest in route.followed.items() if number - newest > _FOLLOWED_FOR]:
        del route.followed[sender]


def _is_followed(route: _Route, number: int, sender: str) -> bool:
    newest = route.followed.get(sender)
    return newest is not None and number - newest <= _FOLLOWED_FOR


def _choose_edge(route: _Route, number: int, cells: Mapping[str, Seen]) -> None:
    """Choose, after a week, the edge within which most SMS are delivered."""
    if route.edge:
        return
    route.first = route.first or number
    for seen in cells.values():
        route.delivered = [a + b for a, b in zip(route.delivered, seen.within, strict=True)]
    if number - route.first >= _CHOOSING and route.delivered[-1]:
        fast = [count / route.delivered[-1] for count in route.delivered[:-1]]
        nearest = min(range(len(fast)), key=lambda at: abs(fast[at] - _FAST_PART))
        route.edge = EDGES[nearest]


def _fast_counts(cells: Mapping[str, Seen], edge: int) -> list[SenderCount]:
    """Return the deliveries of each sender, and those within the edge."""
    at = EDGES.index(edge)
    senders = by_sender(cells.values())
    return [(sender, within[-1], within[at]) for sender, (_, within) in senders.items() if within[-1]]
