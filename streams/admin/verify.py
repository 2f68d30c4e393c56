"""
`routee-streams erase --verify` and `routee-streams export`: what every store has of recipients.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
from kafka.errors import KafkaError

from streams.admin.erase import known_erasures, require_marks
from streams.admin.places import LOCAL_STATE, Entry, Place, places, records, rows, store_of
from streams.admin.recipients import names_of
from streams.admin.topics import connect, require
from streams.contract import permissions
from streams.contract.erasures import Erasures, moment_of, normal_form
from streams.contract.topics import ALL_TOPICS, ERASURES, Found
from streams.errors import KafkaUnreachableError, StreamsError
from streams.program.found_topics import told_topics
from streams.program.kafka_problems import Findings, failed_request
from streams.settings import StreamsSettings

_SINKS: Final = Path(sys.executable).with_name("routee-sinks")
_SINKS_SECONDS: Final = 3600


@dataclass(slots=True)
class Store:
    """The places of one store with data that an erasure covers, and the SMS of the recipients that were erased."""

    name: str
    found: int = 0
    erased: int = 0
    expires_on: date | None = None
    """The day by which the found ones are gone; None when nothing is found, or no day is known."""
    later: int = 0
    """Places that no erasure covers: the SMS are later ones, or there is no erasure."""

    def line(self) -> str:
        """Return the line for people."""
        told = f"{self.name}: found {self.found}, erased {self.erased}"
        if self.found:
            told += f", expires on {self.expires_on}" if self.expires_on else ", does not expire"
        return told + (f", not covered {self.later}" if self.later else "")


@dataclass(slots=True)
class _Counting:
    """The places of one store, until it is known which SMS are the recipients' and which records are superseded."""

    found: list[Place] = field(default_factory=list)
    later: int = 0
    erased: set[str] = field(default_factory=set)
    newest: dict[bytes, int] = field(default_factory=dict)


def verify(settings: StreamsSettings, recipients: Sequence[str], warn: Callable[[str], object]) -> Iterator[Store]:
    """
    Yield what each store of streams has, decoded, and then what the sinks say of theirs.

    Raises UsageError, TopicsDifferError when a topic cannot be read, KafkaUnreachableError, and StreamsError: when a
    record of the erasures is none, and at the end when the sinks cannot be asked.
    """
    erasures = Erasures(require_marks(settings))
    _require_readable(settings, warn)
    counting = {topic.suffix: _Counting() for topic in ALL_TOPICS if topic is not ERASURES} | {LOCAL_STATE: _Counting()}
    theirs: set[str] = set()
    with connect(settings) as topics:
        names = [topic.name(settings.kafka_topic_prefix) for topic in ALL_TOPICS]
        told = told_topics(topics.admin, names).there
        for erasure in known_erasures(settings):
            erasures.add(erasure)
    forms = _forms(settings, recipients)
    for record in _all_records(settings):
        newest = counting[store_of(record)].newest
        if record.key in newest:
            newest[record.key] = max(newest[record.key], record.written_ms)
        for place in places(record, forms.__contains__):
            _count(counting[place.store], place, erasures, theirs)
    found = {topic.suffix: told.get(topic.name(settings.kafka_topic_prefix)) for topic in ALL_TOPICS}
    for name, counted in counting.items():
        yield _store(name, counted, theirs, found.get(name))
    for line in _asked_of_sinks("verify", recipients, warn):
        yield _store_of_sinks(orjson.loads(line))


def export(settings: StreamsSettings, recipients: Sequence[str], warn: Callable[[str], object]) -> Iterator[bytes]:
    """
    Yield a line of JSON for each place in any store that has a recipient.

    Raises TopicsDifferError when a topic cannot be read, KafkaUnreachableError, and at the end StreamsError when the
    sinks cannot be asked.
    """
    _require_readable(settings, warn)
    forms = _forms(settings, recipients)
    for record in _all_records(settings):
        for place in places(record, forms.__contains__):
            if place.recipient is not None:
                yield orjson.dumps({"store": place.store, "place": place.place, "record": place.content})
    yield from _asked_of_sinks("export", recipients, warn)


