"""
The commit log in Kafka: a producer that is kept connected, and replaced when it is beyond help.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final, NoReturn

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from ingest.envelope import Record
from ingest.errors import KafkaFilesError, KafkaUnavailableError, NotStoredError, TopicsDifferError
from ingest.producer import Producer
from ingest.settings import IngestSettings
from streams.contract.brokers import client_options
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, Topic

logger = logging.getLogger(__name__)

TOPICS: Final = (CALLBACKS_RAW, CALLBACKS_REJECTED)
"""What ingest writes to."""

_RETRY_S: Final = 1.0
_PROBE_S: Final = 2.0
_PROBES_MISSED: Final = 5
_HOPELESS_S: Final = 10.0
_CLOSE_S: Final = 3.0


class Failures:
    """How long appends have failed, and none has succeeded. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._last = 0.0

    def add(self, now: float) -> None:
        """Take note of an append that failed."""
        if self._first is None or now - self._last > _HOPELESS_S:  # a lone one of long ago says nothing about now
            self._first = now
        self._last = now

    def clear(self) -> None:
        """Take note of an append that succeeded, or of a new connection."""
        self._first = None

    @property
    def hopeless(self) -> bool:
        """Whether failures were seen for so long that waiting does not help: the time since the last does not count."""
        return self._first is not None and self._last - self._first > _HOPELESS_S


class KafkaCommitLog:
    """
    Appends with acks=all. `run` must be running: it connects, watches, and connects again.
    """

    def __init__(self, settings: IngestSettings) -> None:
        """Raise KafkaFilesError when certificates cannot be read; nothing is connected yet."""
        self._settings = settings
        self._options = _client_options(settings)
        self._producer: Producer | None = None
        self._failures = Failures()
        self.trouble: str | None = "not connected to Kafka yet"

    async def append(self, topic: Topic, records: Sequence[Record], partition: int | None = None) -> None:
        """Append to one partition: the given one, else any (always one, so that the records share a batch)."""
        producer = self._producer
        if producer is None:
            raise NotStoredError(self.trouble or "not connected to Kafka")
        if partition is None:
            partition = random.randrange(self._settings.kafka_partitions)  # noqa: S311 - spreads load, guards nothing
        try:
            await producer.append(topic.name(self._settings.kafka_topic_prefix), partition, records)
        except KafkaError as error:
            if producer is self._producer:  # what an earlier connection leaves behind says nothing about this one
                self._failures.add(monotonic())
            raise NotStoredError(str(error)) from error
        self._failures.clear()

    async def run(self) -> None:
        """Stay connected until cancelled; raises TopicsDifferError when waiting cannot help."""
        while True:
            try:
                await self._connect_and_watch()
            except KafkaUnavailableError as error:
                self._note(str(error))
            await asyncio.sleep(_RETRY_S)

    async def close(self) -> None:
        """Send what is still on its way, for a bounded time, and close the connections."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.close(_CLOSE_S)

    async def _connect_and_watch(self) -> NoReturn:
        producer = Producer(self._options)
        try:
            await _start(producer, self._settings)
            await verify_topics(producer.client, self._settings)
            await producer.client.set_topics([topic.name(self._settings.kafka_topic_prefix) for topic in TOPICS])
            self._failures.clear()
            self._producer = producer
            self._note(None)
            await self._watch(producer)
        finally:
            # Set by close() as well, which then stops the producer itself, gracefully.
            if self._producer in (producer, None):
                self._producer = None
                await producer.close(_CLOSE_S)

    async def _watch(self, producer: Producer) -> NoReturn:
        """
        Ask for the topics' metadata again and again: the only sign of life while no callbacks come.

        Raises KafkaUnavailableError when this producer is beyond help: nothing is answered, or nothing is stored
        although everything else is answered.
        """
        missed = 0
        while missed < _PROBES_MISSED:
            await asyncio.sleep(_RETRY_S if missed else _PROBE_S)
            trouble = await self._probe(producer)
            missed = missed + 1 if trouble else 0
            if missed != 1:  # one may be missed by chance; lanes notice by themselves when nothing is acknowledged
                self._note(trouble)
            if self._failures.hopeless:
                raise KafkaUnavailableError("Kafka answers and does not acknowledge: connecting anew")
        raise KafkaUnavailableError(self.trouble or "Kafka does not answer")

    async def _probe(self, producer: Producer) -> str | None:
        try:
            async with asyncio.timeout(_PROBE_S):
                answered = await producer.client.force_metadata_update()
        except (KafkaError, TimeoutError):
            answered = False
        if not answered:
            return f"Kafka does not answer at {self._settings.kafka_bootstrap_servers}"
        return _compare(producer.client.cluster, self._settings)

    def _note(self, trouble: str | None) -> None:
        """Remember the state of the connection, and log it when it changes."""
        if trouble == self.trouble:
            return
        self.trouble = trouble
        if trouble is None:
            logger.info("connected to Kafka", extra={"brokers": self._settings.kafka_bootstrap_servers})
        else:
            logger.warning("callbacks are answered 503 until Kafka can take them: %s", trouble)


def connection_options(settings: IngestSettings) -> dict[str, Any]:
    """Return how aiokafka's clients reach the brokers; raises KafkaFilesError for unusable certificates."""
    try:
        return client_options(settings)
    except OSError as error:
        raise KafkaFilesError(
            f"KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE or KAFKA_SSL_KEYFILE cannot be used: {error}"
        ) from error


