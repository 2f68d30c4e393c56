"""
Another retention than the one before: a forgotten message stays refused, and nothing is counted twice.
"""

import random
from collections import Counter
from typing import Any

import orjson
import pytest

from streams.contract.codec import format_time_ms
from streams.contract.dates import read_date
from streams.domain.expiry import forgotten_before
from streams.domain.listing import CHUNK_KEYS
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.tally import TALLY_KEY, read_tally
from tests.builders import envelope, sms_callback
from tests.support.golden import traffic
from tests.support.golden.product import message_key
from tests.support.golden.single import Single
from tests.support.golden.stored import Golden, golden_sets
from tests.support.memory_rows import MemoryRows, outputs_of

START = read_date("2026-11-22T00:00:00Z") or 0
HOUR = 3_600_000
DAY_HOURS = 24
GENERAL, LEAP = traffic.GENERAL, traffic.LEAP


def at(hours: float) -> str:
    return format_time_ms(START + round(hours * HOUR))


def delivered(name: str, hours: float) -> dict[str, Any]:
    return sms_callback("Delivered", at(hours), message_id=name, sms_id=name)


def take_in(stage: SmsStage, rows: MemoryRows, callback: dict[str, Any], hours: float) -> dict[str, Any]:
    """Take a callback into stored rows at an hour of their traffic; return the record that it makes."""
    _, value = traffic.raw(GENERAL, hours, callback)
    (output,) = outputs_of(stage.apply(rows, GENERAL, 1_000, value))
    record: dict[str, Any] = orjson.loads(output.value)
    return record


class Partition:
    """One partition, whose workers have the retention of the day."""

    def __init__(self, rows: MemoryRows | None = None) -> None:
        self.rows = rows or MemoryRows()
        self.begun: Counter[str] = Counter()
        self.refused: list[dict[str, Any]] = []
        self._offset = 1_000_000

    def send(self, callback: dict[str, Any], hours: float, retention_hours: int) -> None:
        """Take in one callback, received at this hour, by a worker of this retention."""
        self._offset += 1
        stage, value = SmsStage(Policy(retention_hours=retention_hours)), envelope(callback, received_at=at(hours))
        for output in outputs_of(stage.apply(self.rows, 0, self._offset, value)):
            record = orjson.loads(output.value)
            self.refused += [record] if "reason" in record else []
            self.begun[record.get("sms_key")] += record.get("revision") == 1

    def pass_time(self, until: float, since: float, retention_hours: int) -> None:
        """Advance stream time by a callback of another message every hour."""
        for hour in range(round(since) + 1, round(until) + 1):
            self.send(delivered(f"other-{hour}", hour), hour, retention_hours)

    def lose_the_mark(self) -> None:
        """Leave the rows as 0.1.0 writes them: it knows no `forgotten`."""
        tally = self.rows.get(TALLY_KEY)
        self.rows.put(TALLY_KEY, {name: value for name, value in tally.items() if not name.startswith("forgotten")})

    @property
    def forgotten(self) -> float:
        """Return how far the partition has forgotten, in hours."""
        return (forgotten_before(read_tally(self.rows)) - START) / HOUR


@pytest.mark.parametrize("before", ["this version", "0.1.0"])
def test_a_callback_that_was_forgotten_stays_refused_after_the_retention_was_raised(before: str) -> None:
    partition = Partition()
    partition.send(delivered("m", 0), 0, 48)
    partition.pass_time(60, 0, 48)
    if before == "0.1.0":
        partition.lose_the_mark()
    partition.send(delivered("m", 0), 60, 192)
    assert partition.begun["m"] == 1
    assert [refused["reason"] for refused in partition.refused] == ["expired"]
    assert "over 48 h old" in partition.refused[0]["detail"] or before == "0.1.0"
    partition.send(delivered("new", 13), 60, 192)
    assert partition.begun["new"] == 1, "it can not have been forgotten"


def test_the_mark_stays_until_stream_time_has_come_as_far_and_never_falls() -> None:
    partition = Partition()
    marks = []
    retentions = [(100, 96), (130, 48), (300, 192), (400, 96)]
    since = 0
    for until, retention in retentions:
        for hour in range(since, until):
            partition.pass_time(hour + 1, hour, retention)
            marks.append(partition.forgotten)
        since = until
    assert marks == sorted(marks)
    assert [marks[until - 1] for until, _ in retentions] == [4, 82, 108, 304]
    assert marks[130:270] == [82] * 140, "raised by 144 hours, so it stays for these"


