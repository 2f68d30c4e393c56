"""The days that `erase --verify` tells, in simulated time: Kafka's rules leave nothing of the number by then."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import orjson
import pytest

from streams.admin import verify
from streams.admin.places import Entry, places
from streams.contract.codec import format_time
from streams.contract.erasures import Marks, normal_form
from streams.contract.topics import (
    ALL_TOPICS,
    CALLBACKS_RAW,
    CALLBACKS_REJECTED,
    CAMPAIGN_PARTIALS,
    ERASURES,
    SINKS_REJECTED,
    SMS_STATUS,
    Found,
    Topic,
    changelog,
)
from streams.domain.erasing import KnownErasures
from streams.domain.message import message_key
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.settings import StreamsSettings
from tests.builders import envelope, sms_callback
from tests.support.erasures import KEY, erasure
from tests.support.memory_rows import MemoryRows, outputs_of

NUMBER: Final = "+306900000001"
BEGIN: Final = datetime(2026, 11, 1, 13, 30, tzinfo=UTC)
ERASED_AT: Final = BEGIN + timedelta(days=1)
HOUR: Final = timedelta(hours=1)
DAYS: Final = 60
SMS_CHANGELOG: Final = changelog("sms")
WEEK_MS: Final = 604_800_000
"""After so long Kafka closes a segment whose topic does not say."""


class Written(NamedTuple):
    """A record in the log of a partition."""

    at: datetime
    key: bytes
    value: bytes


def written() -> dict[Topic, list[Written]]:
    """Return a callback of the number, a refused one, what streams makes of them, and of the erasure a day later."""
    stage, rows, key = SmsStage(Policy()), MemoryRows(), message_key("m")
    good = envelope(sms_callback("Sent", format_time(BEGIN), message_id="m"), received_at=format_time(BEGIN))
    bad = envelope({"messageId": 5, "to": NUMBER, "status": {"name": "Sent"}}, received_at=format_time(BEGIN))
    logs: dict[Topic, list[Written]] = {topic: [] for topic in ALL_TOPICS}
    for offset, value in enumerate((good, bad)):
        logs[CALLBACKS_RAW].append(Written(BEGIN, b"", value))
        for output in outputs_of(stage.apply(rows, 0, offset, value)):
            logs[output.topic].append(Written(BEGIN, output.key or b"", output.value))
    logs[SMS_CHANGELOG].append(Written(BEGIN, key, rows.written[key]))
    known = KnownErasures(Marks(KEY.encode()))
    known.add(0, erasure(NUMBER, ERASED_AT))
    rows.erased = known.before(1)
    for output in known.erase(rows, [key]):
        logs[output.topic].append(Written(ERASED_AT, output.key or b"", output.value))
    logs[SMS_CHANGELOG].append(Written(ERASED_AT, key, rows.written[key]))
    return logs


def with_traffic(log: Sequence[Written], topic: Topic, now: datetime) -> list[Written]:
    """Return the log with a record of others in every hour until now: Kafka closes a segment only when more comes."""
    value = envelope() if topic is CALLBACKS_RAW else b"{}"
    hours = range((now - BEGIN) // HOUR + 1)
    return sorted([*log, *(Written(BEGIN + hour * HOUR, b"other-%d" % hour, value) for hour in hours)])


def left(log: Sequence[Written], topic: Topic, now: datetime) -> Iterator[Written]:
    """Yield the records that Kafka has by now: it deletes whole segments, and compacts the closed ones."""
    config, segments = topic.config, [[log[0]]]
    for record in log[1:]:
        if record.at - segments[-1][0].at >= timedelta(milliseconds=int(config.get("segment.ms", WEEK_MS))):
            segments.append([])
        segments[-1].append(record)
    if "delete" in config["cleanup.policy"]:
        kept = timedelta(milliseconds=int(config["retention.ms"]))
        segments = [segment for segment in segments if now - segment[-1].at <= kept]
    newest: dict[bytes, int] = {}
    places = [(number, record) for number, segment in enumerate(segments) for record in segment]
    if "compact" in config["cleanup.policy"]:
        lag = timedelta(milliseconds=int(config.get("max.compaction.lag.ms", 0)))
        closed = [place for place in places if place[0] < len(segments) - 1 and segments[place[0]][-1].at + lag < now]
        newest = {record.key: at for at, (_, record) in enumerate(closed)}
    yield from (record for at, (_, record) in enumerate(places) if newest.get(record.key, 0) <= at)


def told(monkeypatch: pytest.MonkeyPatch, now: datetime) -> dict[str, verify.Store]:
    """Return what the command finds in the logs as they are by now."""
    settings = StreamsSettings(erasure_key=KEY, kafka_topic_prefix="")
    found = {topic.suffix: Found(8, 1, topic.config) for topic in ALL_TOPICS}
    logs = {topic: log for topic, log in written().items() if log and topic is not ERASURES}

    def records(_: StreamsSettings) -> Iterator[Entry]:
        for topic, log in logs.items():
            for offset, one in enumerate(left(with_traffic(log, topic, now), topic, now)):
                yield Entry(topic, f"0/{offset}", round(one.at.timestamp() * 1000), one.key, one.value)

    monkeypatch.setattr(verify, "_all_records", records)
    monkeypatch.setattr(verify, "_require_readable", lambda *_: None)
    monkeypatch.setattr(verify, "connect", lambda _: nullcontext(SimpleNamespace(admin=None)))
    monkeypatch.setattr(verify, "told_topics", lambda *_: SimpleNamespace(there=found))
    monkeypatch.setattr(verify, "known_erasures", lambda _: [erasure(NUMBER, ERASED_AT)])
    monkeypatch.setattr(verify, "_asked_of_sinks", lambda *_: iter(()))
    return {store.name: store for store in verify.verify(settings, [NUMBER], print)}


def test_on_the_day_that_is_told_nothing_of_the_number_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    first = told(monkeypatch, ERASED_AT + HOUR)
    stores = {name: store.expires_on for name, store in first.items() if store.found}
    assert stores.keys() == {topic.suffix for topic in (CALLBACKS_RAW, CALLBACKS_REJECTED, SMS_STATUS, SMS_CHANGELOG)}
    for name, day in stores.items():
        assert day is not None
        assert (day - BEGIN.date()).days <= 10
        then = datetime(day.year, day.month, day.day, tzinfo=UTC)
        assert told(monkeypatch, then - timedelta(days=3))[name].found == first[name].found, "no day is told in vain"
        assert told(monkeypatch, then)[name].found == 0
        assert told(monkeypatch, then + timedelta(days=DAYS))[name].found == 0


def test_an_sms_that_the_state_has_forgotten_leaves_with_its_topic_on_the_day_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No record of its erasure comes after it."""
    logs = written()
    logs[SMS_STATUS] = [one for one in logs[SMS_STATUS] if one.at < ERASED_AT]
    monkeypatch.setattr(f"{__name__}.written", lambda: logs)
    first = told(monkeypatch, ERASED_AT + HOUR)[SMS_STATUS.suffix]
    day = first.expires_on
    assert (first.found, day) == (1, BEGIN.date() + timedelta(days=32))
    assert day is not None
    then = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert told(monkeypatch, then - timedelta(days=3))[SMS_STATUS.suffix].found == 1
    assert told(monkeypatch, then)[SMS_STATUS.suffix].found == 0


