"""
Bounded state: messages are forgotten in stream time, their counts are not.
"""

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import orjson
import pytest

from streams.contract.codec import format_time_ms
from streams.contract.dates import read_date
from streams.domain.expiry import BUCKET_MS, advanced, stream_time
from streams.domain.listing import CHUNK_KEYS
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from tests.builders import campaign_report, envelope, sms_callback
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.pipeline import Pipeline

START = read_date("2026-11-22T00:00:00Z") or 0
HOUR = 3_600_000
DAY = 24 * HOUR


def at(ms: int) -> str:
    return format_time_ms(START + ms)


def test_a_callback_of_an_unknown_message_that_is_too_old_is_refused_as_expired() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    pipeline.send(sms_callback(at=at(0), message_id="now", sms_id="now"), received_at=at(0))
    pipeline.send(sms_callback(at=at(-48 * HOUR - 1)), received_at=at(0))
    pipeline.send(sms_callback(at=at(-48 * HOUR), message_id="m", sms_id="m"), received_at=at(0))
    assert [(r["reason"], r["index"]) for r in pipeline.rejections] == [("expired", 0)]
    assert pipeline.tally()["rejected"] == {"expired": 1}
    assert len(pipeline.revisions) == 2


def test_a_known_message_takes_callbacks_of_any_age() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    pipeline.send(sms_callback("Delivered", at(0)), received_at=at(0))
    (record,) = pipeline.send(sms_callback("Sent", at(-10 * DAY)), received_at=at(HOUR))
    assert record["sent_at"] == at(-10 * DAY)


def test_a_message_without_a_date_is_never_expired() -> None:
    pipeline = Pipeline()
    assert pipeline.send(sms_callback(at=None))[0]["revision"] == 1


def passing(pipeline: Pipeline, until: int, since: int = 0) -> None:
    """Advance stream time by a callback of another message every hour."""
    for ms in range(since + HOUR, until + 1, HOUR):
        other = sms_callback("Delivered", at(ms), message_id=f"other-{ms}", sms_id=f"other-{ms}")
        pipeline.send(other, received_at=at(ms))


def test_a_message_is_remembered_for_the_retention_after_its_last_callback_duplicates_included() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    callback = sms_callback("Delivered", at(0))
    pipeline.send(callback, received_at=at(0))
    passing(pipeline, 40 * HOUR)
    pipeline.send(callback, received_at=at(40 * HOUR))
    passing(pipeline, 87 * HOUR, since=40 * HOUR)
    pipeline.send(callback, received_at=at(87 * HOUR))
    assert pipeline.verdicts["duplicate"] == 2
    passing(pipeline, 87 * HOUR + 49 * HOUR, since=87 * HOUR)
    pipeline.send(callback, received_at=at(137 * HOUR))
    assert pipeline.tally()["rejected"] == {"expired": 1}


def test_a_message_that_is_not_final_is_remembered_four_times_as_long() -> None:
    """Its next status may be days away, and would be taken for that of a new message."""
    pipeline = Pipeline(Policy(retention_hours=48))
    pipeline.send(sms_callback("Sent", at(0)), received_at=at(0))
    passing(pipeline, 7 * DAY)
    (record,) = pipeline.send(sms_callback("Delivered", at(7 * DAY)), received_at=at(7 * DAY))
    assert (record["revision"], record["previous_status"]) == (2, "Sent")


def test_a_message_whose_last_part_was_never_seen_is_not_final() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    pipeline.send(sms_callback("Delivered", at(0), part=1, parts=2), received_at=at(0))
    passing(pipeline, 7 * DAY)
    pipeline.send(sms_callback("Delivered", at(7 * DAY), sms_id="s2", part=2, parts=2), received_at=at(7 * DAY))
    assert pipeline.message()["parts_seen"] == 2


