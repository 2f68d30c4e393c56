"""
A campaign: how it is going, why, and which callbacks are missing.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from console.live.picture import Point
from console.pages.forecasts import NOTHING, Told, cohorts_of, curves_of, foreseen, in_words, usual_of
from console.pages.site import Look, Site
from console.records import Campaign
from console.tables.clickhouse import Row, Rows
from console.tables.routes import by_route
from console.words.numbers import grouped
from console.words.statuses import final_of
from console.words.times import moment_of
from console.words.verdicts import strategy_in_words, verdict_of

_MOST_KEY: Final = 256
_OFF_USUAL: Final = 0.03
_SLOW: Final = 2.0


@dataclass(frozen=True, slots=True)
class Operator:
    """A campaign at one operator, beside its usual numbers there."""

    row: Row
    counts: dict[str, int]
    usual: float | None
    is_low: bool
    has_alarm: bool


class CampaignPage:
    """The page of one campaign."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, request: Request) -> Response:
        """Show it, or one of its tables as CSV; 404 for a campaign that nothing is known of."""
        look = self._site.look(request, "campaign")
        key = request.path_params["key"][:_MOST_KEY]
        campaign = await self._campaign(look, key)
        if campaign is None:
            status = 503 if "campaign" in look.troubles else 404
            return self._site.page(look, "unknown.html", "campaigns", status, what="campaign", key=key)
        key = campaign.campaign_tracking_id
        tables = self._site.sources.campaigns
        by_operator, curve, reasons = await asyncio.gather(
            look.part("operators", tables.by_operator(key)),
            self._curve(look, campaign),
            look.part("reasons", tables.reasons(key)),
        )
        if request.query_params.get("csv") == "operators":
            routes = map(_operator_cells, by_operator or [])
            return self._site.sheet("operators", _OPERATOR_HEADS, routes, look.troubles.get("operators"))
        if request.query_params.get("csv") == "curve":
            return self._site.sheet("curve", _CURVE_HEADS, map(_curve_cells, curve))
        if request.query_params.get("csv") == "reasons":
            told = (_reason_cells(look, row) for row in reasons or [])
            return self._site.sheet("reasons", _REASON_HEADS, told, look.troubles.get("reasons"))
        if request.query_params.get("csv") == "parts":
            parts = await look.part("parts", tables.by_parts(key)) or []
            counts = ([row[name] for name in _PARTS] for row in parts)
            return self._site.sheet("parts", _PARTS_HEADS, counts, look.troubles.get("parts"))
        return await self._shown(look, campaign, by_operator, curve, reasons)

    async def _shown(
        self, look: Look, campaign: Campaign, by_operator: Rows | None, curve: list[Point], reasons: Rows | None
    ) -> Response:
        sources = self._site.sources
        usual = by_route(await look.part("usual", sources.routes.usual()) or [])
        operators = [self._operator(row, usual) for row in by_operator or []]
        told, usual_rate = await self._told(look, campaign, usual, curve)
        parts = await look.part("parts", sources.campaigns.by_parts(campaign.campaign_tracking_id))
        final = final_of(campaign.messages_by_status)
        alarms = [
            alarm for one in operators for alarm in self._site.alarms_of((one.row["country"], one.row["operator"]))
        ]
        return self._site.page(
            look,
            "campaign.html",
            "campaigns",
            campaign=campaign,
            name=look.words(campaign.shown_name),
            final=final,
            total=campaign.total,
            told=told,
            usual_rate=usual_rate,
            is_low=_is_low(campaign.delivery_rate, usual_rate),
            verdict=verdict_of(campaign.reconciliation, campaign.drift, campaign.reported_by_status),
            strategy=strategy_in_words(campaign.strategy),
            operators=operators if by_operator is not None else None,
            reasons=reasons,
            undelivered=sum(row["sms"] for row in reasons or []),
            parts=parts,
            alarms=alarms,
            points=_thinned(curve),
            plot=self._plot(campaign, curve, told, alarms),
            senders=sorted({look.words(one) or "" for row in by_operator or [] for one in row["senders"] if one}),
            labels=sorted({look.words(one) or "" for row in by_operator or [] for one in row["labels"] if one}),
        )

    async def _campaign(self, look: Look, key: str) -> Campaign | None:
        """Return the campaign in its newest state, live or as the tables have it."""
        live = self._site.sources.picture.campaigns.get(key)
        there = await look.part("campaign", self._site.sources.campaigns.one(key))
        if there is not None and live is None:
            live = self._site.sources.picture.campaigns.get(there.campaign_tracking_id)
        if live is None or there is None:
            return live or there
        return max(live, there, key=lambda one: one.order)

    async def _curve(self, look: Look, campaign: Campaign) -> list[Point]:
        """Return the campaign over time: as the tables have it, with the newest live points behind; else live alone."""
        live = self._site.sources.picture.curves.get(campaign.campaign_tracking_id, [])
        there = await look.part("curve", self._site.sources.campaigns.curve(campaign))
        if not there:
            return list(live)
        return [*there, *(point for point in live if point.at > there[-1].at)]

    async def _told(
        self, look: Look, campaign: Campaign, usual: dict[Any, Row], curve: list[Point]
    ) -> tuple[Told, float | None]:
        tables = self._site.sources.campaigns
        cohorts = (await look.part("cohorts", cohorts_of(tables, [campaign])) or {}).get(
            campaign.campaign_tracking_id, []
        )
        rate = usual_of(cohorts, usual)
        curves = await look.part("curves", curves_of(tables))
        if campaign.is_final or curves is None:
            return NOTHING, rate
        reached = next((point.at for point in curve if point.final >= 0.95 * campaign.total), None)
        found = foreseen(campaign, cohorts, curves, look.now)
        return in_words(campaign, found, look.now, self._site.clock, reached), rate

    def _operator(self, row: Row, usual: dict[Any, Row]) -> Operator:
        known = usual.get((row["country"], row["operator"]))
        rate = row["delivered"] / row["final"] if row["final"] else None
        usual_rate = known["delivered"] / known["final"] if known and known["final"] else None
        has_alarm = bool(self._site.alarms_of((row["country"], row["operator"])))
        return Operator(row, _counts(row), usual_rate, _is_low(rate, usual_rate), has_alarm)

    def _plot(self, campaign: Campaign, curve: list[Point], told: Told, alarms: list[Any]) -> dict[str, str]:
        """Return the attributes of the plot: seconds of the console's zone since 1970, so that its axes are in it."""
        marks = [
            [self._site.clock.wall(moment), f"alarm: {alarm.operator or alarm.country}"]
            for alarm in alarms[:2]
            if (moment := moment_of(alarm.opened_at)) is not None and curve and moment >= curve[0].at
        ]
        forecast = [[share, self._site.clock.wall(at), spread] for share, at, spread in told.plotted]
        return {
            "total": str(campaign.total),
            "label": f"{grouped(campaign.total)} recipients",
            "forecast": json.dumps(forecast if not campaign.is_final else []),
            "marks": json.dumps(marks),
        }


