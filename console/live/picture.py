"""
The newest state of everything that is live, and which of it changed at which tick. Pure.

A tick is a fraction of a second. A viewer who was away names the last tick that he saw, and is told of everything that
changed since: states are absolute, so no change has to be kept, and a viewer who misses some misses nothing.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from console.records import Alarm, Campaign, Cell
from console.words.statuses import final_of
from console.words.times import moment_of

KEPT: Final = timedelta(hours=48)
"""A campaign that nothing has come for since then is left to ClickHouse."""
ALARMS_KEPT: Final = timedelta(days=31)
"""A closed alarm is let go then; the page of routes shows those of 30 days."""
CELLS_KEPT: Final = timedelta(hours=3)
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_CAMPAIGNS: Final = 20_000
_MOST_CELLS: Final = 100_000
_MOST_POINTS: Final = 400


class Point(NamedTuple):
    """A campaign at one moment: messages seen, sent or further, final and delivered."""

    at: datetime
    seen: int
    sent: int
    final: int
    delivered: int
    reported: int | None
    """Delivered in a report of Routee's that is new at this moment."""


class Picture:
    """The live state. Everything in it can be read anew from Kafka."""

    def __init__(self) -> None:
        self.campaigns: dict[str, Campaign] = {}
        self.curves: dict[str, list[Point]] = {}
        self.cells: dict[str, Cell] = {}
        self.alarms: dict[str, Alarm] = {}
        self.tick = 1
        self.at: datetime | None = None
        """Time of the newest record, None before the first."""
        self._changed: dict[str, int] = {}
        """The tick of each campaign's last change, in the order of these."""
        self._routes_changed = self._alarms_changed = 0

    def take_campaign(self, campaign: Campaign) -> None:
        """Take a state of a campaign; an older one than the known one changes nothing."""
        key = campaign.campaign_tracking_id
        known = self.campaigns.get(key)
        if known is not None and known.order >= campaign.order:
            return
        self.campaigns[key] = campaign
        self._changed.pop(key, None)  # to the end
        self._changed[key] = self.tick
        _extend(self.curves.setdefault(key, []), campaign, known)
        self._seen(campaign.last_received_at)

    def take_cell(self, cell: Cell) -> None:
        """Take a state of a cell; the newest one stands."""
        known = self.cells.get(cell.cell)
        if known is not None and known.order >= cell.order:
            return
        self.cells[cell.cell] = cell
        self._routes_changed = self.tick

    def take_alarm(self, alarm: Alarm) -> None:
        """Take an alarm that opened or closed; the newest state of each stands."""
        known = self.alarms.get(alarm.alarm)
        if known is None or known.order < alarm.order:
            self.alarms[alarm.alarm] = alarm
            self._alarms_changed = self.tick

    def changed_since(self, tick: int) -> Iterator[Campaign]:
        """Yield the campaigns that changed after a tick, the last changed first."""
        for key, at in reversed(self._changed.items()):
            if at <= tick:
                return
            yield self.campaigns[key]

    def routes_changed_since(self, tick: int) -> bool:
        """Return whether a cell changed after a tick."""
        return self._routes_changed > tick

    def alarms_changed_since(self, tick: int) -> bool:
        """Return whether an alarm changed after a tick."""
        return self._alarms_changed > tick

    @property
    def open_alarms(self) -> list[Alarm]:
        """Return the open alarms that people want to be told of: the account's first, then the newest."""
        found = [
            alarm
            for alarm in self.alarms.values()
            if alarm.is_open and alarm.level == "alarm" and alarm.muted_until is None
        ]
        return sorted(found, key=lambda alarm: (alarm.scope == "account", alarm.opened_at), reverse=True)

    def running(self, now: datetime) -> list[Campaign]:
        """Return the campaigns that run, the newest first: not final, and heard of within two days."""
        oldest = now - KEPT
        found = [
            campaign
            for campaign in self.campaigns.values()
            if not campaign.is_final and (moment_of(campaign.last_received_at) or oldest) >= oldest
        ]
        return sorted(found, key=lambda campaign: campaign.first_received_at, reverse=True)

    def forget(self, now: datetime) -> None:
        """Let go of old state, and of the oldest where there is too much."""
        oldest = now - KEPT
        for key in [
            key for key, one in self.campaigns.items() if (moment_of(one.last_received_at) or oldest) < oldest
        ] + _surplus(self.campaigns, _MOST_CAMPAIGNS):
            for kept in (self.campaigns, self.curves, self._changed):
                kept.pop(key, None)
        limit = now - CELLS_KEPT
        for key in [
            key for key, cell in self.cells.items() if (moment_of(cell.window_start) or limit) < limit
        ] + _surplus(self.cells, _MOST_CELLS):
            self.cells.pop(key, None)
        closed = now - ALARMS_KEPT
        for key in [
            key for key, one in self.alarms.items() if not one.is_open and (moment_of(one.closed_at) or closed) < closed
        ]:
            self.alarms.pop(key)

    def _seen(self, text: str) -> None:
        moment = moment_of(text)
        if moment and (self.at is None or moment > self.at):
            self.at = moment


def _surplus(kept: dict[str, Campaign] | dict[str, Cell], most: int) -> list[str]:
    """Return the keys that came first, as many as there are too many."""
    return list(kept)[: max(0, len(kept) - most)]


def point_of(campaign: Campaign, before: Campaign | None) -> Point:
    """Return a campaign's point; a report is new when its counts are."""
    counts = campaign.messages_by_status
    is_new = campaign.reported_by_status is not None and (
        before is None or before.reported_by_status != campaign.reported_by_status
    )
    return Point(
        at=moment_of(campaign.last_received_at) or _LONG_AGO,
        seen=campaign.messages,
        sent=campaign.messages - counts.get("Queued", 0),
        final=final_of(counts),
        delivered=counts.get("Delivered", 0),
        reported=(campaign.reported_by_status or {}).get("Delivered", 0) if is_new else None,
    )


def _extend(curve: list[Point], campaign: Campaign, before: Campaign | None) -> None:
    """Add a point. A long curve keeps every other point, its reports and its end: coarser, and never longer."""
    curve.append(point_of(campaign, before))
    if len(curve) > _MOST_POINTS:
        curve[:-1] = [point for index, point in enumerate(curve[:-1]) if index % 2 == 0 or point.reported is not None]