@pytest.mark.parametrize(("status", "days"), [("Sent", 9), ("Delivered", 3)])
def test_a_forgotten_message_that_comes_back_with_a_new_date_begins_anew(status: str, days: int) -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    pipeline.send(sms_callback(status, at(0)), received_at=at(0))
    passing(pipeline, days * DAY)
    (record,) = pipeline.send(sms_callback("Failed", at(days * DAY)), received_at=at(days * DAY))
    assert (record["revision"], record["previous_status"]) == (1, None)


def test_a_callback_of_a_forgotten_message_is_refused_when_it_comes_again() -> None:
    """So nothing is counted twice, also when the clocks of Routee and of ingest were wrong."""
    pipeline = Pipeline(Policy(retention_hours=48))
    dates = {"a": at(0), "b": at(-40 * HOUR), "c": at(0)}
    sent = [sms_callback("Delivered", date, message_id=name, sms_id=name) for name, date in dates.items()]
    for callback, received in zip(sent, (at(0), at(0), at(9 * DAY)), strict=True):
        pipeline.send(callback, received_at=received)
    passing(pipeline, 3 * DAY)
    assert not pipeline.sms_rows[0].with_prefix(b"m:").keys() & {b"m:a", b"m:b", b"m:c"}
    pipeline.send(*sent, received_at=at(3 * DAY))
    assert pipeline.tally()["rejected"] == {"expired": 3}


def test_a_message_dated_minutes_after_its_receipt_is_not_forgotten_before_its_own_date_is_too_old() -> None:
    """Clocks differ; a message forgotten a moment too early would begin anew when it is sent again, and count twice."""
    pipeline = Pipeline(Policy(retention_hours=48))
    received, dated = 599_000, 599_000 + 299_000
    edge = sms_callback("Delivered", at(dated), message_id="edge", sms_id="edge")
    pipeline.send(edge, received_at=at(received))
    due = 600_000 + 48 * HOUR
    for moment in range(due, due + 600_000, 60_000):
        name = f"other-{moment}"
        pipeline.send(sms_callback("Delivered", at(moment), message_id=name, sms_id=name), received_at=at(moment))
        pipeline.send(edge, received_at=at(moment))
    assert [record["revision"] for record in pipeline.revisions if record["sms_key"] == "edge"] == [1]


def test_time_that_goes_back_forgets_nothing_and_time_without_traffic_forgets_nothing() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    pipeline.send(sms_callback(at=at(DAY)), received_at=at(DAY))
    pipeline.send(sms_callback(at=at(0)), received_at=at(0))
    assert pipeline.tally()["clock"] == START + DAY
    assert pipeline.verdicts == {"applied": 1, "stale": 1}


def test_a_date_in_the_future_does_not_move_stream_time() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(at=at(0)), received_at=at(0))
    pipeline.send(sms_callback(at="2099-01-01T00:00:00Z"), received_at=at(1))
    assert pipeline.tally()["clock"] == START + 1


def test_an_ingest_whose_clock_is_days_ahead_expires_no_message() -> None:
    """Routee's dates do not confirm its clock; callbacks without a date advance stream time by an hour at most."""
    pipeline = Pipeline(Policy(retention_hours=48))
    pipeline.send(sms_callback("Sent", at(0)), received_at=at(0))
    pipeline.send(sms_callback("Sent", at(HOUR), message_id="m", sms_id="m"), received_at=at(30 * DAY))
    pipeline.send(sms_callback("Sent", None, message_id="n", sms_id="n"), received_at=at(30 * DAY))
    pipeline.send(campaign_report(), {}, received_at=at(30 * DAY))
    assert pipeline.tally()["clock"] == START + HOUR
    (record,) = pipeline.send(sms_callback("Delivered", at(2 * HOUR)), received_at=at(2 * HOUR))
    assert record["revision"] == 2
    assert pipeline.tally()["rejected"] == {"unknown-shape": 1}


