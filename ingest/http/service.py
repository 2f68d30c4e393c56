"""
What all connections of one server process share, and its one timer.
"""

import asyncio
from time import monotonic
from typing import Final, Protocol

from ingest.callback.redaction import Redactor
from ingest.commit.publisher import Publisher
from ingest.http.access_log import AccessLog
from ingest.http.admission import Rules
from ingest.http.allowlist import AllowList
from ingest.http.answers import Answers
from ingest.http.limits import Limits
from ingest.metrics import Metrics
from ingest.settings import IngestSettings

_TICK_S: Final = 0.1
_TICKS_A_SECOND: Final = 10
_KNOWN_HEADS: Final = 1024


class Member(Protocol):
    """A connection, as the service sees it."""

    def drain(self) -> None:
        """End with the next answer, or soon without one."""

    def distrust(self) -> None:
        """Have the address judged again with the next request."""

    def cut(self) -> None:
        """End at once."""

    def sweep(self, now: float) -> None:
        """Enforce the limits in time."""


class Service:
    """
    The rules, the publisher and the connections of one process.

    `start` begins to tick: ten times a second for callbacks that wait too long, once a second for connections that
    do. There are no timers besides, however many connections there are.
    """

    def __init__(
        self, settings: IngestSettings, publisher: Publisher, metrics: Metrics, limits: Limits | None = None
    ) -> None:
        self.publisher = publisher
        self.metrics = metrics
        self.limits = limits or Limits()
        self.rules = Rules(settings.secrets, settings.ingest_max_body_bytes)
        self.redactor = Redactor(settings.secrets)
        self.answers = Answers()
        self.connections: set[Member] = set()
        self.max_connections = settings.ingest_max_connections
        self.allowlist = (
            AllowList(settings.allowed_networks, settings.trusted_proxies, self._distrust)
            if settings.allowed_networks
            else None
        )
        self.access_log = AccessLog(settings.ingest_access_log) if settings.ingest_access_log else None
        self.known_heads: dict[bytes, int] = {}
        self.now = monotonic()
        self.stopping = False
        self.goodbye_at = float("inf")
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()

    def start(self) -> None:
        """Begin to store and to tick."""
        self.publisher.start()
        self._tick()

    def drain(self) -> None:
        """Answer what is under way, and let every connection end with its next answer, or soon without one."""
        self.stopping = True
        self.goodbye_at = monotonic() + self.limits.goodbye_s
        self.known_heads.clear()
        for connection in self.connections:
            connection.drain()

    async def wait_until_empty(self, timeout_s: float) -> None:
        """Return when no connection is left; those that are left after the timeout are cut."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.connections:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            for connection in list(self.connections):
                connection.cut()

    async def stop(self) -> None:
        """Stop ticking and storing; whoever still waits is answered 503."""
        if self._timer is not None:
            self._timer.cancel()
        await self.publisher.stop()

    def trouble(self) -> str | None:
        """Return why this process should not be sent callbacks; None when it should."""
        return "shutting down" if self.stopping else self.publisher.trouble()

    def tell_state(self) -> None:
        """Bring the metrics that are no counters up to date."""
        self.metrics.state(
            pending_bytes=self.publisher.pending.size,
            connections=len(self.connections),
            ready=self.trouble() is None,
        )

    def learn(self, head: bytes, body_bytes: int) -> None:
        """
        Remember a head that was admitted, byte for byte: the next request that begins with it needs no parser.

        Senders repeat their heads. The memory is emptied when it is full, and when the rules change.
        """
        if len(self.known_heads) >= _KNOWN_HEADS:
            self.known_heads.clear()
        self.known_heads[head] = body_bytes

    def connected(self, connection: Member) -> bool:
        """Take a connection in; returns whether it may stay."""
        self.connections.add(connection)
        return len(self.connections) <= self.max_connections

    def disconnected(self, connection: Member) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        if not self.connections:
            self._emptied.set()

    def _distrust(self) -> None:
        for connection in self.connections:
            connection.distrust()

    def _tick(self) -> None:
        self.now = now = monotonic()
        self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)
        self._ticks += 1
        self.publisher.tick(now)
        once_a_second = self._ticks % _TICKS_A_SECOND == 0
        if once_a_second:
            self.answers.refresh()
        if once_a_second or self.stopping:
            for connection in list(self.connections):
                connection.sweep(now)
        self.tell_state()