KEPT_DAYS: Final[dict[str, int | None]] = {
    **dict.fromkeys(("callbacks.raw", "callbacks.rejected"), 7),
    **dict.fromkeys(("campaign.partials", "delivery.partials", "delivery.watch"), 7),
    **dict.fromkeys(("sms.status", "sinks.rejected"), 30),
    **dict.fromkeys(("campaign.progress", "delivery.alarms"), 400),
    "delivery.windows": 35,
    **{topic.suffix: None for topic in ALL_TOPICS if topic is ERASURES or topic.suffix.startswith("streams-")},
}


@pytest.mark.parametrize("topic", ALL_TOPICS, ids=lambda topic: topic.suffix)
def test_a_record_that_changes_no_more_goes_with_the_days_of_its_topic_and_a_day(topic: Topic) -> None:
    """Of a topic of rows, the latest of a key stays for ever: streams deletes the rows themselves."""
    days = KEPT_DAYS[topic.suffix]
    one = Written(BEGIN, b"one", b"{}")

    def stays(passed: timedelta) -> bool:
        # Records of others come once a day, which is what lets Kafka close segments.
        others = [Written(BEGIN + timedelta(days=day), b"other-%d" % day, b"{}") for day in range(passed.days + 1)]
        return one in left([one, *others], topic, BEGIN + passed)

    if days is None:
        assert stays(timedelta(days=1_000))
    else:
        assert stays(timedelta(days=days))
        assert not stays(timedelta(days=days + 2))


def test_partial_counts_have_no_number() -> None:
    assert NUMBER[1:].encode() not in b"".join(record.value for record in written()[CAMPAIGN_PARTIALS])
    assert orjson.loads(written()[SMS_STATUS][-1].value)["recipient"] is None


def test_the_warnings_of_the_sinks_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no setting names a store of theirs, they look at none, and only they say so."""
    program = tmp_path / "routee-sinks"
    program.write_text('#!/bin/sh\necho "$LOG_FORMAT: no store is looked at" >&2\n')
    program.chmod(0o755)
    monkeypatch.setattr(verify, "_SINKS", program)
    warned: list[str] = []
    assert not [*verify._asked_of_sinks("verify", ["+306900000000"], warned.append)]
    assert warned == ["text: no store is looked at"]


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        (CALLBACKS_REJECTED, {"body": None, "body_base64": b64encode(b'\xff{"to": "+30 690 0000001"}').decode()}),
        (SINKS_REJECTED, {"value": None, "value_base64": b64encode(b'\xff{"to": "+30 690 0000001"}').decode()}),
        (
            CALLBACKS_RAW,
            {
                "callbacks": [{}, {"messageId": "m"}],
                "repaired": [{"index": 1, "original": b64encode(b"{'to': '306900000001'").decode()}],
            },
        ),
        (CALLBACKS_RAW, {"callbacks": [{"to": [NUMBER]}], "repaired": [{"index": "x"}, 5]}),
        (CALLBACKS_RAW, {"callbacks": [{"to": [NUMBER]}], "repaired": {"index": 0}}),
    ],
)
def test_a_number_in_bytes_that_are_kept_in_base64_is_found(topic: Topic, value: dict[str, Any]) -> None:
    received = {"received_at": format_time(BEGIN)}
    record = Entry(topic, "0/7", 0, b"", orjson.dumps(received | value))
    (place,) = places(record, {normal_form(NUMBER)}.__contains__)
    assert place.place.startswith("0/7")
    assert place.moments[0] == BEGIN.timestamp() * 1000
    assert not [*places(record, {normal_form("+306900000002")}.__contains__)]