@pytest.mark.parametrize(
    ("clock", "received", "after"),
    [
        (0, START, START),
        (START, START + HOUR, START + HOUR),
        (START, START + HOUR + 1, START),
        (START, START - 1, START),
    ],
)
def test_a_time_of_receipt_alone_advances_stream_time_by_an_hour_at_most(clock: int, received: int, after: int) -> None:
    assert advanced(clock, received) == after


@pytest.mark.parametrize(
    ("date", "received", "after"),
    [
        (5 * HOUR, 5 * HOUR, 5 * HOUR),
        (5 * HOUR, 30 * DAY, 5 * HOUR),
        (30 * DAY, 5 * HOUR, 5 * HOUR),
        (-1, 30 * DAY, 0),
        (30 * DAY, -1, 0),
    ],
)
def test_stream_time_follows_the_earlier_of_the_two_clocks_and_never_goes_back(
    date: int, received: int, after: int
) -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(at=at(0), message_id="first", sms_id="first"), received_at=at(0))
    pipeline.send(sms_callback(at=at(date)), received_at=at(received))
    assert pipeline.tally()["clock"] == START + after


def test_callbacks_without_dates_move_stream_time_hour_by_hour() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    for hour in range(100):
        pipeline.send(sms_callback(at=None, message_id=f"m{hour}", sms_id="s"), received_at=at(hour * HOUR))
    assert stream_time(pipeline.tally()) == START + 99 * HOUR
    assert len(pipeline.sms_rows[0].with_prefix(b"m:")) < 52


def remembered(pipeline: Pipeline) -> set[str]:
    """Return the messages that have a row; all messages that only advance time count as one."""
    ids = (key.removeprefix(b"m:").decode() for key in pipeline.sms_rows[0].with_prefix(b"m:"))
    return {"other" if message.startswith("other") else message for message in ids}


def test_a_first_callback_without_a_date_from_a_clock_days_ahead_refuses_and_forgets_nothing_too_early() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    pipeline.send(sms_callback("Sent", None, message_id="n", sms_id="n"), received_at=at(30 * DAY))
    pipeline.send(sms_callback("Sent", at(0)), received_at=at(0))
    assert stream_time(pipeline.tally()) == START
    (record,) = pipeline.send(sms_callback("Delivered", at(DAY)), received_at=at(DAY))
    assert record["revision"] == 2
    assert pipeline.tally()["rejected"] == {}
    passing(pipeline, 7 * DAY, since=DAY)
    assert remembered(pipeline) == {"n", "other"}, "an unfinished message is remembered for eight days"
    passing(pipeline, 10 * DAY, since=7 * DAY)
    assert remembered(pipeline) == {"other"}, "time goes on from the first date"


def test_a_first_date_long_ago_is_passed_over_at_once() -> None:
    """2.9 million empty buckets lie between, and each callback pays for two."""
    pipeline = Pipeline(Policy(retention_hours=48))
    ancient = sms_callback("Delivered", "1971-01-01T00:00:00Z", message_id="old", sms_id="old")
    pipeline.send(ancient, received_at=at(0))
    pipeline.send(sms_callback("Sent", at(0), message_id="new", sms_id="new"), received_at=at(0))
    passing(pipeline, 12 * HOUR)
    assert remembered(pipeline) == {"new", "other"}
    passing(pipeline, 200 * HOUR, since=12 * HOUR)
    assert remembered(pipeline) == {"other"}
    assert START + 200 * HOUR - pipeline.tally()["oldest"] * BUCKET_MS <= 49 * HOUR


FORGED = "2099-01-01T00:00:00Z"


def copies_of(pipeline: Pipeline, sms_key: str) -> int:
    """Return how many messages an SMS was taken for: each begins with revision 1."""
    return sum(record["revision"] == 1 for record in pipeline.revisions if record["sms_key"] == sms_key)


