"""
Routes: which operator is not as it usually is.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from console.live.routes import live_routes
from console.pages.site import Look, Site
from console.records import Alarm
from console.tables.clickhouse import Row
from console.tables.routes import by_route, quantile
from console.words.alarms import campaign_of
from console.words.times import moment_of

_LOW, _HIGH = -12.0, 6.0
_WIDE: Final = 200.0
_SPARK_WIDE, _SPARK_HIGH = 120.0, 24.0
_STEPS: Final = 96
_ENOUGH: Final = 12
_FEW: Final = 20
_SLOW: Final = 2.0
_CLOSED_SINCE: Final = timedelta(days=30)
_CLOSED_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class RouteRow:
    """A route now, beside its week."""

    country: str | None
    operator: str | None
    now: float | None
    usual: tuple[float, float, float] | None
    p50: float | None
    p90: float | None
    usual_p50: float | None
    usual_p90: float | None
    sms: int
    usual_sms: float | None
    price: float | None
    spark: str
    band: tuple[float, float] | None
    end: float | None
    alarms: tuple[Alarm, ...]

    @property
    def points(self) -> float | None:
        """Return the percentage points between now and the middle of the week."""
        return None if self.now is None or self.usual is None else (self.now - self.usual[1]) * 100

    @property
    def is_out(self) -> bool:
        """Return whether an open alarm is about it."""
        return bool(self.alarms)

    def place(self, share: float) -> float:
        """Return the place of a share on the scale of points from usual."""
        middle = self.usual[1] if self.usual else 0.0
        points = min(max((share - middle) * 100, _LOW), _HIGH)
        return round((points - _LOW) / (_HIGH - _LOW) * _WIDE, 1)

    @property
    def is_beyond(self) -> bool:
        """Return whether it is below the scale."""
        return self.points is not None and self.points < _LOW


class RoutesPage:
    """The page of all routes."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, request: Request) -> Response:
        """Show it, or its routes or alarms as CSV."""
        look = self._site.look(request, "routes")
        country = request.query_params.get("country", "")[:64]
        sender = request.query_params.get("sender", "")[:64]
        tables = self._site.sources.routes
        now, week, last_day, filters = await asyncio.gather(
            look.part("now", tables.now(country, sender)),
            look.part("usual", tables.usual(country, sender)),
            look.part("day", tables.day(country, sender)),
            look.part("filters", tables.filters()),
        )
        usual, day = by_route(week or []), by_route(last_day or [])
        if now is None:
            now = live_routes(self._site.sources.picture.cells.values(), look.now, country, sender) or None
        here = by_route(now or [])
        routes = [self._route(key, here.get(key), usual.get(key), day.get(key)) for key in {**here, **usual}]
        routes.sort(key=lambda one: (not one.is_out, -one.sms, one.operator or ""))
        if request.query_params.get("csv") == "routes":
            missing = look.troubles.get("now") if now is None else None
            return self._site.sheet("routes", _HEADS, map(_cells, routes), missing)
        alarms = self._site.sources.picture.alarms.values()
        oldest = look.now - _CLOSED_SINCE
        closed = [one for one in alarms if not one.is_open and (moment_of(one.closed_at) or oldest) > oldest]
        closed.sort(key=lambda one: one.closed_at or "", reverse=True)
        suspected = [one for one in alarms if one.is_open and (one.level != "alarm" or one.muted_until is not None)]
        if request.query_params.get("csv") == "alarms":
            return self._site.sheet(
                "alarms",
                _ALARM_HEADS,
                (_alarm_cells(look, one) for one in [*self._site.sources.picture.open_alarms, *suspected, *closed]),
            )
        return self._site.page(
            look,
            "routes.html",
            "routes",
            routes=routes if now is not None else None,
            suspected=suspected,
            closed=closed[:_CLOSED_SHOWN],
            filters=filters or {"countries": [], "senders": []},
            country=country,
            sender=sender,
            slow=_SLOW,
            length=lambda alarm: _length(alarm, look.now),
        )

    def _route(self, key: tuple[Any, Any], now: Row | None, usual: Row | None, day: Row | None) -> RouteRow:
        judged, soon = (now["judged"], now["soon"]) if now else (0, 0)
        week = tuple(usual["soon"]) if usual and usual["windows"] >= _ENOUGH else None
        spark, band, end = _spark(day["points"] if day else [], week)
        return RouteRow(
            country=key[0],
            operator=key[1],
            now=soon / judged if judged >= _FEW else None,
            usual=week,
            p50=quantile(now["within"], 0.5) if now else None,
            p90=quantile(now["within"], 0.9) if now else None,
            usual_p50=quantile(usual["within"], 0.5) if usual else None,
            usual_p90=quantile(usual["within"], 0.9) if usual else None,
            sms=now["sms"] if now else 0,
            usual_sms=usual["sms"] / max(1.0, usual["hours"] - 1) if usual else None,
            price=float(now["price_total"]) / now["priced"] if now and now["priced"] else None,
            spark=spark,
            band=band,
            end=end,
            alarms=tuple(self._site.alarms_of(key)),
        )


def _spark(
    points: list[list[float]], week: tuple[float, ...] | None
) -> tuple[str, tuple[float, float] | None, float | None]:
    """Return the line of a day, the band of the week and the end of the line, in the units of the picture."""
    shares = [share for _, share in points] + list(week or ())
    if not points or not shares:
        return "", None, None
    low, high = min(shares), max(shares)
    low, high = min(low, high - 0.1), max(high, low + 0.02)

    def y(share: float) -> float:
        return round(_SPARK_HIGH - (share - low) / (high - low) * _SPARK_HIGH, 1)

    line = " ".join(f"{(_STEPS - ago) / _STEPS * _SPARK_WIDE:.1f},{y(share)}" for ago, share in points)
    band = (y(week[2]), round(max(1.0, y(week[0]) - y(week[2])), 1)) if week else None
    return line, band, y(points[-1][1])


def _length(alarm: Alarm, now: datetime) -> float:
    opened, closed = moment_of(alarm.opened_at), moment_of(alarm.closed_at)
    return float(((closed or now) - opened).total_seconds()) if opened else 0.0


_HEADS: Final = (
    *(
        "Country",
        "Operator",
        "Delivered in 5 min",
        "usual",
        "usual 10 %",
        "usual 90 %",
        "p50, s",
        "usual p50, s",
        "p90, s",
    ),
    *("usual p90, s", "SMS, last hour", "usual SMS an hour", "a part", "Open alarms"),
)
_ALARM_HEADS: Final = (
    *(
        "Kind",
        "Level",
        "Open",
        "Scope",
        "Country",
        "Operator",
        "Sender",
        "Campaign",
        "Opened (UTC)",
        "Closed (UTC)",
        "Because",
    ),
    *("Observed", "Expected", "SMS", "Why"),
)


def _cells(one: RouteRow) -> list[object]:
    low, middle, high = one.usual or (None, None, None)
    return [
        *(one.country, one.operator, one.now, middle, low, high, one.p50, one.usual_p50, one.p90, one.usual_p90),
        *(one.sms, one.usual_sms, one.price, len(one.alarms)),
    ]


def _alarm_cells(look: Look, one: Alarm) -> list[object]:
    return [
        *(one.kind, one.level, one.is_open, one.scope, one.country, one.operator, look.words(one.sender)),
        campaign_of(one) if one.scope == "campaign" else None,
        *(one.opened_at, one.closed_at, one.closed_because, one.observed, one.expected, one.n, look.words(one.why)),
    ]
