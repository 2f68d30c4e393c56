"""
Answers over HTTP as they come, in pieces; and the answers that are kept for a while.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader

from console.read_api.client import ReadApi
from console.settings import ConsoleSettings
from console.tables.clickhouse import Tables
from streams.program.settings import load_settings

SETTINGS = load_settings(ConsoleSettings, env_file=None)


class Session:
    """Answers each request with these pieces: each comes when the one before it was read."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    @asynccontextmanager
    async def post(self, *_: object, **__: object) -> AsyncIterator[Any]:
        content = StreamReader(Mock(_reading_paused=False), 1 << 16, loop=asyncio.get_running_loop())
        sending = asyncio.create_task(self._send(content))
        yield Mock(status=200, headers={}, content=content)
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


async def test_a_message_in_pieces_is_read_whole() -> None:
    read_api = ReadApi(SETTINGS)
    read_api._session = Session(b'{"sms":', b"[]}")  # type: ignore[assignment]
    assert await read_api.message("x") == {"sms": []}
