"""
All that the pages rest on, and the page around each of them.
"""

import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from console.errors import AwayError
from console.live.callbacks import Callbacks
from console.live.feed import Feed
from console.live.news import News
from console.live.picture import Picture
from console.metrics import Metrics
from console.pages.files import Files
from console.programs.client import Programs, state_of
from console.programs.told import behind
from console.read_api.client import ReadApi
from console.records import Alarm
from console.safety.masking import masked_number, masked_text, masked_words
from console.safety.people import Person
from console.safety.sheets import sheet
from console.settings import ConsoleSettings
from console.tables.campaigns import CampaignTables
from console.tables.clickhouse import Tables
from console.tables.health import HealthTables
from console.tables.messages import MessageTables
from console.tables.refused import RefusedTables
from console.tables.routes import RouteTables
from console.words import alarms, numbers, statuses
from console.words.times import Clock, lasted, moment_of
from streams.program.printable import printable, printable_lines

logger = logging.getLogger(__name__)

FOLDER: Final = Path(__file__).parent.parent
Found = TypeVar("Found")


@dataclass(frozen=True)
class Sources:
    """Where the pages have their data from."""

    picture: Picture
    feed: Feed
    tables: Tables
    read_api: ReadApi
    callbacks: Callbacks
    programs: Programs

    @cached_property
    def campaigns(self) -> CampaignTables:
        """Return the questions about campaigns."""
        return CampaignTables(self.tables)

    @cached_property
    def routes(self) -> RouteTables:
        """Return the questions about routes."""
        return RouteTables(self.tables)

    @cached_property
    def messages(self) -> MessageTables:
        """Return the questions about messages."""
        return MessageTables(self.tables)

    @cached_property
    def refused(self) -> RefusedTables:
        """Return the questions about refused callbacks."""
        return RefusedTables(self.tables)

    @cached_property
    def health(self) -> HealthTables:
        """Return the questions about the pipeline."""
        return HealthTables(self.tables)


@dataclass(frozen=True, slots=True)
class Banner:
    """Something that a person should know: bold sentence, the rest, and a place to look at."""

    kind: str
    bold: str
    rest: str = ""
    place: str = ""
    link: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """One request for a page: who looks, when, and whether numbers and texts are shown."""

    request: Request
    person: Person
    now: datetime
    unmasked: bool
    troubles: dict[str, AwayError]

    def number(self, number: str | None) -> str | None:
        """Return a number as this person sees it."""
        return number if self.unmasked else masked_number(number)

    def words(self, text: str | None) -> str | None:
        """Return a name or label as this person sees it."""
        return text if self.unmasked else masked_words(text)

    def where(self, alarm: Alarm) -> str:
        """Return the place of an alarm as this person sees it; the id of a campaign has digits, and is no number."""
        place = alarms.place_in_words(alarm)
        return place if self.unmasked or alarm.scope == "campaign" else masked_words(place) or ""

    def sentence(self, alarm: Alarm) -> str:
        """Return what happened, and of a campaign which one: its alarm's own words do not tell."""
        told = self.words(alarm.why) or alarms.kind_in_words(alarm)
        return f"Campaign {alarms.campaign_of(alarm)}: {told}" if alarm.scope == "campaign" else told

    def text(self, text: str | None) -> str | None:
        """Return a text as this person sees it."""
        return text if self.unmasked else masked_text(text)

    async def part(self, name: str, answer: Awaitable[Found]) -> Found | None:
        """Return a part of the page; None when its source is away, which the page then says."""
        try:
            return await answer
        except AwayError as error:
            self.troubles[name] = error
            return None


