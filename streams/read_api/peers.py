"""
The other workers: each has partitions, and answers for them.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from aiohttp.hdrs import AUTHORIZATION
from yarl import URL

from streams.app import StreamsApp
from streams.runtime import private_names

logger = logging.getLogger(__name__)

FORWARDED: Final = "X-Routee-Forwarded"
"""The field of a request that another worker has forwarded, with its address."""

_TIMEOUT: Final = ClientTimeout(total=2.0)
# Less than a worker keeps an idle connection open.
_IDLE_SECONDS: Final = 5.0
_ANSWERS: Final = frozenset({HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE})


class PeerAnswer(NamedTuple):
    """The answer of another worker: found, unknown there, or to be asked again."""

    status: int
    body: dict[str, Any]

    @property
    def searched(self) -> set[int]:
        """The partitions that it answers for, of a search or a list; none when it has to be asked again."""
        return set() if self.status == HTTPStatus.SERVICE_UNAVAILABLE else {*self.body.get("searched", ())}


class Peers:
    """The workers of the group besides this one."""

    def __init__(self, app: StreamsApp, token: str) -> None:
        self._app = app
        self._own = str(app.conf.canonical_url)
        self._headers = {FORWARDED: self._own} | ({AUTHORIZATION: f"Bearer {token}"} if token else {})
        self._session: ClientSession | None = None
        self._told: set[int] = set()

    async def open(self) -> None:
        """Be able to ask them."""
        connector = TCPConnector(keepalive_timeout=_IDLE_SECONDS)
        self._session = ClientSession(timeout=_TIMEOUT, connector=connector, trust_env=False)

    async def close(self) -> None:
        """End the connections to them."""
        if self._session is not None:
            await self._session.close()

    def owner(self, changelog: str, partition: int) -> str | None:
        """Return the address of the owner of a partition, None when that is this worker, or there is none."""
        owner = private_names.owner_url(self._app, changelog, partition)
        return None if owner == self._own else owner

    def all(self, changelog: str) -> list[str]:
        """Return the addresses of all that own partitions of a table."""
        return [owner for owner in private_names.owner_urls(self._app, changelog) if owner != self._own]

    async def ask(self, owner: str, path: str, query: Mapping[str, str] | None = None) -> PeerAnswer | None:
        """Return the answer of a worker about an encoded path; None without one within two seconds."""
        if self._session is None:
            raise RuntimeError("open() comes first")
        url = URL(owner + path, encoded=True).with_query(query or {})
        try:
            async with self._session.get(url, headers=self._headers) as answer:
                if answer.status in _ANSWERS:
                    return PeerAnswer(answer.status, orjson.loads(await answer.read()))
                if answer.status not in self._told:
                    self._told.add(answer.status)
                    logger.error("another worker refuses to answer this one", extra={"status": answer.status})
        except (ClientError, TimeoutError, orjson.JSONDecodeError):
            pass
        return None