@pytest.mark.parametrize("ahead", [301_000, 2 * HOUR, 47 * HOUR, 48 * HOUR, 90 * HOUR])
@pytest.mark.parametrize("late", [False, True])
def test_a_message_dated_ahead_is_remembered_until_its_own_date_is_too_old(ahead: int, late: bool) -> None:  # noqa: FBT001
    """Sent again every four hours until it is refused: it begins once. A late `Sent` makes no difference."""
    pipeline = Pipeline(Policy(retention_hours=48))
    edge = sms_callback("Delivered", at(ahead), message_id="edge", sms_id="edge")
    pipeline.send(edge, received_at=at(0))
    if late:
        pipeline.send(sms_callback("Sent", at(-HOUR), message_id="edge", sms_id="edge"), received_at=at(HOUR))
    passing(pipeline, 44 * HOUR)
    for moment in range(48 * HOUR, ahead + 48 * HOUR, 4 * HOUR):
        passing(pipeline, moment, since=moment - 4 * HOUR)
        pipeline.send(edge, received_at=at(moment))
    passing(pipeline, ahead + 200 * HOUR, since=ahead + 48 * HOUR)
    pipeline.send(edge, received_at=at(ahead + 200 * HOUR))
    assert copies_of(pipeline, "edge") == 1
    assert pipeline.tally()["rejected"] == {"expired": 1}
    assert "edge" not in remembered(pipeline)


@pytest.mark.parametrize("again", [False, True])
def test_a_date_ahead_that_the_row_does_not_keep_counts_too(again: bool) -> None:  # noqa: FBT001
    """The row keeps the earliest `Sent`; a copy of the later one, which lies ahead, must not begin the message anew."""
    pipeline = Pipeline(Policy(retention_hours=48))
    known = [sms_callback(word, at(0), message_id="edge", sms_id="edge") for word in ("Sent", "Delivered")]
    ahead = sms_callback("Sent", at(20 * HOUR), message_id="edge", sms_id="edge")
    pipeline.send(*known, ahead, *(known if again else []), received_at=at(0))
    passing(pipeline, 60 * HOUR)
    pipeline.send(ahead, received_at=at(60 * HOUR))
    assert (copies_of(pipeline, "edge"), pipeline.tally()["rejected"]) == (1, {})


@pytest.mark.parametrize("word", ["Sent", "Delivered"])
def test_a_forged_date_keeps_no_row_for_longer_than_none_does(word: str) -> None:
    lives = []
    for date in (FORGED, None):
        pipeline = Pipeline(Policy(retention_hours=48))
        pipeline.send(sms_callback(at=at(0), message_id="other", sms_id="other"), received_at=at(0))
        pipeline.send(sms_callback(word, date), received_at=at(0))
        hours = 0
        while len(remembered(pipeline)) > 1:
            hours += 1
            passing(pipeline, hours * HOUR, since=(hours - 1) * HOUR)
        lives.append(hours)
    assert lives[0] == lives[1]
    assert 48 <= lives[0] <= 4 * 48 + 1


def test_what_an_ingest_whose_clock_was_never_set_took_is_still_known_when_the_clock_is_right() -> None:
    """Stream time leaps over decades, and duplicates of the messages come: none counts twice, all are forgotten."""
    pipeline = Pipeline(Policy(retention_hours=48))
    sent = [sms_callback("Delivered", at(n), message_id=f"m{n}", sms_id=f"m{n}") for n in range(3)]
    for n, callback in enumerate(sent):
        pipeline.send(callback, received_at=f"1999-01-01T00:0{n}:00.000Z")
    passing(pipeline, 40 * HOUR)
    pipeline.send(*sent, received_at=at(40 * HOUR))
    assert [copies_of(pipeline, f"m{n}") for n in range(3)] == [1, 1, 1]
    assert pipeline.verdicts["duplicate"] == 3
    passing(pipeline, 200 * HOUR, since=40 * HOUR)
    pipeline.send(*sent, received_at=at(200 * HOUR))
    assert pipeline.tally()["rejected"] == {"expired": 3}
    assert remembered(pipeline) == {"other"}


