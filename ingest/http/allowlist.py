"""
The addresses that may post callbacks: networks as configured, and host names, looked up again every minute.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Final

from ingest.clock import Clock
from ingest.http.networks import Address, Networks, client_address, parse_address
from ingest.settings import is_network

logger = logging.getLogger(__name__)

_REFRESH_SECONDS: Final = 60.0
_FIRST_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 5.0


class AllowList:
    """
    Judges addresses. Before the first look-up has succeeded, a host name allows nothing.

    `on_change` is called when the judgement of an address may have changed.
    """

    def __init__(self, allowed: Sequence[str], proxies: Networks, clock: Clock, on_change: Callable[[], None]) -> None:
        self._networks = Networks(entry for entry in allowed if is_network(entry))
        self._names = [*dict.fromkeys(entry for entry in allowed if not is_network(entry))]
        self._proxies = proxies
        self._clock = clock
        self._resolved: dict[str, frozenset[Address]] = {}
        self._on_change = on_change

    def allows(self, peer: Address | None, forwarded_for: bytes) -> bool:
        """Return whether a request from this peer, with this X-Forwarded-For, may post callbacks."""
        address = client_address(peer, forwarded_for, self._proxies)
        if address is None:
            return False
        return address in self._networks or any(address in known for known in self._resolved.values())

    def admits(self, peer: Address | None) -> bool:
        """Return whether a connection of this peer may ever post callbacks: a proxy's may, for an allowed client."""
        return self.is_proxy(peer) or self.allows(peer, b"")

    def trouble(self) -> str | None:
        """Return why addresses that may post are refused; None when every name was looked up."""
        if len(self._resolved) == len(self._names):
            return None
        return "a host name of INGEST_ALLOWED_NETWORKS cannot be looked up"

    def is_proxy(self, peer: Address | None) -> bool:
        """Return whether this peer may pass on the requests of others."""
        return peer is not None and peer in self._proxies

    async def run(self) -> None:
        """Look the names up every minute, sooner while one never was looked up with success; until cancelled."""
        soon = _FIRST_SECONDS
        while True:
            await self._clock.sleep(min(soon, _REFRESH_SECONDS) if self.trouble() else _REFRESH_SECONDS)
            soon *= 2
            await self.refresh()

    async def refresh(self) -> None:
        """Look every name up; one that cannot be looked up keeps the addresses it had."""
        before = dict(self._resolved)
        await asyncio.gather(*map(self._refresh, self._names))
        if self._resolved != before:
            logger.info("allowed addresses have changed", extra={"names": len(self._names)})
            self._on_change()

    async def _refresh(self, name: str) -> None:
        try:
            self._resolved[name] = await _look_up(name)
        except (OSError, TimeoutError) as error:
            kept = len(self._resolved.get(name, ()))
            logger.warning("%s cannot be looked up, %d known addresses stay allowed: %s", name, kept, error)


async def _look_up(name: str) -> frozenset[Address]:
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return frozenset(address for *_, place in found if (address := parse_address(str(place[0]))) is not None)
