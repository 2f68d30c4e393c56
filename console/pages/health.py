"""
Health: whether Routee reaches us, and how far behind each step is.
"""

import asyncio
from datetime import datetime, timedelta
from time import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from console.errors import AwayError
from console.pages.site import Look, Site
from console.programs.client import Program, state_of
from console.words.numbers import counted
from console.words.times import moment_of
from streams.program.version import project_version

_QUIET: Final = 300.0
"""Without a callback for so long a person is told, at any hour."""


class HealthPage:
    """The page of the pipeline."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._started = time()

    async def __call__(self, request: Request) -> Response:
        """Show it, or callbacks a minute as CSV."""
        look = self._site.look(request, "health")
        health, refused = self._site.sources.health, self._site.sources.refused
        pace = await look.part("pace", health.pace())
        if request.query_params.get("csv") == "pace":
            return self._site.sheet(
                "pace",
                ("Minutes ago", "Changes", "usual"),
                ([row["ago"], row["changes"], row["usual"]] for row in pace or []),
                look.troubles.get("pace"),
            )
        if request.query_params.get("csv") == "programs":
            return self._site.sheet(
                "programs", _HEADS, map(_cells, [*await self._site.sources.programs.now(), self._own()])
            )
        asked = asyncio.create_task(self._site.sources.programs.now())
        fresh, reasons, stuck, schema, backfill, read_api = await asyncio.gather(
            look.part("fresh", health.fresh()),
            look.part("refused", refused.by_reason(24, "")),
            look.part("stuck", health.stuck()),
            look.part("schema", health.schema()),
            look.part("backfill", health.backfill()),
            self._read_api(look),
        )
        programs = await asked
        picture, feed = self._site.sources.picture, self._site.sources.feed
        newest = _newest(moment_of(fresh["newest"]) if fresh and fresh["changes"] else None, picture.at)
        if newest is None and fresh:  # a quiet weekend is no pipeline that was never used
            newest = await look.part("last", health.last())
        return self._site.page(
            look,
            "health.html",
            "health",
            newest=newest,
            age=(look.now - newest).total_seconds() if newest else None,
            quiet=_QUIET,
            pace=[
                (look.now - timedelta(minutes=ago), changes / 60, usual / 60) for ago, changes, usual in _minutes(pace)
            ],
            rate=_rate(pace),
            has_week=any(row["usual"] for row in pace or []),
            fresh=fresh,
            stuck=stuck,
            schema=schema,
            backfill=backfill,
            refused=None if reasons is None else sum(row["callbacks"] for row in reasons),
            picture=picture,
            feed=feed,
            tables=self._site.sources.tables,
            viewers=self._site.news.viewers,
            account=[alarm for alarm in picture.open_alarms if alarm.scope == "account"],
            last_alarm=self._last_alarm(),
            read_api=read_api,
            programs=programs,
            in_trouble=[one for one in programs if one.trouble],
            own=self._own(),
            by_name={one.name: one for one in programs},
            lags={one.name: one.lag for one in programs if one.lag is not None},
            versions={version for one in programs for version in one.versions} | {project_version()},
        )

    async def _read_api(self, look: Look) -> bool:
        """Return whether streams answers questions."""
        try:
            await self._site.sources.read_api.message("00000000-0000-0000-0000-000000000000")
        except AwayError as error:
            look.troubles["streams"] = error
            return False
        return True

    def _own(self) -> Program:
        """Return the console's own state."""
        people = self._site.news.viewers
        words = f"{counted(people, 'tab')} {'is' if people == 1 else 'are'} looking live"
        trouble = self._site.sources.feed.trouble or ""
        return Program("console", 1, (project_version(),), self._started, None, trouble, words)

    def _last_alarm(self) -> Any:  # noqa: ANN401 - an alarm or none
        closed = [
            one for one in self._site.sources.picture.alarms.values() if one.scope == "account" and not one.is_open
        ]
        return max(closed, key=lambda one: one.closed_at or "", default=None)


_HEADS: Final = ("Program", "Processes", "Versions", "State", "Seconds behind", "Trouble", "What it says")


def _cells(one: Program) -> list[object]:
    return [one.name, one.processes, ", ".join(one.versions), state_of(one), one.lag, one.trouble, one.words]


def _newest(*moments: datetime | None) -> datetime | None:
    return max(filter(None, moments), default=None)


def _minutes(pace: list[dict[str, Any]] | None) -> list[tuple[int, float, float]]:
    """Return each minute from the first with a change on: a minute without any has no row."""
    told = {row["ago"]: row for row in pace or []}
    nothing = {"changes": 0, "usual": 0}
    minutes = range(max(told, default=-1), 0, -1)
    return [(ago, row["changes"], row["usual"]) for ago in minutes for row in [told.get(ago, nothing)]]


def _rate(pace: list[dict[str, Any]] | None) -> tuple[float, float] | None:
    """Return changes a second in the last full minute, and the usual ones then."""
    full = [row for row in pace or [] if row["ago"] == 1]
    return (full[0]["changes"] / 60, full[0]["usual"] / 60) if full else None