@pytest.mark.parametrize("wrong", ["1970-01-01T00:00:00.000Z", "1999-12-31T23:59:59.999Z", "2099-01-01T00:00:00.000Z"])
def test_an_ingest_whose_clock_is_years_wrong_neither_stops_time_nor_forgets_anything(wrong: str) -> None:
    """Every second record is from it, with dated, undated and other callbacks."""
    pipeline = Pipeline(Policy(retention_hours=48))
    callback = sms_callback("Delivered", at(0))
    pipeline.send(callback, received_at=wrong)
    for hour in range(1, 48):
        undated = sms_callback("Sent", None, message_id=f"other-u{hour}", sms_id="u")
        pipeline.send(undated, campaign_report(), received_at=wrong)
        passing(pipeline, hour * HOUR, since=(hour - 1) * HOUR)
        pipeline.send(callback, received_at=wrong if hour % 2 else at(hour * HOUR))
        assert stream_time(pipeline.tally()) == START + hour * HOUR
    assert pipeline.verdicts["duplicate"] == 47
    assert pipeline.tally()["rejected"] == {}
    passing(pipeline, 300 * HOUR, since=47 * HOUR)
    assert remembered(pipeline) == {"other"}
    assert len(pipeline.sms_rows[0].with_prefix(b"m:")) < 100


@pytest.mark.parametrize("alone", [None, -HOUR, 915_148_800_000 - START], ids=["none", "behind", "1999"])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_message_begins_twice_and_none_is_refused_at_first_under_wrong_clocks(alone: int | None, seed: int) -> None:
    """
    Messages of nine days, dated up to two days before and after their time, with copies at any later hour.

    Each envelope comes from an ingest that is right, an hour behind or at 1999; at first from one of them alone.
    """
    chance = random.Random(seed)  # noqa: S311 - the same callbacks for a seed
    rows, stage = MemoryRows(), SmsStage(Policy(retention_hours=48))
    sent: list[dict[str, Any]] = []
    begun: Counter[str] = Counter()
    for hour in range(9 * 24):
        word, date = chance.choice(["Sent", "Delivered"]), hour * HOUR + chance.choice([-40, -2, 0, 0, 3, 47]) * HOUR
        sent.append(sms_callback(word, at(date), message_id=f"m{hour}", sms_id=f"m{hour}"))
        for turn, callback in enumerate([sent[-1], *chance.choices(sent, k=4)]):
            clock = chance.choice([0, -HOUR, 915_148_800_000 - START])
            received = at(hour * HOUR + (clock if alone is None or hour > 40 else alone))
            for output in outputs_of(stage.apply(rows, 0, 5 * hour + turn, envelope(callback, received_at=received))):
                begun[orjson.loads(output.value).get("sms_key")] += output.topic.suffix == "sms.status"
    del begun[None]
    assert begun == {f"m{hour}": 1 for hour in range(9 * 24)}
    assert len(rows.with_prefix(b"m:")) < 8 * 24 + 48


@pytest.mark.parametrize("messages", [1, 3 * CHUNK_KEYS])
@pytest.mark.parametrize("word", ["Sent", "Delivered"])
def test_messages_of_a_makeshift_time_years_ahead_are_forgotten_too(word: str, messages: int) -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    undated = [sms_callback(word, None, message_id=f"m{n}", sms_id=f"m{n}") for n in range(messages)]
    pipeline.send(*undated, received_at=FORGED)
    passing(pipeline, 40 * HOUR)
    assert len(remembered(pipeline)) == messages + 1
    pipeline.send(*undated, received_at=at(40 * HOUR))
    assert pipeline.verdicts["duplicate"] == messages
    passing(pipeline, 600 * HOUR, since=40 * HOUR)
    assert remembered(pipeline) == {"other"}
    assert "ahead" not in pipeline.tally()


