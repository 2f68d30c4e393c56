"""
`routee-streams alarms`: mutes of subjects, as records for the agent of the alarms.
"""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.admin.topics import connect, require
from streams.contract import permissions
from streams.contract.topics import DELIVERY_WATCH, WATCHED_PARTITION
from streams.domain.alarms.mute import mute_line, normal_subject
from streams.errors import KafkaUnreachableError, UsageError
from streams.program.brokers import client_options
from streams.program.kafka_problems import failed_request
from streams.settings import StreamsSettings

_ACK_SECONDS: Final = 30
_MOST_DAYS: Final = 90
_MINUTE: Final = 60


def mute_end(subject: str, hours: str | None, until: str | None, now: datetime) -> tuple[str, int]:
    """
    Return the subject as alarms have it, and the minute since 1970 at which its mute ends.

    One of `hours` and `until` is given. Raises UsageError that names every fault.
    """
    faults: list[str] = []
    name, end = subject, now
    try:
        name = normal_subject(subject)
    except ValueError as why:
        faults.append(f"SUBJECT: {why}")
    try:
        end = _after(hours, now) if hours is not None else _moment(until or "")
    except ValueError as why:
        faults.append(str(why))
    else:
        faults += _of_end(end, now)
    if faults:
        raise UsageError("\n".join(faults))
    return name, math.ceil(end.timestamp() / _MINUTE)


def unmuted(subject: str) -> str:
    """Return the subject as alarms have it; UsageError for another text."""
    try:
        return normal_subject(subject)
    except ValueError as why:
        raise UsageError(f"SUBJECT: {why}") from None


def write_mute(settings: StreamsSettings, subject: str, until: int, warn: Callable[[str], object]) -> None:
    """Write that a subject is muted until a minute, 0 for no more; return when all in-sync replicas have it."""
    topic = DELIVERY_WATCH.name(settings.kafka_topic_prefix)
    with connect(settings) as topics:
        require(topics.findings([DELIVERY_WATCH], permissions.mute(settings.kafka_topic_prefix)), warn)
    try:
        producer = KafkaProducer(acks="all", max_block_ms=_ACK_SECONDS * 1000, **client_options(settings))
        try:
            producer.send(topic, mute_line(subject, until), partition=WATCHED_PARTITION).get(timeout=_ACK_SECONDS)
        finally:
            producer.close(timeout=_ACK_SECONDS)
    except KafkaError as error:
        raise KafkaUnreachableError(failed_request(settings, error)) from error


def _after(hours: str, now: datetime) -> datetime:
    try:
        return now + timedelta(hours=float(hours))
    except (ValueError, OverflowError):  # also of a number that is none, or too large
        raise ValueError("--hours: a number is expected") from None


def _moment(text: str) -> datetime:
    try:
        end = datetime.fromisoformat(text)
        if end.tzinfo is not None:
            return end.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("--until: a time with its zone is expected, as 2026-12-01T06:00:00Z")


def _of_end(end: datetime, now: datetime) -> Iterator[str]:
    if end <= now:
        yield "the end of a mute lies in the future"
    elif end - now > timedelta(days=_MOST_DAYS):
        yield f"a mute ends within {_MOST_DAYS} days"
