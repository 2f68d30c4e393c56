"""
The parts that all connections of one server process ask, and the one timer of the process.
"""

from typing import Final

from ingest.callback.redaction import Redactor
from ingest.clock import Clock, Timer
from ingest.commit.publisher import Publisher
from ingest.descriptors import most_connections
from ingest.http.access_log import AccessLog
from ingest.http.admission import Rules
from ingest.http.allowlist import AllowList
from ingest.http.answers import Answers
from ingest.http.connections import Connections
from ingest.http.guesses import Guesses
from ingest.http.known_heads import KnownHeads
from ingest.http.limits import Limits
from ingest.http.networks import Networks
from ingest.http.wrong_paths import WrongPaths
from ingest.metrics import Metrics
from ingest.settings import IngestSettings

_TICK_SECONDS: Final = 0.1
_TICKS_A_SECOND: Final = 10


class Service:
    """
    The rules, the publisher and the connections of one process.

    `start` begins to tick: ten times a second for callbacks that wait too long, once a second for connections that
    are too slow. There are no other timers, however many connections there are. `now` is the time of the last tick.
    """

    def __init__(
        self,
        settings: IngestSettings,
        publisher: Publisher,
        metrics: Metrics,
        clock: Clock,
        limits: Limits | None = None,
    ) -> None:
        self.publisher = publisher
        self.pending = publisher.pending
        self.metrics = metrics
        self.clock = clock
        self.limits = limits or Limits()
        self.rules = Rules(settings.secrets, settings.ingest_max_body_bytes)
        self.wrong_paths = WrongPaths(self.rules, clock)
        self.guesses = Guesses(clock)
        self.redactor = Redactor(settings.secrets)
        self.answers = Answers(clock)
        self.connections = Connections(
            most_connections(settings.ingest_max_connections), settings.ingest_max_connections_per_address
        )
        self.proxies = Networks(settings.trusted_proxies)
        self.allowlist = (
            AllowList(settings.allowed_networks, self.proxies, clock, self.connections.distrust)
            if settings.allowed_networks
            else None
        )
        self.access_log = AccessLog(settings.ingest_access_log, clock) if settings.ingest_access_log else None
        self.known_heads = KnownHeads()
        self.now = clock.monotonic()
        self.stopping = False
        self._ticks = 0
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin to store and to tick."""
        self.publisher.start()
        self._tick()

    def drain(self) -> None:
        """Answer the requests under way, and let every connection end with its next answer, or soon without one."""
        self.stopping = True
        self.known_heads.clear()
        self.connections.drain()

    async def stop(self) -> None:
        """Stop ticking and storing; callbacks that still wait are answered 503."""
        if self._timer is not None:
            self._timer.cancel()
        await self.publisher.stop()

    def trouble(self) -> str | None:
        """Return why this port should not be sent callbacks; None when it should."""
        return self._own_trouble() or self._trouble_of_others()

    def tell_state(self) -> None:
        """Bring the gauges up to date."""
        self.metrics.state(
            pending_bytes=self.pending.size,
            connections=len(self.connections),
            ready=self._own_trouble() is None,
        )

    def _own_trouble(self) -> str | None:
        if self.stopping:
            return "shutting down"
        return (self.allowlist.trouble() if self.allowlist is not None else None) or self.publisher.trouble()

    def _trouble_of_others(self) -> str | None:
        missing = self.metrics.total("workers_missing")
        return f"{missing:.0f} of the worker processes died or do not respond" if missing else None

    def _tick(self) -> None:
        self.now = now = self.clock.monotonic()
        self._timer = self.clock.call_later(_TICK_SECONDS, self._tick)
        self.metrics.beat()
        self._ticks += 1
        self.publisher.tick(now)
        once_a_second = self._ticks % _TICKS_A_SECOND == 0
        if once_a_second:
            self.answers.refresh()
        if once_a_second or self.stopping:
            self.connections.sweep(now)
        self.tell_state()