@pytest.mark.parametrize("days_behind", [0, 1, 5, 9, 15, 40])
def test_a_first_date_behind_a_long_makeshift_time_leaves_no_message_behind(days_behind: int) -> None:
    pipeline, end = Pipeline(Policy(retention_hours=48)), 20 * DAY
    for hour in range(0, end // HOUR, 6):
        word = "Sent" if hour % 12 else "Delivered"
        # An hour and no more, so time goes on: the campaign's reports come in between.
        pipeline.send(sms_callback(word, None, message_id=f"m{hour}", sms_id="s"), received_at=at(hour * HOUR))
        for between in range(hour + 1, hour + 6):
            pipeline.send(campaign_report(), received_at=at(between * HOUR))
    before = remembered(pipeline)
    pipeline.send(sms_callback(at=at(end - days_behind * DAY), message_id="old", sms_id="old"), received_at=at(end))
    assert len(before - remembered(pipeline)) <= 1, "the one that is due at the end"
    passing(pipeline, end + (12 + days_behind // 4) * DAY, since=end)
    assert remembered(pipeline) == {"other"}
    assert "ahead" not in pipeline.tally()
    assert len(pipeline.sms_rows[0].with_prefix(b"x:")) < 60


def test_a_makeshift_time_that_the_first_date_lies_a_little_behind_forgets_nothing_too_early() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    pipeline.send(sms_callback("Delivered", None), received_at=at(30 * HOUR))
    passing(pipeline, 77 * HOUR)
    assert len(remembered(pipeline)) == 2
    passing(pipeline, 80 * HOUR, since=77 * HOUR)
    assert remembered(pipeline) == {"other"}


def _simulate(rows: MemoryRows, per_step: int, days: int) -> list[int]:
    """Send each message's Queued at once and its Delivered an hour later; return how many rows there are each hour."""
    stage = SmsStage(Policy(retention_hours=48))
    sizes = []
    for hour in range(days * 24):
        now = at(hour * HOUR)
        batch = [
            sms_callback(word, now, message_id=f"{start}-{n}", sms_id="s")
            for word, start in (("Queued", hour), ("Delivered", hour - 1))
            for n in range(per_step)
            if start >= 0
        ]
        outputs_of(stage.apply(rows, 0, hour, envelope(*batch, received_at=now)))
        sizes.append(len(rows.keys()))
    return sizes


@pytest.mark.parametrize("per_step", [1, 60])
def test_over_a_simulated_week_the_number_of_rows_stays_flat_and_counts_stay_whole(per_step: int) -> None:
    rows = MemoryRows()
    sizes = _simulate(rows, per_step, days=7)
    full = 48 + 24 + 2  # a cell is closed a day after the last message of its window may be forgotten
    assert max(sizes[full:]) <= max(sizes[:full])
    assert len(rows.with_prefix(b"m:")) <= 51 * per_step
    (counts,) = rows.with_prefix(b"c:").values()
    assert counts["messages"] == {"Queued": per_step, "Delivered": (7 * 24 - 1) * per_step}


def test_the_work_per_envelope_is_bounded_after_a_long_silence() -> None:
    rows, stage = MemoryRows(), SmsStage(Policy(retention_hours=48))
    known = 3 * CHUNK_KEYS
    first = [sms_callback(at=at(0), message_id=f"m{n}", sms_id="s") for n in range(known)]
    outputs_of(stage.apply(rows, 0, 0, envelope(*first, received_at=at(0))))
    left = [known]
    for offset in range(1, 400):
        late = sms_callback(at=at(30 * DAY), message_id="late", sms_id="late")
        outputs_of(stage.apply(rows, 0, offset, envelope(late, received_at=at(30 * DAY))))
        left.append(len(rows.keys(b"m:")))
    assert max(before - after for before, after in pairwise(left)) <= CHUNK_KEYS
    assert set(rows.with_prefix(b"m:")) == {b"m:late"}
    assert len(rows.with_prefix(b"x:")) == 1
    assert rows.with_prefix(b"s:") == {}
