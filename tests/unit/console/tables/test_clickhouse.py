"""
Answers over HTTP as they come, in pieces; and the answers that are kept for a while.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import ConnectionTimeoutError, StreamReader

from console.errors import AwayError, UnusableError
from console.read_api.client import ReadApi
from console.settings import ConsoleSettings
from console.tables.clickhouse import Rows, Tables
from streams.program.settings import load_settings

SETTINGS = load_settings(ConsoleSettings, env_file=None)


class Session:
    """Answers each request with these pieces: each comes when the one before it was read."""

    def __init__(self, *pieces: bytes, status: int = 200, content_type: str = "application/json") -> None:
        self.pieces = pieces
        self.told = {"status": status, "content_type": content_type}

    @asynccontextmanager
    async def post(self, *_: object, **__: object) -> AsyncIterator[Any]:
        content = StreamReader(Mock(_reading_paused=False), 1 << 16, loop=asyncio.get_running_loop())
        sending = asyncio.create_task(self._send(content))
        yield Mock(**self.told, headers={}, content=content)
        await sending

    get = post

    async def _send(self, content: StreamReader) -> None:
        for piece in self.pieces:
            content.feed_data(piece)
            await asyncio.sleep(0.01)
        content.feed_eof()


@pytest.mark.filterwarnings("ignore:BasicAuth")
async def test_an_answer_in_pieces_is_read_whole() -> None:
    tables = Tables(SETTINGS)
    tables._session = Session(b'{"n":1}\n{"n"', b":2}\n", b'{"n":3}\n')  # type: ignore[assignment]
    assert await tables.rows("SELECT n") == [{"n": 1}, {"n": 2}, {"n": 3}]


class Unanswered:
    """Raises this for each request."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def post(self, *_: object, **__: object) -> Any:  # noqa: ANN401 - stands for aiohttp
        raise self.error


@pytest.mark.parametrize("error", [ConnectionTimeoutError(), TimeoutError()], ids=["no connection", "no answer"])
@pytest.mark.filterwarnings("ignore:BasicAuth")
async def test_a_clickhouse_that_is_silent_is_away_and_no_slow_query(error: Exception) -> None:
    """It stops a slow query itself. Else each query of a page would wait for a frozen host, and no banner say so."""
    tables = Tables(SETTINGS)
    tables._session = Unanswered(error)  # type: ignore[assignment]
    for sql in ("SELECT 1", "SELECT 2"):
        with pytest.raises(AwayError, match=r"^ClickHouse does not answer \(not in time\)$"):
            await tables.rows(sql)
    assert tables.trouble == "ClickHouse does not answer (not in time)"
    assert tables.queries == 1  # the second one is not tried


@pytest.mark.parametrize(
    ("content_type", "is_streams"), [("application/problem+json", True), ("text/plain", False), ("text/html", False)]
)
async def test_only_streams_says_that_a_message_is_not_known(content_type: str, is_streams: bool) -> None:  # noqa: FBT001 - a case
    """Any server answers 404 for an address that it does not have: `check` and Health would take it for streams."""
    read_api = ReadApi(SETTINGS)
    read_api._session = Session(b"{}", status=404, content_type=content_type)  # type: ignore[assignment]
    if is_streams:
        assert await read_api.message("x") is None
    else:
        with pytest.raises(UnusableError, match="not as streams does"):
            await read_api.message("x")


async def test_a_message_in_pieces_is_read_whole() -> None:
    read_api = ReadApi(SETTINGS)
    read_api._session = Session(b'{"sms":', b"[]}")  # type: ignore[assignment]
    assert await read_api.message("x") == {"sms": []}


async def test_an_answer_is_kept_for_its_seconds_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [1000.0], list[str]()

    async def answer(sql: str, _: object) -> Rows:
        asked.append(sql)
        return [{"n": len(asked)}]

    monkeypatch.setattr("console.tables.clickhouse.monotonic", lambda: now[0])
    tables = Tables(SETTINGS)
    monkeypatch.setattr(tables, "_answer", answer)
    for sql in ("a", "a", "b"):
        await tables.rows(sql, None, 2.0)
    assert asked == ["a", "b"]
    now[0] += 1.5
    assert await tables.rows("a", None, 2.0) == [{"n": 1}]
    await tables.rows("long", None, 60.0)
    now[0] += 1.0
    assert await tables.rows("c", None, 2.0) == [{"n": 4}]
    assert {sql for sql, _ in tables._kept} == {"long", "c"}
