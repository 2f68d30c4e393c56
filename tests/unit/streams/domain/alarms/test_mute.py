"""
Mutes: the alarms of a muted subject are judged and recorded, and their records say that notices are withheld.
"""

from typing import Any

import orjson
import pytest

from streams.domain.alarm_stage import AlarmStage
from streams.domain.alarms.mute import Mute, mute_line, mute_of, normal_subject
from streams.domain.alarms.notice import notice_of
from streams.domain.alarms.watch import AlarmWatch, told_mutes
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.alarms.feed import BEGIN, Account, Line, fault, tick
from tests.unit.streams.domain.alarms.test_watch import BOTH, BROKE, A, known_rows
from tests.unit.streams.domain.pipeline import checked

MOST_MUTES = 500

ROUTE, SENDER, ACCOUNT = '["GR","A"]', '["GR","A","acme"]', "account"
BREAKS = Account(shares=fault(BROKE, BROKE + 12, [A], BOTH, 0.4))
NOW = BROKE * 5


def muted_after(mutes: dict[int, tuple[str, int]], account: Account = BREAKS, windows: int = 24) -> list[Line]:
    """Return the records of these windows, with mutes before the ticks of these minutes after the beginning."""
    rows, records = known_rows(), list[Line]()
    watch = AlarmWatch(rows, {})
    for line in [*account.cells(BROKE - 1), *account.lines(BROKE, BROKE + windows)]:
        if "cell" in line:
            watch.take_cell(line)
            continue
        if mute := mutes.get(line["minute"] - NOW):
            records += watch.take_mute({"mute": mute[0], "until": NOW + mute[1]})
        records += watch.take_tick(line)
    return records


def shown(records: list[Line]) -> list[tuple[bool, bool]]:
    """Return of each record whether the alarm is open, and whether it is muted."""
    return [(one["is_open"], one["muted_until"] is not None) for one in records]


def told(records: list[Line]) -> list[str]:
    """Return what people are told."""
    return [orjson.loads(notice.body)["type"] for one in records if (notice := notice_of(one)) is not None]


def test_an_alarm_during_a_mute_is_recorded_and_not_told() -> None:
    records = muted_after({0: (ROUTE, 600)})
    assert shown(records) == [(True, True), (False, True)]
    assert told(records) == []


def test_when_a_mute_ends_an_alarm_that_is_still_open_is_told() -> None:
    records = muted_after({0: (ROUTE, 40)})
    assert shown(records) == [(True, True), (True, False), (False, False)]
    assert told(records) == ["alarm.opened", "alarm.closed"]


def test_unmuting_tells_the_open_alarms_at_once() -> None:
    records = muted_after({0: (ROUTE, 600), 30: (ROUTE, 0), 31: (ROUTE, 0)})
    assert shown(records) == [(True, True), (True, False), (False, False)]


def test_people_who_were_told_of_an_opening_are_told_of_the_closing() -> None:
    records = muted_after({20: (ROUTE, 600), 25: (ROUTE, 700)})
    assert shown(records) == [(True, False), (True, True), (True, True), (False, False)]
    assert told(records) == ["alarm.opened", "alarm.closed"]
    assert len({one["revision"] for one in records}) == len(records)


@pytest.mark.parametrize(
    ("subject", "covers"), [(ROUTE, True), (SENDER, True), (ACCOUNT, False), ('["GR","B"]', False)]
)
def test_a_mute_of_a_route_is_one_of_its_senders_too(subject: str, covers: bool) -> None:  # noqa: FBT001
    account = Account(shares=fault(BROKE, BROKE + 6, [A], ["acme"], 0.2))
    assert shown(muted_after({0: (subject, 600)}, account, 6)) == [(True, covers)]


