"""
Routee's pull API: tokens, requests at the set rate, and each answer as a value or as an error that names its cause.
"""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

import orjson
from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout

from ingest.backfill.errors import (
    AllowListError,
    BadRequestError,
    CredentialsError,
    NoAnswerError,
    WrongUrlError,
)
from ingest.backfill.pace import Pace
from ingest.backfill.settings import BackfillSettings
from ingest.clock import Clock

PAGE_ROWS: Final = 2000
"""The most rows that Routee gives in one page."""

_TRIES: Final = 6
_FIRST_WAIT_SECONDS: Final = 1.0
_LONGEST_WAIT_SECONDS: Final = 300.0
"""A request waits for so long; when Routee asks for a longer pause it fails, as all others until then."""
_LONGEST_PAUSE_SECONDS: Final = 86_400.0
_ANSWER_SECONDS: Final = 30.0
_RENEW_SECONDS: Final = 60.0
_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Page(NamedTuple):
    """One page of a list."""

    rows: list[Any]
    total: int
    """How many rows the list has in all."""


class _Answer(NamedTuple):
    status: int
    body: Any
    """None when it is not JSON."""
    retry_after: float | None


class Routee:
    """Asks Routee. `asked` counts the requests; None for an answer means that Routee does not know the id."""

    def __init__(self, settings: BackfillSettings, session: ClientSession, clock: Clock) -> None:
        self.asked = 0
        self._settings = settings
        self._session = session
        self._clock = clock
        self._pace = Pace(settings.backfill_requests_per_second, clock)
        self._token = ""
        self._token_ends = 0.0
        self._logging_in = asyncio.Lock()
        self._answered: set[str] = set()

    async def log_in(self) -> None:
        """Get a token; raises CredentialsError, WrongUrlError, NoAnswerError."""
        settings = self._settings
        head = {"Authorization": "Basic " + b64encode(settings.credentials.encode()).decode()}
        setting = f"ROUTEE_AUTH_URL={settings.auth_url}"
        form = {"grant_type": "client_credentials"}
        answer = await self._until_answered(setting, "POST", f"{settings.auth_url}/oauth/token", head, data=form)
        if answer.status in {*_REFUSED, HTTPStatus.BAD_REQUEST}:
            raise CredentialsError(
                "ROUTEE_APPLICATION_ID, ROUTEE_APPLICATION_SECRET: Routee does not know this application and secret"
            )
        token = answer.body.get("access_token") if isinstance(answer.body, dict) else None
        if not isinstance(token, str):
            raise WrongUrlError(
                f"{setting}: the answer ({answer.status}) has no token, so this is not Routee's address"
            )
        seconds = answer.body.get("expires_in")
        self._token = token
        # Routee hands out a token that runs already, so the seconds it has left count, and not an hour.
        lasts = seconds if isinstance(seconds, (int, float)) else 0
        self._token_ends = self._clock.monotonic() + max(lasts - _RENEW_SECONDS, lasts / 2)

    async def reach(self) -> None:
        """Ask for a message that is none; raises the error that would meet every request."""
        await self.log_in()
        await self.message(str(UUID(int=0)))

    async def message(self, message_id: str) -> list[Any] | None:
        """Return the tracking objects of a message, one for each part."""
        found = await self._ask("GET", f"/sms/tracking/single/{quote(message_id, safe='')}")
        return found if isinstance(found, list) or found is None else [found]

    async def campaign_page(self, campaign_id: str, number: int) -> Page | None:
        """Return a page of the SMS of a campaign."""
        query = {"page": str(number), "size": str(PAGE_ROWS), "sort": "smsId"}
        return _page(await self._ask("GET", f"/sms/tracking/campaign/{quote(campaign_id, safe='')}", query))

    async def range_page(self, begin: float, end: float, number: int, campaign_id: str | None = None) -> Page | None:
        """Return a page of the SMS of a range of time (seconds since 1970, both ends included)."""
        query = {
            "dateStart": _iso(begin),
            "dateEnd": _iso(end),
            "page": str(number),
            "size": str(PAGE_ROWS),
            "sort": "smsId",
        }
        if campaign_id is not None:
            query["trackingId"] = campaign_id
        return _page(await self._ask("POST", "/sms/tracking", query, json=[]))

    async def campaign(self, campaign_id: str) -> Any:  # noqa: ANN401 - JSON is any
        """Return the details of a campaign."""
        return await self._ask("GET", f"/campaigns/{quote(campaign_id, safe='')}")

    async def _ask(self, method: str, path: str, query: Mapping[str, str] | None = None, **more: Any) -> Any:  # noqa: ANN401
        setting = f"ROUTEE_API_URL={self._settings.api_url}"
        answer = await self._authorized(setting, method, path, params=query or {}, **more)
        if answer.status in _REFUSED:
            self._token_ends = 0.0
            answer = await self._authorized(setting, method, path, params=query or {}, **more)
        if answer.status == HTTPStatus.FORBIDDEN:
            raise AllowListError(
                f"{setting}: Routee answers 403 also to a new token: admit the address of this machine in the "
                "allow-list (IP whitelist) of the account"
            )
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise CredentialsError(f"{setting}: Routee answers 401 to a token that ROUTEE_AUTH_URL has just given")
        if answer.status == HTTPStatus.NOT_FOUND and isinstance(answer.body, dict) and "code" in answer.body:
            return None
        if answer.status == HTTPStatus.BAD_REQUEST:
            code = answer.body.get("code") if isinstance(answer.body, dict) else None
            raise BadRequestError(
                f"Routee refuses {method} {path.split('/', 3)[1]} as a bad request ({code or 'no code'})"
            )
        if answer.status != HTTPStatus.OK or answer.body is None:
            raise WrongUrlError(f"{setting}: the answer ({answer.status}) is none of Routee's API")
        return answer.body

    async def _authorized(self, setting: str, method: str, path: str, **more: Any) -> _Answer:  # noqa: ANN401
        async with self._logging_in:
            if self._clock.monotonic() >= self._token_ends:
                await self.log_in()
        head = {"Authorization": f"Bearer {self._token}"}
        return await self._until_answered(setting, method, self._settings.api_url + path, head, **more)

    async def _until_answered(
        self,
        setting: str,
        method: str,
        url: str,
        head: Mapping[str, str],
        **more: Any,  # noqa: ANN401 - as aiohttp takes them
    ) -> _Answer:
        """Return the first answer that is worth one; raises NoAnswerError after some tries, WrongUrlError at first."""
        why = ""
        for attempt in range(_TRIES):
            if (pause := self._pace.wait_seconds()) > _LONGEST_WAIT_SECONDS:
                raise NoAnswerError(f"{setting}: Routee asks not to be asked for {pause:.0f} s")
            await self._pace.turn()
            self.asked += 1
            try:
                answer = await self._once(method, url, head, **more)
            except (ClientError, OSError, TimeoutError) as error:
                why = str(error) or type(error).__name__
                if setting not in self._answered and isinstance(error, ClientConnectorError):
                    raise WrongUrlError(f"{setting}: no answer: {why}") from error
            else:
                is_cut = answer.body is None and answer.status == HTTPStatus.OK and setting in self._answered
                if answer.body is not None:
                    self._answered.add(setting)
                if not is_cut and not _is_worth_another_try(answer):
                    return answer
                why = f"HTTP {answer.status}{', and no JSON' if is_cut else ''}"
                if answer.retry_after:
                    self._pace.pause(min(answer.retry_after, _LONGEST_PAUSE_SECONDS))
                    continue
            await self._clock.sleep(_FIRST_WAIT_SECONDS * 2**attempt)
        raise NoAnswerError(f"{setting}: no good answer in {_TRIES} tries: {why}")

    async def _once(self, method: str, url: str, head: Mapping[str, str], **more: Any) -> _Answer:  # noqa: ANN401
        async with self._session.request(
            method, url, headers=head, timeout=ClientTimeout(total=_ANSWER_SECONDS), allow_redirects=False, **more
        ) as answer:
            body = await answer.read()
            retry_after = _seconds(answer.headers.get("Retry-After"), self._clock.wall())
            return _Answer(answer.status, _json(body), retry_after)


def _is_worth_another_try(answer: _Answer) -> bool:
    is_late = answer.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}
    return is_late or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON is any
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _seconds(retry_after: str | None, now: float) -> float | None:
    """Return how many seconds a `Retry-After` asks to wait: it is a number of them or a date; None for another text."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now)


def _page(found: Any) -> Page | None:  # noqa: ANN401 - JSON is any
    if found is None:
        return None
    rows = found.get("content") if isinstance(found, dict) else None
    total = found.get("totalElements") if isinstance(found, dict) else None
    if not isinstance(rows, list) or type(total) is not int or total < 0:
        raise WrongUrlError("ROUTEE_API_URL: a list of SMS has no content or no totalElements")
    return Page(rows, total)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
