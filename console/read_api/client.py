"""
Questions to the read API of streams, with the console's token.
"""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import msgspec
import orjson

from console.answers import read_up_to, why_silent
from console.errors import AwayError, UnusableError
from console.settings import ConsoleSettings
from streams.contract.problems import PROBLEM_JSON

_SECONDS: Final = 3.0
_MOST_BYTES: Final = 4 << 20
_NOT_STREAMS: Final = "something answers at CONSOLE_READ_API, but not as streams does"


class _Sms(msgspec.Struct):
    """The fields that the console needs of each part of a message."""

    sms_key: str
    message_id: str
    generation: int
    revision: int
    is_final: bool


class _Message(msgspec.Struct):
    sms: list[_Sms]


_MESSAGE: Final = msgspec.json.Decoder(_Message)


class ReadApi:
    """The read API; every failure is an AwayError."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._url = settings.console_read_api.rstrip("/")
        self._token = settings.console_read_token.get_secret_value()
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def message(self, message_id: str) -> dict[str, Any] | None:
        """Return a message and its parts as streams has them now; None for one that it does not know."""
        body = await self._asked(f"/messages/{quote(message_id, safe='')}")
        if body is None:
            return None
        try:
            _MESSAGE.decode(body)
            found: dict[str, Any] = orjson.loads(body)
        except (msgspec.DecodeError, msgspec.ValidationError, orjson.JSONDecodeError):
            raise UnusableError(_NOT_STREAMS) from None
        return found

    async def _asked(self, path: str) -> bytes | None:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            async with self._opened().get(f"{self._url}{path}", headers=headers) as answer:
                body = await read_up_to(answer.content, _MOST_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise AwayError(f"streams does not answer ({why_silent(error)})") from error
        if answer.status == HTTPStatus.NOT_FOUND and answer.content_type == PROBLEM_JSON:
            return None
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise UnusableError("streams refuses CONSOLE_READ_TOKEN")
        if answer.status == HTTPStatus.NOT_FOUND:  # of a server that has no such address
            raise UnusableError(_NOT_STREAMS)
        if answer.status != HTTPStatus.OK:
            raise AwayError(f"streams answers {answer.status}")
        return body

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS))
        return self._session
