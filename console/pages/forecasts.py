"""
Forecasts of campaigns from the tables, and in words.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from console.errors import AwayError
from console.eta.estimate import SHARES, SURE_FROM, Cohort, Forecast, Time, forecast
from console.eta.survival import BOUNDS, Cells, Curves, Route
from console.records import Campaign
from console.tables.campaigns import CampaignTables
from console.tables.clickhouse import Row, Rows
from console.words.numbers import SPACE, counted, percent
from console.words.times import Clock, lasted, moment_of

_QUIET: Final = timedelta(minutes=5)
_TODAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Told:
    """A forecast in words: a big line for 95 %, a quiet one below, and 90 and 95 % for the plot."""

    big: str
    small: str
    plotted: tuple[tuple[float, datetime, float], ...] = ()
    """Share, moment, and the spread in seconds."""


NOTHING: Final = Told("no estimate", "")


async def cohorts_of(tables: CampaignTables, campaigns: Iterable[Campaign]) -> dict[str, Rows]:
    """Return the cohorts of campaigns by their id. AwayError."""
    keys = sorted(campaign.campaign_tracking_id for campaign in campaigns)
    found: dict[str, Rows] = {key: [] for key in keys}
    for row in await tables.cohorts(keys) if keys else ():
        found.setdefault(row["campaign"], []).append(row)
    return found


async def curves_of(tables: CampaignTables) -> Curves:
    """Return the curves of the last day. AwayError."""
    return Curves(map(_cells, await tables.survival()))


def _cells(row: Row) -> Cells:
    # No bound is beyond the age of a cell that is older than all of them.
    full = row["age"] - 1 if row["age"] else len(BOUNDS)
    return Cells(
        (row["country"], row["operator"]), full, row["sms"], row["final"], row["delivered"], tuple(row["within"])
    )


def foreseen(campaign: Campaign, cohorts: Rows, curves: Curves, now: datetime) -> Forecast | None:
    """Return the forecast of a campaign, None without messages or without a day to learn from."""
    if not campaign.total or not curves.all.sms or not cohorts:
        return None
    # Cohorts count parts, and the campaign messages.
    known, final = sum(row["sms"] for row in cohorts), sum(row["final"] for row in cohorts)
    of_known = campaign.messages / known if known else 0.0
    of_final = campaign.messages_final / final if final else 0.0
    only_finals = campaign.strategy == "OnCompletion" or known == final
    return forecast(
        (
            Cohort(
                curves.of((row["country"], row["operator"])),
                max(0.0, (now - _moment(row)).total_seconds() - 15),
                max(row["sms"] * of_known, row["final"] * of_final),
                row["final"] * of_final,
            )
            for row in cohorts
        ),
        campaign.total,
        only_finals=only_finals,
    )


def routes_of(cohorts: Rows) -> dict[Route, int]:
    """Return the SMS of a campaign by route."""
    found: dict[Route, int] = {}
    for row in cohorts:
        route = row["country"], row["operator"]
        found[route] = found.get(route, 0) + row["sms"]
    return found


def usual_of(cohorts: Rows, usual: Mapping[Route, Row]) -> float | None:
    """Return the delivered share of final SMS that is usual for this mix of routes; None when most of it is unknown."""
    routes = routes_of(cohorts)
    known = [
        (sms, row["delivered"] / row["final"])
        for route, sms in routes.items()
        if (row := usual.get(route)) and row["final"]
    ]
    whole = sum(sms for sms, _ in known)
    return sum(sms * share for sms, share in known) / whole if whole * 2 > sum(routes.values()) else None


def in_words(campaign: Campaign, found: Forecast | None, now: datetime, clock: Clock, reached: datetime | None) -> Told:
    """Return a forecast in words; `reached` is when 95 % were final, if that is known."""
    last = moment_of(campaign.last_received_at) or now
    if found is None:
        return Told("no estimate", "Nothing is known yet of how long its routes take")
    ninety_five, ninety_nine = found.times[0.95], found.times[0.99]
    if now - last > _QUIET and (ninety_five is None or ninety_five.seconds > 0):
        return Told("no estimate", f"Nothing has come for {lasted((now - last).total_seconds())}")
    plotted = tuple(
        (share, now + timedelta(seconds=time.seconds), time.spread)
        for share in SHARES[:2]
        if (time := found.times[share]) is not None and 0 < time.seconds < _TODAY
    )
    if ninety_five is not None and ninety_five.seconds == 0:
        big = f"reached at {clock.short(reached, now)}" if reached else "reached"
        return Told(big, _later(ninety_nine, found, now, clock), plotted)
    if ninety_five is None:
        return Told("not within a day", _waiting(found), plotted)
    if not ninety_five.is_certain:
        why = (
            f"Too early to be sure: {percent(found.seen, 0)} seen"
            if found.seen < SURE_FROM
            else "Uncertain: its routes vary"
        )
        return Told(_between(ninety_five, now, clock), why, plotted)
    return Told(_by(ninety_five, now, clock), _later(ninety_nine, found, now, clock), plotted)


def _later(time: Time | None, found: Forecast, now: datetime, clock: Clock) -> str:
    if time is None:
        return _waiting(found)
    if time.seconds == 0:
        return (
            f"99{SPACE}% too; {counted(found.waiting, 'message')} may wait for phones that are off"
            if found.waiting
            else f"99{SPACE}% too"
        )
    return f"99{SPACE}% {_by(time, now, clock) if time.is_certain else _between(time, now, clock)}"


def _waiting(found: Forecast) -> str:
    return f"{counted(found.waiting, 'message')} may wait for phones that are off, or their callbacks are lost"


def _by(time: Time, now: datetime, clock: Clock) -> str:
    at = now + timedelta(seconds=time.seconds)
    return f"by {clock.short(at, now)} ±{SPACE}{max(1, round(time.spread / 60))}{SPACE}min"


def _between(time: Time, now: datetime, clock: Clock) -> str:
    early = now + timedelta(seconds=max(0.0, time.seconds - time.spread))
    late = now + timedelta(seconds=time.seconds + time.spread)
    return f"between {clock.short(early, now)} and {clock.short(late, now)}"


def _moment(row: Row) -> datetime:
    moment = moment_of(row["sending"])
    if moment is None:
        raise AwayError("ClickHouse answers without a time")
    return moment