def _require_readable(settings: StreamsSettings, warn: Callable[[str], object]) -> None:
    """Raise TopicsDifferError unless every topic can be read: nothing would be found on one that is left out."""
    with connect(settings) as topics:
        found = topics.findings(ALL_TOPICS, permissions.verify(settings.kafka_topic_prefix))
    # A topic with dangerous settings can be read all the same.
    require(Findings(found.unusable, warned=found.warned), warn)


def _forms(settings: StreamsSettings, recipients: Iterable[str]) -> Mapping[str, str]:
    """Return the normal forms of the recipients and of their pseudonyms."""
    named = (one for number in recipients for one in names_of(number, settings))
    return {form: one for one in named if (form := normal_form(one)) is not None}


def _all_records(settings: StreamsSettings) -> Iterator[Entry]:
    try:
        yield from records(settings)
    except KafkaError as error:
        raise KafkaUnreachableError(failed_request(settings, error)) from error
    try:
        yield from rows(settings.streams_data_dir)
    except Exception as error:  # rocksdict has no other
        raise StreamsError(f"STREAMS_DATA_DIR={settings.streams_data_dir}: {error}") from error


def _count(counted: _Counting, place: Place, erasures: Erasures, theirs: set[str]) -> None:
    if place.recipient is None:
        if place.sms_key:
            counted.erased.add(place.sms_key)
    elif erasures.covers(place.recipient, *(moment_of(one) for one in place.moments if one)):
        counted.found.append(place)
        counted.newest.setdefault(place.key, place.written_ms)
        if place.sms_key:
            theirs.add(place.sms_key)
    else:
        counted.later += 1


def _store(name: str, counted: _Counting, theirs: set[str], found: Found | None) -> Store:
    days = [_gone_by(place, counted.newest[place.key], found) for place in counted.found]
    known = [day for day in days if day is not None]
    expires_on = max(known) if known and len(known) == len(days) else None
    return Store(name, len(counted.found), len(counted.erased & theirs), expires_on, counted.later)


def _gone_by(place: Place, newest_ms: int, found: Found | None) -> date | None:
    """Return the day by which a record is gone by the settings of its topic, None when they tell no day."""
    if found is None:
        return None
    days = []
    policy = found.config.get("cleanup.policy", "")
    segment = _ms(found, "segment.ms")
    if "delete" in policy and (kept := _ms(found, "retention.ms")) >= 0:
        days.append(place.written_ms + kept + segment)
    if "compact" in policy and newest_ms > place.written_ms:
        days.append(newest_ms + _ms(found, "max.compaction.lag.ms") + segment)
    try:
        return (datetime.fromtimestamp(min(days) / 1000, UTC) + timedelta(days=1)).date() if days else None
    except (OverflowError, ValueError, OSError):  # so late is never
        return None


def _ms(found: Found, setting: str) -> int:
    return int(found.config.get(setting, "-1"))


def _store_of_sinks(told: dict[str, Any]) -> Store:
    day = told.get("expires_on")
    expires_on = date.fromisoformat(day[:10]) if day else None
    return Store(told["store"], told["found"], told["erased"], expires_on, told["not_covered"])


def _asked_of_sinks(command: str, recipients: Sequence[str], warn: Callable[[str], object]) -> Iterator[bytes]:
    """
    Yield the lines that `routee-sinks erasure` answers; StreamsError with the reason when it does not.

    Its own warnings are passed on: where no setting names a store, it looks at none.
    """
    if not _SINKS.exists():
        raise StreamsError(f"the stores of the sinks were not asked: there is no {_SINKS}")
    try:
        asked = subprocess.run(  # noqa: S603 - our own program
            [_SINKS, "erasure", command],
            input="\n".join(recipients).encode(),
            env={**os.environ, "LOG_FORMAT": "text"},
            capture_output=True,
            timeout=_SINKS_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StreamsError(f"the stores of the sinks were not asked: {type(error).__name__}") from error
    said = asked.stderr.decode(errors="replace").strip().splitlines()
    if asked.returncode:
        raise StreamsError(f"the stores of the sinks were not asked: {said[-1] if said else asked.returncode}")
    for line in said:
        warn(line)
    yield from (line for line in asked.stdout.splitlines() if line.strip())
