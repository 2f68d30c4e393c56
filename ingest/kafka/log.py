"""
The commit log in Kafka: written to, and watched.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from typing import Final, NamedTuple

from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from ingest.callback.envelope import RawRecord
from ingest.clock import Clock
from ingest.errors import KafkaFilesError, NotStoredError, TopicsDifferError
from ingest.kafka.cluster import Cluster
from ingest.kafka.producer import PATIENCE_SECONDS, Producer
from ingest.settings import IngestSettings
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, Topic
from streams.program.brokers import UnusableFilesError, client_options
from streams.program.kafka_problems import refused_user

logger = logging.getLogger(__name__)

TOPICS: Final = (CALLBACKS_RAW, CALLBACKS_REJECTED)
"""The topics that ingest writes to."""

_RETRY_SECONDS: Final = 0.5
_WATCH_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 2.0

_REFUSES_USER: Final = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)


class Trouble(NamedTuple):
    """
    Why callbacks cannot be stored. `what` is for every reader of `/readyz`; `details` for the operator's log.

    The details name brokers and quote their words; they may change while the trouble stays the same.
    """

    what: str
    details: str

    def __str__(self) -> str:
        """Return the phrase for the operator."""
        return self.details


class KafkaCommitLog:
    """
    Appends with acks=all. `run` must be running: it finds the brokers, and watches them.
    """

    def __init__(self, settings: IngestSettings, clock: Clock) -> None:
        """Raise KafkaFilesError when certificates cannot be read; nothing is connected yet."""
        self._settings = settings
        self._cluster = cluster_of(settings, PATIENCE_SECONDS, clock)
        self._producer = Producer(self._cluster)
        self.trouble: str | None = "not connected to Kafka yet"
        self._told: str | None = self.trouble

    async def append(self, topic: Topic, records: Sequence[RawRecord], partition: int | None = None) -> None:
        """Append to one partition, the given one or any; one, so that the records share a batch."""
        if partition is None:
            partition = random.randrange(self._settings.kafka_partitions)  # noqa: S311 - spreads load, guards nothing
        try:
            await self._producer.append(topic.name(self._settings.kafka_topic_prefix), partition, records)
        except KafkaError as error:
            raise NotStoredError(str(error)) from error

    async def run(self) -> None:
        """
        Look at the topics every few seconds, until cancelled: the only sign of life while no callbacks come.

        Raises TopicsDifferError when waiting cannot help.
        """
        missed = 0
        while True:
            trouble = await self._look()
            missed = missed + 1 if trouble else 0
            if (
                missed != 1 or self.trouble
            ):  # one look may fail by chance; lanes notice missing acknowledgements themselves
                self._note(trouble)
            await asyncio.sleep(_RETRY_SECONDS if trouble else _WATCH_SECONDS)

    async def close(self) -> None:
        """Wait for requests under way, for a bounded time, and close the connections."""
        await self._producer.close(_CLOSE_SECONDS)
        await self._cluster.close()

    async def _look(self) -> Trouble | None:
        """Return the trouble, None when callbacks can be stored; raises TopicsDifferError."""
        try:
            async with asyncio.timeout(_WATCH_SECONDS):
                await self._cluster.refresh()
        except (KafkaError, TimeoutError) as error:
            return no_answer(self._settings, error)
        problems = topic_problems(self._cluster, self._settings)
        differing = [problem for problem, waiting_helps in problems if not waiting_helps]
        if differing:
            raise TopicsDifferError("; ".join(differing))
        all_of_them = "; ".join(problem for problem, _ in problems)
        return Trouble(all_of_them, all_of_them) if problems else None

    def _note(self, trouble: Trouble | None) -> None:
        """Remember the state of the connection, and log it when it changes; not each broker's words for it."""
        what = trouble and trouble.what
        self.trouble = what
        if what == self._told:
            return
        self._told = what
        if trouble is None:
            logger.info("connected to Kafka", extra={"brokers": self._settings.kafka_bootstrap_servers})
        else:
            logger.warning("callbacks are answered 503 until Kafka can take them: %s", trouble)


def cluster_of(settings: IngestSettings, patience_seconds: float, clock: Clock) -> Cluster:
    """Return the brokers that the settings name, not asked yet; raises KafkaFilesError for unusable certificates."""
    try:
        options = client_options(settings)
    except UnusableFilesError as error:
        raise KafkaFilesError(str(error)) from error
    names = [topic.name(settings.kafka_topic_prefix) for topic in TOPICS]
    return Cluster(options | {"client_id": "routee-ingest"}, names, patience_seconds, clock)


def no_answer(settings: IngestSettings, error: Exception) -> Trouble:
    """Return the trouble when no broker could be asked."""
    why = error.args[0] if error.args and isinstance(error.args[0], str) else type(error).__name__
    if isinstance(error, _REFUSES_USER):
        return Trouble("Kafka refuses the user", refused_user(settings, why))
    servers = f"KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}"
    return Trouble("Kafka does not answer", f"Kafka does not answer at {servers} ({why})")


def topic_problems(cluster: Cluster, settings: IngestSettings) -> list[tuple[str, bool]]:
    """Return a phrase per topic that is not as it must be, and whether that may change while one waits."""
    problems = []
    for topic in TOPICS:
        name = topic.name(settings.kafka_topic_prefix)
        partitions = cluster.partitions(name)
        if cluster.may_not_see(name):
            problems.append((f"topic {name} may not be seen by this user: grant Describe and Write", True))
        elif not partitions:
            problems.append((f"topic {name} does not exist (routee-streams topics creates it)", True))
        elif partitions != settings.kafka_partitions:
            text = f"topic {name} has {partitions} partitions, KAFKA_PARTITIONS says {settings.kafka_partitions}"
            problems.append((text, False))
    return problems
