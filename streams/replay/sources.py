"""
Where a replay reads `callbacks.raw` from: the archive of files, or Kafka, without a group. It only reads.
"""

from collections.abc import Iterator
from time import monotonic
from typing import Any, Final, Protocol

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.admin.topics import connect
from streams.contract import permissions
from streams.contract.erasures import AnotherKeyError, Erasure, Erasures, NotAnErasureError, Reading
from streams.contract.topics import CALLBACKS_RAW, ERASURES
from streams.errors import StreamsError
from streams.program.archive import Archived, ArchiveError, archive_partitions, open_archive, records_from
from streams.program.brokers import client_options, why_unreachable
from streams.program.kafka_problems import missing_topic
from streams.settings import StreamsSettings

_POLL_MS: Final = 500
_PATIENCE_SECONDS: Final = 60
"""A read without progress ends after it."""


class Source(Protocol):
    """Gives the records; it is handed to other processes. Its methods raise StreamsError, a line for people."""

    def partitions(self) -> list[int]:
        """Return the partitions that have records, in order."""

    def records(self, partition: int) -> Iterator[Archived]:
        """Yield the records of a partition, in the order of their offsets."""


class ArchiveSource:
    """The archive below a root of files, a folder or a bucket."""

    def __init__(self, root: str) -> None:
        self._root = root

    def partitions(self) -> list[int]:
        """Return the partitions that have files."""
        try:
            return archive_partitions(open_archive(self._root))
        except ArchiveError as error:
            raise StreamsError(f"--from {error}") from error

    def records(self, partition: int) -> Iterator[Archived]:
        """Yield the records of the files of a partition."""
        try:
            yield from records_from(open_archive(self._root), partition)
        except ArchiveError as error:
            raise StreamsError(f"--from {error}") from error


class KafkaSource:
    """The records that Kafka has of the topic, up to its end as it is when a partition is begun."""

    def __init__(self, settings: StreamsSettings) -> None:
        self._settings = settings
        self._topic = CALLBACKS_RAW.name(settings.kafka_topic_prefix)

    def partitions(self) -> list[int]:
        """Return all partitions."""
        with _Consumer(self._settings) as consumer:
            return sorted(consumer.partitions_for_topic(self._topic) or ())

    def records(self, partition: int) -> Iterator[Archived]:
        """Yield the records that are left of a partition."""
        for one in _records(self._settings, self._topic, partition):
            yield Archived(partition, one.offset, one.timestamp, one.value)


def require_topics(settings: StreamsSettings) -> None:
    """Return when this user may read the topics of a replay; StreamsError, a line for each that keeps it from that."""
    prefix, topics = settings.kafka_topic_prefix, (CALLBACKS_RAW, ERASURES)
    with connect(settings) as kafka:
        problems = [missing_topic(topic.name(prefix)) for topic in kafka.missing(topics)]
        problems += kafka.lacking(topics, permissions.replay(prefix))
    if problems:
        raise StreamsError("\n".join(problems))


def known_erasures(settings: StreamsSettings) -> list[Erasure]:
    """Return all erasures on the topic; StreamsError when ERASURE_KEY is not the one that they were made with."""
    name = ERASURES.name(settings.kafka_topic_prefix)
    known, reading = Erasures(settings.erasure_marks), Reading(name)
    found = []
    try:
        for record in _records(settings, name, 0):
            if (erasure := reading.read(record.offset, record.key, record.value)) is not None:
                known.add(erasure)
                found.append(erasure)
        reading.check()
    except (AnotherKeyError, NotAnErasureError) as error:
        raise StreamsError(str(error)) from error
    return found


def _records(settings: StreamsSettings, topic: str, partition: int) -> Iterator[Any]:
    with _Consumer(settings) as consumer:
        at = TopicPartition(topic, partition)
        consumer.assign([at])
        consumer.seek_to_beginning(at)
        end = consumer.end_offsets([at], timeout_ms=_PATIENCE_SECONDS * 1000)[at]
        moved = monotonic()
        while (before := _position(consumer, at)) < end:
            for records in consumer.poll(timeout_ms=_POLL_MS).values():
                yield from (record for record in records if record.offset < end)
            if _position(consumer, at) > before:
                moved = monotonic()
            elif monotonic() - moved > _PATIENCE_SECONDS:
                raise StreamsError(f"Kafka gives no records of {topic} {partition} for {_PATIENCE_SECONDS} s")


def _position(consumer: Any, at: TopicPartition) -> int:  # noqa: ANN401 - no types
    """Return the offset that is read next, -1 while Kafka has not told the first."""
    # Without a limit it waits for Kafka for ever.
    position: int | None = consumer.position(at, timeout_ms=_POLL_MS)
    return -1 if position is None else position


class _Consumer:
    """A consumer without a group; errors of Kafka become a line for people."""

    def __init__(self, settings: StreamsSettings) -> None:
        self._settings = settings
        self._consumer: Any = None

    def __enter__(self) -> Any:  # noqa: ANN401 - no types
        try:
            options = client_options(self._settings)
            self._consumer = KafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **options)
        except KafkaError as error:
            raise StreamsError(why_unreachable(self._settings, error)) from error
        return self._consumer

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        self._consumer.close()
        if isinstance(error, KafkaError):
            raise StreamsError(f"Kafka does not give the records of the topics: {error}") from error