def test_a_mute_survives_a_restart_and_goes_with_its_end() -> None:
    rows = MemoryRows()
    AlarmWatch(rows, {}).take_tick(tick(BEGIN * 5))
    AlarmWatch(rows, {}).take_mute({"mute": ROUTE, "until": BEGIN * 5 + 10})
    AlarmWatch(rows, {}).take_mute({"mute": ACCOUNT, "until": BEGIN * 5 + 3})
    assert told_mutes(rows) == [
        {"subject": ROUTE, "until": "2024-10-04T00:10:00.000Z"},
        {"subject": ACCOUNT, "until": "2024-10-04T00:03:00.000Z"},
    ]
    AlarmWatch(rows, {}).take_tick(tick(BEGIN * 5 + 5))
    assert [one["subject"] for one in told_mutes(rows)] == [ROUTE]


def test_a_mute_whose_end_is_over_is_none() -> None:
    rows = MemoryRows()
    AlarmWatch(rows, {}).take_tick(tick(BEGIN * 5))
    assert AlarmWatch(rows, {}).take_mute({"mute": ROUTE, "until": BEGIN * 5}) == []
    assert told_mutes(rows) == []


def test_mutes_are_bounded_and_the_one_that_ends_first_goes() -> None:
    rows = MemoryRows()
    for number in range(MOST_MUTES + 2):
        AlarmWatch(rows, {}).take_mute({"mute": f'["GR","{number}"]', "until": BEGIN + (number + 7) % MOST_MUTES})
    kept = {one["subject"] for one in told_mutes(rows)}
    assert len(kept) == MOST_MUTES
    assert f'["GR","{MOST_MUTES + 1}"]' in kept
    assert f'["GR","{MOST_MUTES - 7}"]' not in kept


def test_a_mute_that_is_given_up_tells_its_open_alarms() -> None:
    rows = known_rows()
    watch = AlarmWatch(rows, {})
    watch.take_tick(tick(NOW))
    watch.take_mute({"mute": ROUTE, "until": NOW + 600})
    records = list[Line]()
    for line in [*BREAKS.cells(BROKE - 1), *BREAKS.lines(BROKE, BROKE + 8)]:
        if "cell" in line:
            watch.take_cell(line)
        else:
            records += watch.take_tick(line)
    assert shown(records) == [(True, True)]
    told_again = [
        record
        for number in range(MOST_MUTES)
        for record in watch.take_mute({"mute": f'["DE","{number}"]', "until": NOW + 1_000})
    ]
    assert shown(told_again) == [(True, False)]
    assert told(told_again) == ["alarm.opened"]


def test_a_sender_is_muted_from_the_first_of_its_mutes_to_the_last() -> None:
    """By the later of two alone an alarm that opened during the former would be told when it closes."""
    mutes = {SENDER: Mute(10, 100), ROUTE: Mute(50, 200)}
    assert mute_of(mutes, SENDER) == Mute(10, 200)
    assert mute_of(mutes, ROUTE) == Mute(50, 200)
    assert mute_of(mutes, ACCOUNT) is None


def test_a_mute_is_a_line_of_the_topic_and_a_bad_one_is_rejected() -> None:
    rows, stage = MemoryRows(), AlarmStage()
    lines = [
        orjson.dumps(tick(BEGIN * 5)),
        mute_line(ROUTE, BEGIN * 5 + 60),
        b'{"mute":"account"}',
        b'{"mute":[],"until":9}',
    ]
    outputs = [output for at, line in enumerate(lines) for output in outputs_of(stage.apply(rows, 0, at, line))]
    assert [checked(output)["reason"] for output in outputs] == ["bug", "bug"]
    assert [one["subject"] for one in told_mutes(rows)] == [ROUTE]


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("account", "account"),
        ('["GR", "Cosmote"]', '["GR","Cosmote"]'),
        ('["","","x"]', '["","","x"]'),
        ("campaign:c-1",) * 2,
    ],
)
def test_a_subject_is_written_as_in_the_alarm(text: str, subject: str) -> None:
    assert normal_subject(text) == subject


@pytest.mark.parametrize(
    "text", ["", "GR", "campaign:", "[]", '["GR"]', '["GR",1]', '["a","b","c","d"]', "{}", "12", '"account"', "[["]
)
def test_another_text_is_refused_with_the_form_of_a_subject(text: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=r'^`account` or JSON as the alarm has it is expected: \["country"'):
        normal_subject(text)