@pytest.mark.parametrize("seed", range(6))
def test_no_message_begins_twice_while_workers_of_two_versions_and_retentions_share_a_partition(seed: int) -> None:
    """Twelve days of messages with copies at any later hour; each few hours another worker has the partition."""
    chance = random.Random(seed)  # noqa: S311 - the same callbacks for a seed
    partition, sent = Partition(), list[dict[str, Any]]()
    retention, is_old = 48, True
    for hour in range(12 * DAY_HOURS):
        if chance.random() < 0.1:
            raised = hour > 4 * DAY_HOURS and chance.random() < 0.7
            retention, is_old = (192, False) if raised else (chance.choice([48, 72]), True)
        sent.append(delivered(f"m{hour}", hour - chance.choice([0, 0, 0.01, 5, 40])))
        for callback in [sent[-1], *chance.choices(sent, k=4)]:
            noted = {name: value for name, value in read_tally(partition.rows).items() if name.startswith("forgotten")}
            partition.send(callback, hour, retention)
            if is_old:  # it keeps the fields that it does not know as they are
                partition.lose_the_mark()
                partition.rows.put(TALLY_KEY, {**partition.rows.get(TALLY_KEY), **noted})
    begun = {name: times for name, times in partition.begun.items() if name}
    assert begun == {f"m{hour}": 1 for hour in range(12 * DAY_HOURS)}
    assert any(refused["reason"] == "expired" for refused in partition.refused)


def test_a_bucket_that_an_older_version_left_half_forgotten_is_refused_as_a_whole() -> None:
    partition, stage = Partition(), SmsStage(Policy(retention_hours=48))
    sent = [delivered(f"m{n}", 0.1) for n in range(3 * CHUNK_KEYS)]
    outputs_of(stage.apply(partition.rows, 0, 0, envelope(*sent, received_at=at(0.1))))
    partition.pass_time(48, 0, 48)
    partition.send(delivered("last", 48.2), 48.2, 48)
    left = len(partition.rows.with_prefix(b"m:m"))
    assert 0 < left < len(sent)
    partition.lose_the_mark()
    for callback in sent:
        partition.send(callback, 48.2, 192)
    assert len(partition.refused) == len(sent) - left
    assert set(partition.begun) - {None} <= {"last", *(f"other-{hour}" for hour in range(1, 49))}


def test_rows_without_a_date_have_forgotten_nothing_that_is_refused() -> None:
    partition = Partition()
    for hour in range(100):
        undated = sms_callback("Delivered", None, message_id=f"m{hour}", sms_id=f"m{hour}")
        partition.send(undated, hour, 48)
    partition.lose_the_mark()
    assert forgotten_before(read_tally(partition.rows)) == 0
    partition.send(delivered("dated", -40), 100, 192)
    assert partition.begun["dated"] == 1


@pytest.fixture(params=golden_sets(), ids=lambda golden: golden.folder.name)
def stored(request: pytest.FixtureRequest) -> Partition:
    """Give stored state that went on by the rules of then until stream time was 100 hours later."""
    golden: Golden = request.param
    rows, stage = Single.on_from(golden).sms[GENERAL], SmsStage(Policy(retention_hours=traffic.RETENTION_HOURS))
    assert rows.raw(message_key(traffic.FULL))
    for hour in range(1, 101):
        take_in(stage, rows, traffic.plain(traffic.named(f"then-{hour}", GENERAL), "Sent", LEAP + hour), LEAP + hour)
    return Partition(rows)


def test_a_message_that_an_earlier_version_forgot_is_not_counted_again_by_today_s_retention(stored: Partition) -> None:
    assert stored.rows.raw(message_key(traffic.FULL)) is None
    stored.lose_the_mark()
    copy = traffic.full(traffic.FULL, "Delivered", LEAP + 0.2)
    assert take_in(SmsStage(Policy()), stored.rows, copy, LEAP + 100)["reason"] == "expired"


@pytest.mark.parametrize(("age", "reason"), [(traffic.RETENTION_HOURS + 1, "expired"), (95, None)])
def test_stored_state_refuses_what_its_own_retention_refused_and_no_more(
    stored: Partition, age: int, reason: str | None
) -> None:
    stored.lose_the_mark()
    unknown = traffic.plain(traffic.named("unknown", GENERAL), "Delivered", LEAP + 100 - age)
    assert take_in(SmsStage(Policy()), stored.rows, unknown, LEAP + 100).get("reason") == reason


def test_state_of_the_first_version_which_did_not_note_what_it_forgot_refuses_nothing_of_its_own_age() -> None:
    rows = golden_sets()[0].memory("sms")[GENERAL]
    assert forgotten_before(read_tally(rows)) == 0