class Site:
    """The pages' surroundings: sources, clock, templates, and what every page says."""

    def __init__(self, settings: ConsoleSettings, sources: Sources, news: News, metrics: Metrics) -> None:
        self.settings = settings
        self.sources = sources
        self.news = news
        self.metrics = metrics
        self.clock = Clock(settings.console_time_zone)
        self.people = settings.people
        self.files = Files(FOLDER / "static")
        self._templates = _environment(self.clock, self.files)

    def look(self, request: Request, subject: str) -> Look:
        """Begin a page. A look at numbers and texts is logged: who, and at which kind of page; never the number."""
        person: Person = request.scope["person"]
        unmasked = person.may_unmask and request.query_params.get("show") == "1"
        if unmasked:
            logger.info("a person looks at numbers and texts", extra={"person": person.name, "page": subject})
            self.metrics.unmasked.inc()
        return Look(request, person, datetime.now(UTC), unmasked, {})

    def page(self, look: Look, template: str, place: str, status: int = 200, **parts: Any) -> Response:  # noqa: ANN401
        """Return a page."""
        self.metrics.pages.labels(place).inc()
        picture = self.sources.picture
        query = {key: value for key, value in look.request.query_params.items() if key not in {"show", "csv"}}
        told = {
            "place": place,
            "now": look.now,
            "clock": self.clock,
            "look": look,
            "mark_of_news": self.news.mark(),
            "is_live": self.sources.feed.trouble is None,
            "live_since": self.sources.feed.since,
            "open_alarms": picture.open_alarms,
            "banners": [*self._alarm_banners(look), *self._away_banners(look)][:2],
            "address": look.request.url.path,
            "query": query,
        }
        return HTMLResponse(self._templates.get_template(template).render(told | parts), status)

    def bare(self, template: str, status: int = 200, **parts: Any) -> Response:  # noqa: ANN401 - as templates take them
        """Return a page without the places: the login, an error."""
        return HTMLResponse(self._templates.get_template(template).render(parts), status)

    def sheet(
        self, name: str, heads: Sequence[str], rows: Iterable[Sequence[object]], missing: AwayError | None = None
    ) -> Response:
        """Return a table as CSV, 503 when its rows are missing. The caller masks it as the page is."""
        if missing is not None:
            return self.bare("error.html", 503, title="This table has no rows now", what=f"{missing}.")
        return Response(
            sheet(heads, rows),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
        )

    def alarms_of(self, route: tuple[str | None, str | None]) -> list[Alarm]:
        """Return the open alarms of a route, those of its senders too."""
        found = [alarm for alarm in self.sources.picture.open_alarms if alarm.scope in {"route", "sender"}]
        return [alarm for alarm in found if (alarm.country, alarm.operator) == route]

    def _alarm_banners(self, look: Look) -> list[Banner]:
        return [
            Banner(
                "alarm",
                look.sentence(alarm),
                place=alarms.page_of(alarm),
                link=alarms.link_to(alarm),
                mark=f"Alarm since {self.clock.short(moment_of(alarm.opened_at), datetime.now(UTC))}",
            )
            for alarm in self.sources.picture.open_alarms[:1]
        ]

    def _away_banners(self, look: Look) -> list[Banner]:
        found = []
        tables, feed = self.sources.tables, self.sources.feed
        if tables.trouble is not None:
            found.append(
                Banner(
                    "warn",
                    f"{tables.trouble}, since {self.clock.short(tables.since, look.now)}.",
                    ("" if feed.trouble else "Live numbers go on. ")
                    + "Search, finished campaigns and the routes’ week come back with it; it is tried again with every "
                    "look.",
                    "/health",
                    "Health",
                )
            )
        if feed.trouble is not None:
            found.append(
                Banner(
                    "warn",
                    f"The live numbers stand still since {self.clock.short(feed.since, look.now)}: {feed.trouble}.",
                    ("" if tables.trouble else "The tables below are from ClickHouse, and go on. ")
                    + "No callback is lost by it: what ingest cannot store, Routee sends again.",
                    "/health",
                    "Health",
                )
            )
        return found


def _environment(clock: Clock, files: Files) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "grouped": numbers.grouped,
        "percent": numbers.percent,
        "money": numbers.money,
        "price": numbers.price,
        "secs": numbers.seconds,
        "lines": lambda text: escape(printable_lines(text)),
        "counted": numbers.counted,
        "css": statuses.css_of,
        "told": statuses.told,
        "moment": moment_of,
        "lasted": lasted,
        "kind": alarms.kind_in_words,
        "behind": behind,
        "state": state_of,
    }
    environment.globals |= {
        "segments": statuses.segments,
        "share": numbers.share,
        "zone": clock.zone,
        "amount": alarms.amount,
        "static": lambda name: f"/static/{files.digest}/{name}",
    }
    return environment


def _shown(value: object) -> object:
    """Return a value as it is shown: no control character, mark of direction or half character of a text is obeyed."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def still_in_words(feed: Feed, clock: Clock) -> str:
    """Return since when the live numbers stand still, as the pages write times; empty while they do not."""
    return clock.seconds(feed.still_since) if feed.still_since else ""


def one_of(value: str | None, allowed: Mapping[str, Found], default: str) -> str:
    """Return a value of a form that is allowed, else the default."""
    return value if value is not None and value in allowed else default


def page_number(value: str | None) -> int:
    """Return a page from 0 on; the first for anything else."""
    is_number = value is not None and value.isascii() and value.isdecimal() and len(value) <= len("99999")
    return int(value) if is_number and value is not None else 0