_PARTS: Final = ("parts", "messages", "whole", "in_part", "missing", "billed")
_PARTS_HEADS: Final = ("Parts of a message", "Messages", "Delivered whole", "in part", "A part missing", "Parts billed")
_OPERATOR_HEADS: Final = ("Country", "Operator", "SMS", "Final", "Delivered", "p50, s", "p90, s", "Cost")
_CURVE_HEADS: Final = (
    "At (UTC)",
    "Sent or further",
    "Final",
    "Delivered",
    "Not delivered",
    "Routee's report: Delivered",
)
_REASON_HEADS: Final = ("Status", "Routee's reason", "Description", "SMS", "Operators")


def _operator_cells(row: Row) -> list[object]:
    return [row[name] for name in ("country", "operator", "sms", "final", "delivered", "p50", "p90", "price_total")]


def _curve_cells(point: Point) -> list[object]:
    return [
        f"{point.at:%Y-%m-%d %H:%M:%S}",
        point.sent,
        point.final,
        point.delivered,
        point.final - point.delivered,
        point.reported,
    ]


def _reason_cells(look: Look, row: Row) -> list[object]:
    return [
        *(row["status"], row["detailed_status"], look.words(row["description"]), row["sms"]),
        "; ".join(row["operators"]),
    ]


def _counts(row: Row) -> dict[str, int]:
    return {status: int(count) for status, count in dict(row["by_status"]).items()}


def _is_low(rate: float | None, usual: float | None) -> bool:
    return rate is not None and usual is not None and rate < usual - _OFF_USUAL


def _thinned(curve: list[Point], most: int = 240) -> list[Point]:
    """Return so many points at most, with each report and the end."""
    step = -(-len(curve) // most) if curve else 1
    return [
        point
        for index, point in enumerate(curve)
        if index % step == 0 or point.reported is not None or index == len(curve) - 1
    ]
