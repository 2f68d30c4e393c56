"""
Where the stores of streams have a recipient: every record on our topics, and every row of local state, decoded.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import orjson
from kafka import KafkaConsumer, TopicPartition
from rocksdict import AccessType, Options, Rdict

from streams.contract.dates import read_date
from streams.contract.erasures import BLANKED, MOMENTS, normal_form, recipients_in
from streams.contract.topics import ALL_TOPICS, CALLBACKS_RAW, ERASURES, SMS_STATUS, Topic, changelog
from streams.domain.erasing import is_erased
from streams.domain.lifecycle import Sms
from streams.domain.message import MESSAGE_PREFIX, read_message
from streams.domain.routee.bodies import dates_in
from streams.program.brokers import client_options
from streams.settings import StreamsSettings

LOCAL_STATE: Final = "local state"
"""The store of the rows on the disks of workers."""

_POLL_MS: Final = 500
_DIGITS: Final = re.compile(rb"[0-9]{7,20}|[0-9a-f]{64}")
_IN_BASE64: Final = ("body_base64", "value_base64")
_SMS_CHANGELOG: Final = changelog("sms").suffix


class Entry(NamedTuple):
    """A record of a topic, or a row of local state (its `topic` is None, its time 0)."""

    topic: Topic | None
    place: str
    written_ms: int
    key: bytes
    value: bytes


class Place(NamedTuple):
    """A place that has a recipient, or has lost one."""

    store: str
    place: str
    """`partition/offset` of a record, `partition/offset/index` of a callback in it; the file's folder of a row."""
    recipient: str | None
    """Its normal form; None when the data of this SMS were erased."""
    moments: list[int]
    """When the SMS was first received, and Routee's dates of it, in ms."""
    written_ms: int
    key: bytes
    """The key of the record or row."""
    sms_key: str | None
    content: Any


def records(settings: StreamsSettings) -> Iterator[Entry]:
    """Yield every record on the topics of the project, except those of erasures; raises KafkaError."""
    consumer = KafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **client_options(settings))
    try:
        for topic in ALL_TOPICS:
            if topic is not ERASURES:
                yield from _of_topic(consumer, topic, topic.name(settings.kafka_topic_prefix))
    finally:
        consumer.close()


def _of_topic(consumer: Any, topic: Topic, name: str) -> Iterator[Entry]:  # noqa: ANN401 - no types
    partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name) or ()]
    if not partitions:
        return
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(one) < ends[one] for one in partitions):
        for batch in consumer.poll(timeout_ms=_POLL_MS).values():
            for one in batch:
                place = f"{one.partition}/{one.offset}"
                yield Entry(topic, place, one.timestamp, one.key or b"", one.value or b"")


def rows(folder: Path) -> Iterator[Entry]:
    """Yield the rows of messages in the local state of all workers in a folder, as they are on disk now."""
    for database in sorted(folder.glob("worker-*/sms-*/*")):
        if not database.name.isdecimal():
            continue
        # A worker may have it open: what it has not written yet lies in the changelog.
        opened = Rdict(str(database), Options(raw_mode=True), access_type=AccessType.read_only(False))  # noqa: FBT003
        try:
            cursor = opened.iter()
            cursor.seek(MESSAGE_PREFIX)
            while cursor.valid() and cursor.key().startswith(MESSAGE_PREFIX):
                yield Entry(None, str(database), 0, cursor.key(), cursor.value())
                cursor.next()
        finally:
            opened.close()


def store_of(record: Entry) -> str:
    """Return the name of the store that a record lies in."""
    return LOCAL_STATE if record.topic is None else record.topic.suffix


def places(record: Entry, wanted: Callable[[str], bool]) -> Iterator[Place]:
    """Yield each place in a record that has a wanted recipient (asked by its normal form), or an erased SMS."""
    store = store_of(record)
    if record.topic is None or record.topic.suffix == _SMS_CHANGELOG:
        yield from _of_row(store, record, wanted)
    elif record.topic is CALLBACKS_RAW:
        yield from _of_envelope(store, record, wanted)
    else:
        yield from _of_json(store, record, wanted)


