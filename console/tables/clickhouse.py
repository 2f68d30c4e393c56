"""
Queries over HTTP: read-only, stopped after their limit, answered from a cache of seconds.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic
from typing import Any, Final

import aiohttp
import orjson

from console.answers import read_up_to, why_silent
from console.errors import AwayError, RefusedQueryError, TooSlowError, UnusableError
from console.settings import ConsoleSettings

Row = dict[str, Any]
Rows = list[Row]

_GRACE_SECONDS: Final = 2.0
"""So long after its limit ClickHouse has stopped a query itself, or does not answer at all."""
_CONNECT_SECONDS: Final = 2.0
_MOST_AT_ONCE: Final = 8
_AGAIN_SECONDS: Final = 2.0
"""For so long after a failure no query is tried: a page would wait for each."""
_MOST_BYTES: Final = 64 << 20
_TOO_SLOW: Final = frozenset({"159", "160", "209"})
_OF_PERSON: Final = {
    "60": "a table or view is missing: run `routee-sinks schema`",
    "47": "a column is missing: run `routee-sinks schema`",
    "81": "the database is missing: run `routee-sinks schema`",
    "516": "it refuses CONSOLE_CLICKHOUSE_USER or CONSOLE_CLICKHOUSE_PASSWORD",
    "497": "CONSOLE_CLICKHOUSE_USER may not read the tables",
}


class Tables:
    """
    ClickHouse, asked by several pages at once.

    A query that is asked again within its `seconds` is answered as before, and one that is under way is asked once. Every
    failure is an AwayError; `trouble` says the last one until an answer comes.
    """

    def __init__(self, settings: ConsoleSettings) -> None:
        self._url = settings.clickhouse_url
        self._database = settings.clickhouse_database
        self._user = settings.console_clickhouse_user
        self._password = settings.console_clickhouse_password.get_secret_value()
        self._limit = settings.console_query_seconds
        self._session: aiohttp.ClientSession | None = None
        self._room = asyncio.Semaphore(_MOST_AT_ONCE)
        self._kept: dict[tuple[str, str], tuple[float, asyncio.Task[Rows]]] = {}
        """Each answer with the moment from which on it is too old."""
        self._failed = -_AGAIN_SECONDS
        self.trouble: str | None = None
        self.since = datetime.now(UTC)
        """When the trouble began."""
        self.queries = self.failures = 0
        self.spent_seconds = 0.0

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def rows(self, sql: str, parameters: Mapping[str, object] | None = None, seconds: float = 2.0) -> Rows:
        """Return the rows of a query, at most `seconds` old. AwayError."""
        key = sql, orjson.dumps(dict(parameters or {}), default=str).decode()
        now = monotonic()
        known = self._kept.get(key)
        if known is None or (known[1].done() and (now > known[0] or known[1].exception() is not None)):
            self._kept = {one: kept for one, kept in self._kept.items() if now <= kept[0] or not kept[1].done()}
            known = self._kept[key] = now + seconds, asyncio.create_task(self._asked(sql, parameters or {}))
            known[1].add_done_callback(_looked_at)
        return await asyncio.shield(known[1])

    async def _asked(self, sql: str, parameters: Mapping[str, object]) -> Rows:
        if self.trouble is not None and monotonic() - self._failed < _AGAIN_SECONDS:
            raise AwayError(self.trouble)
        async with self._room:
            began = monotonic()
            self.queries += 1
            try:
                rows = await self._answer(sql, parameters)
            except (TooSlowError, RefusedQueryError):  # this query alone
                self.failures += 1
                raise
            except AwayError as error:
                self.failures += 1
                self._failed = monotonic()
                if self.trouble is None:
                    self.since = datetime.now(UTC)
                self.trouble = str(error)
                raise
            finally:
                self.spent_seconds += monotonic() - began
        self.trouble = None
        return rows

    async def _answer(self, sql: str, parameters: Mapping[str, object]) -> Rows:
        asked = {
            "database": self._database,
            "default_format": "JSONEachRow",
            # 2: queries may have settings, and nothing is written. An analyst's role has the same, and lets no other be.
            "readonly": "2",
            "max_execution_time": f"{self._limit:g}",
            "timeout_overflow_mode": "throw",
            # Where ClickHouse has several shards, a subquery reads all of them.
            "distributed_product_mode": "global",
            "output_format_json_quote_64bit_integers": "0",
            "output_format_json_quote_decimals": "1",
            "date_time_output_format": "iso",
            **{f"param_{name}": _written(value) for name, value in parameters.items()},
        }
        as_user = {"Authorization": aiohttp.encode_basic_auth(self._user, self._password)}
        try:
            async with self._opened().post(self._url, params=asked, data=sql.encode(), headers=as_user) as answer:
                body = await read_up_to(answer.content, _MOST_BYTES + 1)
                return _rows_of(answer.status, answer.headers, body)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise AwayError(f"ClickHouse does not answer ({why_silent(error)})") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            limit = aiohttp.ClientTimeout(total=self._limit + _GRACE_SECONDS, sock_connect=_CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=limit)
        return self._session


def _looked_at(task: asyncio.Task[Rows]) -> None:
    """Look at an error, which no page may wait for any more: asyncio would complain of it."""
    if not task.cancelled():
        task.exception()


def _written(value: object) -> str:
    """Return a parameter in the text form of ClickHouse, where a list has quoted texts."""
    if isinstance(value, list | tuple):
        return f"[{','.join(str(one) if isinstance(one, int) else _quoted(str(one)) for one in value)}]"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _rows_of(status: int, headers: Mapping[str, str], body: bytes) -> Rows:
    code = headers.get("X-ClickHouse-Exception-Code", "")
    if status == HTTPStatus.OK and not code:
        if len(body) > _MOST_BYTES:
            raise TooSlowError("the answer is too large")
        try:
            return [orjson.loads(line) for line in body.splitlines()]
        except orjson.JSONDecodeError:
            raise UnusableError("something answers at CLICKHOUSE_URL, but not as ClickHouse does") from None
    if code in _TOO_SLOW:
        raise TooSlowError("the answer took too long, and was stopped")
    if code in _OF_PERSON:
        raise UnusableError(f"ClickHouse answers: {_OF_PERSON[code]}")
    if code:
        raise RefusedQueryError(f"ClickHouse answers a query with its error {code}")
    raise AwayError(f"something answers {status} at CLICKHOUSE_URL, but not as ClickHouse does")
