"""
The commit log in Kafka: written to, and watched.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    RecordListTooLargeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from ingest.callback.envelope import RawRecord
from ingest.clock import Clock
from ingest.errors import KafkaFilesError, NotStoredError, TooLargeError
from ingest.kafka.cluster import Cluster
from ingest.kafka.producer import PATIENCE_SECONDS, Producer
from ingest.kafka.topics import TOPICS, differing_topics, topic_permissions, topic_settings, unusable_topics
from streams.contract.headers import headers
from streams.contract.topics import Topic
from streams.program.brokers import UnusableFilesError, client_options
from streams.program.kafka_problems import refused_user, unreachable
from streams.program.settings import CommonSettings

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 0.5
_LOOK_AGAIN_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 2.0
"""How long a look at the topics may take."""

_CLOSE_SECONDS: Final = 2.0
_SETTINGS_SECONDS: Final = 60.0
"""How often the settings of the topics are looked at."""

_REFUSES_USER: Final = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
_CAUSES: Final = {
    InvalidTimestampError: "it refuses the time of this machine: mend the clock, or `routee-streams topics --alter`",
    MessageSizeTooLargeError: "max.message.bytes of the topic is too small",
    NotEnoughReplicasAfterAppendError: "fewer replicas are in sync than min.insync.replicas",
    NotEnoughReplicasError: "fewer replicas are in sync than min.insync.replicas",
    RecordListTooLargeError: "segment.bytes of the topic is too small",
    TopicAuthorizationFailedError: "this user needs Write on the topic: grant it",
}
"""The causes of some refusals, for people."""


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

    def __init__(self, settings: CommonSettings, clock: Clock) -> None:
        """Raise KafkaFilesError when certificates cannot be read; nothing is connected yet."""
        self._settings = settings
        self._clock = clock
        self._cluster = cluster_of(settings, PATIENCE_SECONDS, clock)
        self._producer = Producer(self._cluster)
        self.trouble: str | None = "not connected to Kafka yet"
        self._told: str | None = self.trouble
        self._has_begun = False
        self._settings_due = clock.monotonic()
        self._told_of_settings: set[str] = set()

    async def append(self, topic: Topic, records: Sequence[RawRecord], partition: int | None = None) -> None:
        """Append to one partition, the given one or any; one, so that the records share a batch."""
        if partition is None:
            partition = random.randrange(self._settings.kafka_partitions)  # noqa: S311 - spreads load, guards nothing
        try:
            name = topic.name(self._settings.kafka_topic_prefix)
            await self._producer.append(name, partition, records, headers(topic))
        except KafkaError as error:
            raise _not_stored(error) from error

    async def run(self) -> None:
        """Look at the topics every few seconds, until cancelled: the only sign of life while no callbacks come."""
        missed = 0
        while True:
            trouble = await self._look()
            missed = missed + 1 if trouble else 0
            if (
                missed != 1 or self.trouble
            ):  # one look may fail by chance; lanes notice missing acknowledgements themselves
                self._note(trouble)
            await asyncio.sleep(_RETRY_SECONDS if trouble else _LOOK_AGAIN_SECONDS)

    async def close(self) -> None:
        """Wait for requests under way, for a bounded time, and close the connections."""
        await self._producer.close(_CLOSE_SECONDS)
        await self._cluster.close()

    async def _look(self) -> Trouble | None:
        """Return the trouble, None when callbacks can be stored."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._cluster.refresh()
        except (KafkaError, TimeoutError) as error:
            return no_answer(self._settings, error)
        missing = unusable_topics(self._cluster, self._settings)
        if problems := "; ".join([*missing, *differing_topics(self._cluster, self._settings)]):
            self._settings_due = self._clock.monotonic()
            return Trouble(problems, problems)
        if self._clock.monotonic() < self._settings_due:
            return None
        return await self._look_at_permissions() or await self._look_at_settings()

    async def _look_at_permissions(self) -> Trouble | None:
        """Return the trouble of a user who may see the topics and not write to them."""
        self._settings_due = self._clock.monotonic() + _SETTINGS_SECONDS
        lacking = "; ".join((await topic_permissions(self._cluster, self._settings)).unusable)
        if not lacking:
            return None
        self._settings_due = self._clock.monotonic()
        return Trouble(lacking, lacking)

    async def _look_at_settings(self) -> Trouble | None:
        """
        Before the first callback is taken, return the trouble of topics that may lose what they are given.

        Settings that change later, under a running program, are only logged: an end of all answers would not mend them.
        Brokers that do not tell the settings are no trouble.
        """
        self._settings_due = self._clock.monotonic() + _SETTINGS_SECONDS
        refused = (await topic_settings(self._cluster, self._settings)).refused
        if refused and not self._has_begun:
            self._settings_due = self._clock.monotonic()
            return Trouble("the settings of a topic may lose callbacks: the log names them", "; ".join(refused))
        self._has_begun = True
        for line in refused:
            if line not in self._told_of_settings:
                logger.error("callbacks that are answered 200 may be lost: %s", line)
        self._told_of_settings = set(refused)
        return None

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


def _not_stored(error: KafkaError) -> NotStoredError:
    kind = TooLargeError if isinstance(error, _TOO_LARGE) else NotStoredError
    return kind(str(error), _CAUSES.get(type(error)))


def cluster_of(
    settings: CommonSettings, patience_seconds: float, clock: Clock, topics: Sequence[Topic] = TOPICS
) -> Cluster:
    """Return the brokers that the settings name, not asked yet; raises KafkaFilesError for unusable certificates."""
    try:
        options = client_options(settings)
    except UnusableFilesError as error:
        raise KafkaFilesError(str(error)) from error
    names = [topic.name(settings.kafka_topic_prefix) for topic in topics]
    return Cluster(options | {"client_id": "routee-ingest"}, names, patience_seconds, clock)


def no_answer(settings: CommonSettings, error: Exception) -> Trouble:
    """Return the trouble when no broker could be asked."""
    why = error.args[0] if error.args and isinstance(error.args[0], str) else type(error).__name__
    if isinstance(error, _REFUSES_USER):
        return Trouble("Kafka refuses the user", refused_user(settings, why))
    return Trouble("Kafka does not answer", unreachable(settings, why))


@asynccontextmanager
async def running_log(settings: CommonSettings, clock: Clock) -> AsyncIterator[KafkaCommitLog]:
    """Give a log that keeps its connection within the block, and closes it after it."""
    log = KafkaCommitLog(settings, clock)
    watching = asyncio.create_task(log.run())
    try:
        yield log
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await log.close()
