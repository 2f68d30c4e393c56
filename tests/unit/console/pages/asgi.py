"""
The console's pages without a network: a request in, an answer out. Sources are in memory, or away.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from jinja2.bccache import Bucket, BytecodeCache
from starlette.types import ASGIApp, Message

from console.errors import AwayError
from console.live.callbacks import Callback, Callbacks
from console.live.feed import Feed
from console.live.news import News
from console.live.picture import Picture
from console.metrics import Metrics
from console.pages.app import application
from console.pages.campaigns import words_of
from console.pages.site import Site, Sources, still_in_words
from console.programs.client import Program, Programs
from console.read_api.client import ReadApi
from console.settings import ConsoleSettings
from console.tables.clickhouse import Rows, Tables
from console.words.times import Clock
from streams.program.settings import load_settings


class Compiled(BytecodeCache):
    """Templates as they were compiled for the first console: that takes most of a test's processor time."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()


class TablesInMemory(Tables):
    """Answers each query with the rows of the first name that is in it; away without any."""

    def __init__(self, settings: ConsoleSettings, answers: dict[str, Rows] | None) -> None:
        super().__init__(settings)
        self.answers = answers

    async def rows(self, sql: str, parameters: object = None, seconds: float = 2.0) -> Rows:  # noqa: ARG002 - the port
        if self.answers is None:
            self.trouble = "ClickHouse does not answer (connection refused)"
            raise AwayError(self.trouble)
        return next((rows for name, rows in self.answers.items() if name in sql), [])


class ReadApiInMemory(ReadApi):
    def __init__(self, settings: ConsoleSettings, messages: dict[str, Any]) -> None:
        super().__init__(settings)
        self.messages = messages

    async def message(self, message_id: str) -> dict[str, Any] | None:
        return self.messages.get(message_id)


class CallbacksInMemory(Callbacks):
    def __init__(self, settings: ConsoleSettings, kept: dict[tuple[int, int, int], Callback]) -> None:
        super().__init__(settings)
        self.kept = kept

    async def at(self, partition: int, offset: int, index: int) -> Callback | None:
        return self.kept.get((partition, offset, index))


class ProgramsInMemory(Programs):
    def __init__(self, settings: ConsoleSettings, known: list[Program]) -> None:
        super().__init__(settings)
        self.known = known

    async def now(self) -> list[Program]:
        return self.known


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str


@dataclass
class Console:
    """A console to ask; `answers` are rows by a word of the query, None when ClickHouse is away."""

    answers: dict[str, Rows] | None = field(default_factory=dict)
    messages: dict[str, Any] = field(default_factory=dict)
    kept: dict[tuple[int, int, int], Callback] = field(default_factory=dict)
    programs: list[Program] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    picture: Picture = field(default_factory=Picture)
    peer: str = "127.0.0.1"

    def __post_init__(self) -> None:
        settings = load_settings(ConsoleSettings, env_file=None, **self.settings)
        feed = Feed(settings, self.picture)
        feed.trouble = None
        sources = Sources(
            self.picture,
            feed,
            TablesInMemory(settings, self.answers),
            ReadApiInMemory(settings, self.messages),
            CallbacksInMemory(settings, self.kept),
            ProgramsInMemory(settings, self.programs),
        )
        clock = Clock(settings.console_time_zone)
        self.news = News(self.picture, words_of, sources.read_api.message, lambda: still_in_words(feed, clock))
        self.site = Site(settings, sources, self.news, Metrics())
        self.site._templates.bytecode_cache = COMPILED
        self.app: ASGIApp = application(self.site)

    async def get(self, path: str, method: str = "GET", form: dict[str, str] | None = None, **headers: str) -> Answer:
        path, _, query = path.partition("?")
        named = {"host": "127.0.0.1:8090", **{name.replace("_", "-"): value for name, value in headers.items()}}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
            "client": (self.peer, 4711),
            "server": ("127.0.0.1", 8090),
        }
        told: list[Message] = []

        asked = [urlencode(form or {}).encode()]

        async def receive() -> Message:
            if not asked:
                await asyncio.Event().wait()  # a client that stays
            return {"type": "http.request", "body": asked.pop(), "more_body": False}

        async def send(message: Message) -> None:
            told.append(message)

        await self.app(scope, receive, send)
        headers_of = {name.decode(): value.decode("latin-1") for name, value in told[0]["headers"]}
        body = b"".join(one.get("body", b"") for one in told[1:])
        return Answer(told[0]["status"], headers_of, body.decode())
