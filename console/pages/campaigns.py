"""
Campaigns: what runs, whether it is well, when it is done; and all that are finished.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from console.pages.forecasts import NOTHING, Told, cohorts_of, curves_of, foreseen, in_words, routes_of, usual_of
from console.pages.site import Look, Site, one_of, page_number
from console.records import Alarm, Campaign
from console.tables.campaigns import PAGE, PERIODS, SORTS, VERDICTS
from console.tables.clickhouse import Rows
from console.tables.routes import by_route
from console.words.numbers import grouped, money, percent, share
from console.words.statuses import FINALS, OPEN, final_of, in_order
from console.words.verdicts import Verdict, strategy_in_words, verdict_of
from streams.program.printable import printable

_SHOWN = 50
_MOST_OF_A_SHEET = 10_000
_OFF_USUAL = 0.03
"""A share that is so much below the usual one is told as such."""


@dataclass(frozen=True, slots=True)
class Run:
    """A running campaign as it is shown."""

    campaign: Campaign
    total: int
    final: int
    rate: float | None
    verdict: Verdict
    strategy: str
    told: Told
    usual: float | None
    alarms: tuple[Alarm, ...]

    @property
    def is_low(self) -> bool:
        """Return whether fewer were delivered than is usual for its mix of routes."""
        return self.rate is not None and self.usual is not None and self.rate < self.usual - _OFF_USUAL


def words_of(campaign: Campaign) -> dict[str, object]:
    """Return what a live update of a campaign says: counts for its bar, and each text that changes in place."""
    final = final_of(campaign.messages_by_status)
    return {
        "id": campaign.campaign_tracking_id,
        "running": not campaign.is_final,
        "total": campaign.total,
        "final_count": final,
        "counts": dict(in_order(campaign.messages_by_status)),
        "words": {
            "final": f"{percent(share(final, campaign.total))} final",
            "final-share": percent(share(final, campaign.total)),
            "of": f"{grouped(final)} of {grouped(campaign.total)} messages",
            "rate": percent(campaign.delivery_rate),
            "cost": money(campaign.cost),
            "verdict": printable(_verdict(campaign).sentence),
            "unseen": grouped(max(0, campaign.total - campaign.messages)),
        },
    }


class CampaignsPage:
    """The first page."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, request: Request) -> Response:
        """Show it, or one of its tables as CSV."""
        look = self._site.look(request, "campaigns")
        form = _form(request)
        if request.query_params.get("csv") == "finished":
            campaigns, _ = await self._finished(look, form, page=0, most=_MOST_OF_A_SHEET)
            cells = (self._cells(look, one) for one in campaigns)
            return self._site.sheet("campaigns", _HEADS, cells, look.troubles.get("finished"))
        running = await self._running(look)
        if request.query_params.get("csv") == "running":
            # The live state alone lacks the campaigns of which nothing came lately: a table without them looks whole.
            cells = (self._cells(look, one) for one in running)
            return self._site.sheet("running", _HEADS, cells, look.troubles.get("running"))
        runs = await self._runs(look, running[:_SHOWN])
        finished, count = await self._finished(look, form, page=form["page"], most=PAGE)
        return self._site.page(
            look,
            "campaigns.html",
            "campaigns",
            runs=sorted(runs, key=lambda run: not run.alarms),
            more=max(0, len(running) - _SHOWN),
            waiting=[one for one in running if _is_scheduled(one)],
            finished=[(one, _verdict(one)) for one in finished],
            count=count,
            form=form,
            first=form["page"] * PAGE,
            name_of=lambda campaign: look.words(campaign.shown_name),
            last=finished[0] if finished else None,
        )

    async def _running(self, look: Look) -> list[Campaign]:
        """Return the campaigns that run: as the tables have them, and newer where the live state is."""
        there = await look.part("running", self._site.sources.campaigns.running(look.now)) or []
        picture = self._site.sources.picture
        newest = {one.campaign_tracking_id: one for one in [*there, *picture.running(look.now)]}
        for key, one in newest.items():
            live = picture.campaigns.get(key)
            if live is not None and live.order > one.order:
                newest[key] = live
        running = [one for one in newest.values() if not one.is_final]
        return sorted(running, key=lambda one: one.first_received_at, reverse=True)

    async def _runs(self, look: Look, running: list[Campaign]) -> list[Run]:
        sources = self._site.sources
        found_cohorts, curves, found_usual = await asyncio.gather(
            look.part("cohorts", cohorts_of(sources.campaigns, running)),
            look.part("curves", curves_of(sources.campaigns)),
            look.part("usual", sources.routes.usual()),
        )
        cohorts, usual = found_cohorts or {}, by_route(found_usual or [])
        runs = []
        for one in running:
            rows = cohorts.get(one.campaign_tracking_id, [])
            found = foreseen(one, rows, curves, look.now) if curves else None
            told = in_words(one, found, look.now, self._site.clock, self._reached(one)) if curves else NOTHING
            runs.append(
                Run(
                    campaign=one,
                    total=one.total,
                    final=final_of(one.messages_by_status),
                    rate=one.delivery_rate,
                    verdict=_verdict(one),
                    strategy=strategy_in_words(one.strategy),
                    told=told,
                    usual=usual_of(rows, usual),
                    alarms=tuple(self._alarms(rows)),
                )
            )
        return runs

    def _reached(self, campaign: Campaign) -> datetime | None:
        """Return when 95 % were final, as far as the live curve shows."""
        curve = self._site.sources.picture.curves.get(campaign.campaign_tracking_id, [])
        wanted = 0.95 * campaign.total
        return next((point.at for point in curve if point.final >= wanted and point is not curve[0]), None)

    def _alarms(self, cohorts: Rows) -> list[Alarm]:
        return [alarm for route in routes_of(cohorts) for alarm in self._site.alarms_of(route)]

    async def _finished(
        self, look: Look, form: dict[str, Any], page: int, most: int
    ) -> tuple[list[Campaign], int | None]:
        asked = self._site.sources.campaigns.finished(
            look.now,
            name=form["name"],
            days=PERIODS[form["period"]],
            verdict=form["verdict"],
            sort=form["sort"],
            ascending=form["order"] == "asc",
            page=page,
            most=most,
        )
        return await look.part("finished", asked) or ([], None)

    def _cells(self, look: Look, one: Campaign) -> list[object]:
        counts = one.messages_by_status
        return [
            look.words(one.shown_name),
            one.campaign_tracking_id,
            one.last_received_at,
            one.total,
            *(counts.get(status, 0) for status in (*FINALS, *OPEN)),
            one.cost,
            _verdict(one).sentence,
        ]


_HEADS = ("Campaign", "Id", "Last callback (UTC)", "Messages", *FINALS, *OPEN, "Cost", "Beside Routee's numbers")


def _verdict(campaign: Campaign) -> Verdict:
    return verdict_of(campaign.reconciliation, campaign.drift, campaign.reported_by_status)


def _is_scheduled(campaign: Campaign) -> bool:
    return campaign.campaign_status == "Scheduled" and not campaign.messages


def _form(request: Request) -> dict[str, Any]:
    given = request.query_params
    return {
        "name": given.get("name", "")[:200].strip(),
        "period": one_of(given.get("period"), PERIODS, "7"),
        "verdict": one_of(given.get("verdict"), VERDICTS, ""),
        "sort": one_of(given.get("sort"), SORTS, "finished"),
        "order": one_of(given.get("order"), {"asc": 1, "desc": 1}, "desc"),
        "page": page_number(given.get("page")),
    }