def _of_row(store: str, record: Entry, wanted: Callable[[str], bool]) -> Iterator[Place]:
    if not record.key.startswith(MESSAGE_PREFIX) or not record.value:
        return
    message, _ = read_message(record.value)
    for sms in message.parts:
        form = normal_form(sms.details.recipient or "")
        if is_erased(sms) or (form is not None and wanted(form)):
            found = None if is_erased(sms) else form
            moments = [sms.first_received, *sms.dates]
            content = msgspec.to_builtins(_named(sms))
            yield Place(store, record.place, found, moments, record.written_ms, record.key, sms.key, content)


def _named(sms: Sms) -> dict[str, Any]:
    """Return an SMS with the names of its fields."""
    own = msgspec.structs.asdict(sms)
    return {**own, "details": msgspec.structs.asdict(sms.details)}


def _of_envelope(store: str, record: Entry, wanted: Callable[[str], bool]) -> Iterator[Place]:
    try:
        envelope = orjson.loads(record.value)
        bodies = [orjson.dumps(one) for one in envelope["callbacks"]]
    except (ValueError, KeyError, TypeError):
        yield from _of_bytes(store, record, record.value, wanted)
        return
    received = _moments([envelope.get("received_at"), envelope.get("first_received_at")])
    originals = _originals(envelope.get("repaired"))
    for index, body in enumerate(bodies):
        inner = record._replace(place=f"{record.place}/{index}")
        for place in _of_bytes(store, inner, body, wanted, originals.get(index, b"")):
            yield place._replace(moments=[*received, *dates_in(body)])


def _of_json(store: str, record: Entry, wanted: Callable[[str], bool]) -> Iterator[Place]:
    content: Any = None
    with suppress(ValueError):
        content = orjson.loads(record.value)
    told = content if isinstance(content, dict) else {}
    if record.topic is SMS_STATUS:
        form = normal_form(told.get("recipient") or "")
        is_blank = all(told.get(name) is None for name in BLANKED)
        if is_blank or (form is not None and wanted(form)):
            moments, key = _moments([told.get(name) for name in MOMENTS]), told.get("sms_key")
            found = None if is_blank else form
            yield Place(store, record.place, found, moments, record.written_ms, record.key, key, told)
        return
    received = _moments([told.get("received_at")])
    coded = b"\n".join(_decoded(told.get(name)) for name in _IN_BASE64)
    for place in _of_bytes(store, record, record.value, wanted, coded):
        yield place._replace(moments=[*received, *dates_in(record.value)])


def _originals(notes: Any) -> dict[int, bytes]:  # noqa: ANN401 - JSON is any
    """Return the bytes of repaired callbacks as they were posted, by their places."""
    told = [note for note in notes if isinstance(note, dict)] if isinstance(notes, list) else []
    return {note["index"]: _decoded(note.get("original")) for note in told if isinstance(note.get("index"), int)}


def _decoded(told: object) -> bytes:
    """Return the bytes of a text in base64, none of anything else."""
    try:
        return b64decode(told) if isinstance(told, str) else b""
    except ValueError:
        return b""


def _of_bytes(
    store: str, record: Entry, value: bytes, wanted: Callable[[str], bool], coded: bytes = b""
) -> Iterator[Place]:
    """
    Yield the record when its bytes have a wanted recipient: as one that a callback names, or as digits anywhere.

    `coded` are bytes of the record that its value has in base64.
    """
    candidates = [one for some in (value, coded) for one in recipients_in(some)]
    candidates += [one.decode() for some in (value, coded) for one in _DIGITS.findall(some)]
    forms = {form for one in candidates if (form := normal_form(one)) is not None}
    for form in sorted(filter(wanted, forms)):
        content = value.decode(errors="backslashreplace")
        with suppress(ValueError):
            content = orjson.loads(value)
        yield Place(store, record.place, form, [record.written_ms], record.written_ms, record.key, None, content)


def _moments(texts: Sequence[Any]) -> list[int]:
    return [moment for text in texts if (moment := read_date(text))]