async def verify_topics(client: AIOKafkaClient, settings: IngestSettings) -> None:
    """
    Return when both topics have the configured number of partitions.

    Raises KafkaUnavailableError when one is missing or no broker answers, TopicsDifferError when one has another
    number. Never creates a topic, not even on brokers that create what is asked for by name.
    """
    try:
        cluster = await client.fetch_all_metadata()
    except KafkaError as error:
        raise KafkaUnavailableError(f"Kafka does not answer at {settings.kafka_bootstrap_servers}") from error
    missing = _compare(cluster, settings)
    if missing:
        raise KafkaUnavailableError(missing)


def _compare(cluster: Any, settings: IngestSettings) -> str | None:  # noqa: ANN401 - aiokafka has no types
    """Return which topic is missing, None when both are as they must be; raises TopicsDifferError otherwise."""
    problems = topic_problems(cluster, settings)
    differing = [problem for problem, waiting_helps in problems if not waiting_helps]
    if differing:
        raise TopicsDifferError("; ".join(differing))
    return "; ".join(problem for problem, _ in problems) or None


def topic_problems(cluster: Any, settings: IngestSettings) -> list[tuple[str, bool]]:  # noqa: ANN401 - as above
    """Return a phrase per topic that is not as it must be, and whether that may change while one waits."""
    problems = []
    for topic in TOPICS:
        name = topic.name(settings.kafka_topic_prefix)
        partitions = cluster.partitions_for_topic(name)
        if not partitions:
            problems.append((f"topic {name} does not exist (routee-streams topics creates it)", True))
        elif len(partitions) != settings.kafka_partitions:
            text = f"topic {name} has {len(partitions)} partitions, KAFKA_PARTITIONS says {settings.kafka_partitions}"
            problems.append((text, False))
    return problems


def _client_options(settings: IngestSettings) -> dict[str, Any]:
    return {
        **connection_options(settings),
        "client_id": "routee-ingest",
        "retry_backoff_ms": 50,
        "metadata_max_age_ms": 60_000,
    }


async def _start(producer: Producer, settings: IngestSettings) -> None:
    try:
        await producer.start()
    except (KafkaError, OSError) as error:
        raise KafkaUnavailableError(f"Kafka does not answer at {settings.kafka_bootstrap_servers}") from error
