"""
`routee-streams erase`: writes the erasures of recipients, which every worker and every sink reads.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from streams.admin.recipients import names_of
from streams.admin.topics import connect, require
from streams.contract import permissions
from streams.contract.codec import encode
from streams.contract.erasures import Erasure, Marks, NotAnErasureError, Reading
from streams.contract.headers import headers
from streams.contract.topics import ERASURES
from streams.errors import KafkaUnreachableError, StreamsError, UsageError
from streams.program.brokers import client_options
from streams.program.kafka_problems import failed_request
from streams.settings import StreamsSettings

_ACK_SECONDS: Final = 30
_POLL_MS: Final = 500


def erase(settings: StreamsSettings, recipients: Sequence[str], warn: Callable[[str], object]) -> list[str]:
    """
    Write an erasure of each recipient, and of its pseudonym; return when all in-sync replicas have them.

    Returns lines that say what workers and sinks cannot find. Doing it again is an erasure of what came since. Raises
    UsageError without ERASURE_KEY or when it is another one than that of the erasures that there are, and StreamsError
    when a record of the topic is no erasure.
    """
    marks = require_marks(settings)
    topic = ERASURES.name(settings.kafka_topic_prefix)
    with connect(settings) as topics:
        require(topics.findings([ERASURES], permissions.erase(settings.kafka_topic_prefix)), warn)
    try:
        if any(one.key_id != marks.key_id for one in known_erasures(settings)):
            raise UsageError(
                "ERASURE_KEY is another one than that of the erasures that were made: set that one. Workers and sinks "
                "do not work with erasures of two keys"
            )
        _write(settings, topic, erasures(marks, recipients, settings, datetime.now(UTC)))
    except KafkaError as error:
        raise KafkaUnreachableError(failed_request(settings, error)) from error
    return [*not_found(settings)]


def require_marks(settings: StreamsSettings) -> Marks:
    """Return the marks under ERASURE_KEY; UsageError with advice when it is not set."""
    if settings.erasure_marks is None:
        raise UsageError(
            "ERASURE_KEY is not set: make one with `openssl rand -hex 32`, set it for streams and sinks, keep it, and "
            "start them again before the first erasure"
        )
    return settings.erasure_marks


def erasures(marks: Marks, recipients: Iterable[str], settings: StreamsSettings, at: datetime) -> list[Erasure]:
    """Return the erasure of each recipient (`+306…`) and of each pseudonym that streams may have made of it."""
    found = {mark for one in recipients for text in names_of(one, settings) if (mark := marks.of(text)) is not None}
    return [Erasure(mark=mark, at=at, key_id=marks.key_id) for mark in sorted(found)]


def not_found(settings: StreamsSettings) -> Iterator[str]:
    """Yield a line for each kind of data in which a recipient cannot be found."""
    if settings.streams_recipient in ("mask", "drop"):
        yield (
            f"with STREAMS_RECIPIENT={settings.streams_recipient} no store has the number of an SMS: texts and labels "
            "of SMS that are there stay, unless further callbacks come. callbacks.raw has the number until its days end"
        )


def known_erasures(settings: StreamsSettings) -> list[Erasure]:
    """Return the erasures on the topic, in order; raises KafkaError, and StreamsError for a record that is none."""
    consumer = KafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **client_options(settings))
    partition = TopicPartition(ERASURES.name(settings.kafka_topic_prefix), 0)
    reading = Reading(partition.topic)
    found: list[Erasure | None] = []
    try:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        while consumer.position(partition) < end:
            records = consumer.poll(timeout_ms=_POLL_MS).get(partition, ())
            found += [reading.read(record.offset, record.key, record.value) for record in records]
    finally:
        consumer.close()
    try:
        reading.check()
    except NotAnErasureError as error:
        raise StreamsError(str(error)) from None
    return [erasure for erasure in found if erasure is not None]


def _write(settings: StreamsSettings, topic: str, made: Sequence[Erasure]) -> None:
    producer = KafkaProducer(acks="all", max_block_ms=_ACK_SECONDS * 1000, **client_options(settings))
    try:
        sent = [
            producer.send(topic, key=one.mark.encode(), value=encode(one), headers=[*headers(ERASURES)], partition=0)
            for one in made
        ]
        for acknowledged in sent:
            acknowledged.get(timeout=_ACK_SECONDS)
    finally:
        producer.close(timeout=_ACK_SECONDS)
