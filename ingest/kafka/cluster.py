"""
The brokers as ingest knows them: who leads which partition, and connections to each.

aiokafka's own client makes connections one at a time, so one that does not get on holds up all callers. Here each
caller opens its own connection; connecting and every request are bounded in time.
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Final

from aiokafka.conn import collect_hosts
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.metadata import MetadataRequest

from ingest.clock import Clock
from ingest.kafka import private_names
from ingest.kafka.broker import BrokerConnection
from ingest.kafka.metadata_request import OperationsRequest, operations_in
from streams.contract.permissions import Operation

logger = logging.getLogger(__name__)

_DISCONNECT_SECONDS: Final = 1.0
REFRESH_EVERY_SECONDS: Final = 0.25
"""How often `refresh_soon` asks at most."""

# Long before brokers close it, or a router forgets it.
_IDLE_MS: Final = 60_000

_TOPIC: Final = 2
"""The number of topics among the resources that have settings."""

Address = tuple[str, int]


class Cluster:
    """
    The brokers' word about a few topics, and connections to the brokers; nothing is known before `refresh`.

    Asking for a topic does not create it, not even on brokers that create topics on request.
    """

    def __init__(self, options: dict[str, Any], topics: Sequence[str], patience_seconds: float, clock: Clock) -> None:
        """Take the options of aiokafka's clients; `patience_seconds` bounds connecting, and each request."""
        self._options = options | {"request_timeout_ms": int(patience_seconds * 1000), "max_idle_ms": _IDLE_MS}
        self._bootstrap = self._options.pop("bootstrap_servers")
        self._topics = list(topics)
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._addresses: dict[int, Address] = {}
        self._leaders: dict[str, dict[int, int]] = {}
        self._replicas: dict[str, int] = {}
        self._idle: defaultdict[Address, list[BrokerConnection]] = defaultdict(list)
        self._unseen: set[str] = set()
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = float("-inf")

    async def refresh(self) -> None:
        """Ask who leads what; raises KafkaError when no broker answers."""
        await asyncio.shield(self._refresh_under_way())

    def refresh_soon(self) -> None:
        """Refresh in the background, unless that was done a moment ago; a failure is only logged."""
        if self._clock.monotonic() > self._refreshed_at + REFRESH_EVERY_SECONDS:
            self._refresh_under_way()

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has, 0 when the brokers do not say."""
        return len(self._leaders.get(topic, ()))

    def replicas(self, topic: str) -> int:
        """Return how many replicas the least replicated partition of a topic has, 0 when the brokers do not say."""
        return self._replicas.get(topic, 0)

    async def settings_of(self, topics: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """
        Return the settings in force of each topic, own and inherited ones alike.

        A topic is left out when this user may not see its settings. Raises KafkaError when no broker answers.
        """
        resources = [(_TOPIC, topic, None) for topic in topics]
        response = await self._answer_of_any(lambda connection: connection.send(DescribeConfigsRequest(resources)))
        return {
            topic: {setting: value for setting, value, *_ in settings if value is not None}
            for code, _, _, topic, settings in response.resources
            if for_code(code) is NoError
        }

    async def operations_on(self, topics: Sequence[str]) -> dict[str, AbstractSet[Operation] | None]:
        """
        Return the operations that this user may do on each topic: none on one that it may not see.

        None where the broker does not tell them. Raises KafkaError when no broker answers.
        """

        async def ask(connection: BrokerConnection) -> Any:  # noqa: ANN401 - aiokafka has no types
            if private_names.versions_of(connection, OperationsRequest.API_KEY)[1] < OperationsRequest.VERSION:
                return None
            return await connection.send(OperationsRequest([*topics]))

        response = await self._answer_of_any(ask)
        if response is None:
            return dict.fromkeys(topics)
        return {
            topic: frozenset() if for_code(code) is TopicAuthorizationFailedError else operations_in(bits)
            for code, topic, _, _, bits in response.topics
        }

    def may_not_see(self, topic: str) -> bool:
        """Return whether the brokers say that this user has no right to know about a topic."""
        return topic in self._unseen

    def leader(self, topic: str, partition: int) -> int:
        """Return the broker that leads a partition; raises LeaderNotAvailableError when there is none."""
        leader = self._leaders.get(topic, {}).get(partition, -1)
        if leader not in self._addresses:
            raise LeaderNotAvailableError
        return leader

    def connection(self, broker: int) -> AbstractAsyncContextManager[BrokerConnection]:
        """Lend a connection to a broker, as `_lend` does; LeaderNotAvailableError if the broker is gone."""
        address = self._addresses.get(broker)
        if address is None:
            raise LeaderNotAvailableError(f"broker {broker} is gone")
        return self._lend(address)

    async def close(self) -> None:
        """Close all connections, gracefully for a bounded time; lent ones must have been given back."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])
        closed = [future for address in [*self._idle] for future in self._close_idle(address)]
        if closed:
            await asyncio.wait(closed, timeout=_DISCONNECT_SECONDS)

    @asynccontextmanager
    async def _lend(self, address: Address) -> AsyncIterator[BrokerConnection]:
        """
        Lend a connection that has no other user: the one that was used last, else a new one.

        After the block it is kept for the next user; after an error it is closed. Every failure of the connection,
        inside the block too, is a KafkaError. After a request that is not answered in time, the idle connections to
        that broker are closed as well: a network that forgot one of them has forgotten them all.
        """
        with _as_kafka_error():
            connection = self._take_idle(address) or await self._connect(address)
            try:
                yield connection
            except BaseException as error:
                connection.close()
                if isinstance(error, TimeoutError):
                    self._close_idle(address)
                    self.refresh_soon()
                raise
        self._idle[address].append(connection)

    def _take_idle(self, address: Address) -> BrokerConnection | None:
        idle = self._idle[address]
        while idle:
            connection = idle.pop()
            if connection.connected():
                return connection
            connection.close()
        return None

    def _close_idle(self, address: Address) -> list[asyncio.Future[None]]:
        return [connection.close() for connection in self._idle.pop(address, ())]

    async def _connect(self, address: Address) -> BrokerConnection:
        async with asyncio.timeout(self._patience_seconds):
            connection = BrokerConnection(*address, **self._options)
            await connection.connect()
            return connection

    def _refresh_under_way(self) -> asyncio.Task[None]:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())
            self._refreshing.add_done_callback(_log_failure)
        return self._refreshing

    async def _refresh(self) -> None:
        try:
            await self._ask_who_leads()
        finally:
            self._refreshed_at = self._clock.monotonic()

    async def _answer_of_any(self, ask: Callable[[BrokerConnection], Awaitable[Any]]) -> Any:  # noqa: ANN401 - as above
        """Return the answer of the first broker that gives one; raises KafkaError when none does."""
        trouble: KafkaError = KafkaConnectionError("no broker is known")
        for address in self._known_addresses():
            try:
                async with self._lend(address) as connection:
                    return await ask(connection)
            except KafkaError as error:
                trouble = error
        raise trouble

    async def _ask_who_leads(self) -> None:
        trouble: KafkaError = KafkaConnectionError("no broker says who leads what")
        for address in self._known_addresses():
            try:
                async with self._lend(address) as connection:
                    response = await connection.send(MetadataRequest(self._topics, allow_auto_topic_creation=False))
            except KafkaError as error:
                trouble = error
                continue
            if response.brokers:  # a broker that has just started may not know any
                self._learn(response)
                return
        raise trouble

    def _known_addresses(self) -> list[Address]:
        """Return the brokers to ask: known ones in any order, then the configured ones, should all have moved."""
        known = random.sample(list(self._addresses.values()), len(self._addresses))
        named = [(host, port) for host, port, _ in collect_hosts(self._bootstrap)]
        return list(dict.fromkeys(known + named))

    def _learn(self, response: Any) -> None:  # noqa: ANN401 - aiokafka has no types
        self._addresses = {node: (host, port) for node, host, port, *_ in response.brokers}
        self._leaders, self._replicas, self._unseen = {}, {}, set()
        for code, topic, *_, partitions in response.topics:
            if for_code(code) is NoError:
                self._leaders[topic] = {partition: leader for _, partition, leader, *_ in partitions}
                self._replicas[topic] = min((len(replicas) for _, _, _, replicas, *_ in partitions), default=0)
            elif for_code(code) is TopicAuthorizationFailedError:
                self._unseen.add(topic)
        for gone in self._idle.keys() - self._known_addresses():
            self._close_idle(gone)


@contextmanager
def _as_kafka_error() -> Iterator[None]:
    try:
        yield
    except KafkaError:
        raise
    except TimeoutError as error:
        raise RequestTimedOutError("no answer in time") from error
    except Exception as error:
        # aiokafka, uvloop and the look-up of names raise errors of many kinds, bugs among them. To the caller all of
        # them mean the same: this broker cannot be reached now. The error keeps their kind and text.
        raise KafkaConnectionError(getattr(error, "strerror", None) or repr(error)) from error


def _log_failure(refresh: asyncio.Task[None]) -> None:
    if not refresh.cancelled() and (error := refresh.exception()):
        logger.debug("no broker says who leads what: %r", error)
