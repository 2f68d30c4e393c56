"""
Campaigns whose SMS hang: their reports tell more than the statuses; and campaigns without an alarm.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract.records import DeliveryAlarm
from streams.domain.alarms.hanging import watched_campaigns
from streams.domain.alarms.watch import AlarmWatch
from tests.builders import CAMPAIGN_ID, campaign_report, sms_callback
from tests.support.memory_rows import MemoryRows
from tests.unit.streams.domain.alarms.feed import BEGIN, Campaigns, Line, alarms, tick, told
from tests.unit.streams.domain.pipeline import Pipeline

MOST_CAMPAIGNS = 200

LEARNT = 24
"""Hours with a campaign, after which the usual is known."""
NOW = range(LEARNT, LEARNT + 3)
ONE = f"campaign-hanging:campaign:{LEARNT}-0"
ACCOUNT = "campaign-hanging:account"

_KNOWN: dict[int, dict[bytes, bytes]] = {}


def known_rows(at_once: int = 1) -> MemoryRows:
    """Return the rows after a day of ordinary campaigns."""
    if at_once not in _KNOWN:
        rows = MemoryRows()
        assert told(Campaigns(at_once).lines(range(LEARNT)), rows) == []
        _KNOWN[at_once] = rows.written
    return MemoryRows.of(_KNOWN[at_once])


def after(campaigns: Campaigns, rows: MemoryRows | None = None) -> list[dict[str, Any]]:
    """Return what these campaigns tell after the ordinary ones."""
    return told(campaigns.lines(NOW), known_rows(campaigns.at_once) if rows is None else rows)


def test_a_campaign_whose_sms_hang_is_told_a_quarter_of_an_hour_after_a_report() -> None:
    (opened,) = after(Campaigns(shares={LEARNT: 0.3}))
    assert alarms([opened]) == [(ONE, True, None)]
    record = DeliveryAlarm.model_validate(opened)
    assert (record.kind, record.scope, record.subject) == ("campaign-hanging", "campaign", f"campaign:{LEARNT}-0")
    assert (record.country, record.operator, record.sender, record.routes) == (None, None, None, [])
    # 300 are final in all. They may be the first 200, which are judged at minute 17, but not the first 400.
    assert (opened["since"], opened["until"]) == ("2024-10-05T00:02:00.000Z", "2024-10-05T00:04:00.000Z")
    assert opened["opened_at"] == "2024-10-05T00:19:00.000Z"
    assert (opened["observed"], opened["expected"], opened["n"]) == (0.75, pytest.approx(0.95), 400)
    assert opened["why"] == (
        "Of 400 SMS that Routee handed out 75 % are final after 15 minutes, 95 % are usual;"
        " Routee's own counts know no more: look at the list first, then at its operators"
    )


def test_an_outage_in_the_middle_is_found_from_the_report_on_that_shows_it() -> None:
    lines = []
    for line in Campaigns().lines(NOW):
        if line.get("campaign") == f"{LEARNT}-0" and line["handed"] > 600:
            line |= {"final": 580, "reported": 580}
        lines.append(line)
    opened, *_ = told(lines, known_rows())
    assert (opened["observed"], opened["n"]) == (0.075, 200)
    assert opened["since"] == "2024-10-05T00:08:00.000Z"


def test_statuses_that_do_not_reach_us_are_told_as_that() -> None:
    opened, *_ = after(Campaigns(shares={LEARNT: 0.3}, reported={LEARNT: 0.95}))
    assert opened["why"].endswith("; Routee's own counts have 650 more as final: statuses do not reach us")
    assert opened["judged"]["untold"] == 650


def test_an_alarm_closes_when_what_hung_has_become_final() -> None:
    lines = [
        line | {"final": 950} if line.get("revision") == 30 and line["campaign"] == f"{LEARNT}-0" else line
        for line in Campaigns(shares={LEARNT: 0.3}).lines(NOW)
    ]
    assert alarms(told(lines, known_rows())) == [(ONE, True, None), (ONE, False, "recovered")]


def days_after(lines: Iterable[Line], minutes: int) -> Iterator[Line]:
    """Yield the lines, and the ticks of so many minutes after them."""
    last = 0
    for line in lines:
        yield line
        last = line.get("minute", last)
    yield from (tick(last + minute) for minute in range(1, minutes))


def test_what_hangs_is_told_until_a_day_after_the_campaign_has_ended() -> None:
    early = [
        line | {"ended": True} if line.get("campaign") == f"{LEARNT}-0" and line["revision"] >= 4 else line
        for line in Campaigns(shares={LEARNT: 0.3}).lines(NOW)
    ]
    rows = known_rows()
    assert alarms(told(early, rows)) == [(ONE, True, None)]
    assert rows.get(b"m:" + f"{LEARNT}-0".encode()) is not None
    (closed,) = told((tick((BEGIN + (LEARNT + 3) * 12) * 5 + minute) for minute in range(24 * 60)), rows)
    assert alarms([closed]) == [(ONE, False, "campaign is over")]
    assert closed["closed_at"] == "2024-10-06T00:55:00.000Z"  # a day after its last line
    assert rows.get(b"m:" + f"{LEARNT}-0".encode()) is None


def test_an_ended_campaign_recovers_when_its_statuses_come() -> None:
    lines = [*Campaigns(shares={LEARNT: 0.3}).lines(NOW)]
    late = next(line for line in reversed(lines) if line.get("campaign") == f"{LEARNT}-0")
    lines += [late | {"revision": 99, "final": 950}, tick((BEGIN + (LEARNT + 3) * 12) * 5)]
    rows = known_rows()
    assert alarms(told(lines, rows)) == [(ONE, True, None), (ONE, False, "recovered")]
    assert rows.get(b"m:" + f"{LEARNT}-0".encode()) is None


def test_a_campaign_can_be_muted() -> None:
    rows = known_rows()
    AlarmWatch(rows, {}).take_mute({"mute": f"campaign:{LEARNT}-0", "until": (BEGIN + LEARNT * 12) * 5 + 600})
    records = after(Campaigns(shares={LEARNT: 0.3}), rows)
    assert [one["muted_until"] for one in records] == ["2024-10-05T10:00:00.000Z"]


def test_several_campaigns_at_once_are_an_alarm_of_the_account() -> None:
    lines = days_after(Campaigns(3, shares={LEARNT: 0.3}).lines(NOW[:1]), 25 * 60)
    records = told(lines, known_rows(3))
    opened = [one["alarm"] for one in records if one["is_open"]]
    assert opened.count(ACCOUNT) == 1
    many = next(one for one in records if one["alarm"] == ACCOUNT)
    assert (DeliveryAlarm.model_validate(many).scope, many["observed"], many["n"]) == ("account", 3, 6)
    assert many["why"] == (
        "SMS of 3 of 6 campaigns of the last hour hang or are not told: the cause is here or at the provider, and"
        " not one list"
    )
    assert [(one["closed_because"], one["closed_at"]) for one in records if not one["is_open"]] == [
        *[("campaign is over", "2024-10-06T00:55:00.000Z")] * 3,
        ("most campaigns are over", "2024-10-06T00:55:00.000Z"),
    ]


def hanging_one_after_the_other(well: Mapping[int, int]) -> list[Line]:
    """
    Return the lines of four campaigns that begin to hang one after the other. `well`: campaign to minute of recovery.

    The minutes are those after the begin. The account's alarm opens with the second one.
    """
    begin = (BEGIN + LEARNT * 12) * 5
    line = {"reported": 0, "under_way": False, "ended": False, "generation": 0}
    lines = list[Line]()
    for minute in range(180):
        for one in range(4):
            numbers = {
                2 * one: {"handed": 1_000, "final": 0, "revision": 1},
                well.get(one, -1): {"handed": 1_000, "final": 950, "revision": 2},
            }.get(minute)
            if numbers is not None:
                lines.append({"campaign": f"{LEARNT}-{one}", "at": begin + minute} | line | numbers)
        lines.append(tick(begin + minute))
    return lines


def test_the_accounts_alarm_is_open_as_long_as_campaigns_hang_also_hours_later() -> None:
    assert alarms(told(hanging_one_after_the_other({}), known_rows())) == [
        (ONE, True, None),
        (f"{ONE[:-1]}1", True, None),
        (ACCOUNT, True, None),
    ]


def test_a_campaign_that_hangs_on_is_told_when_the_accounts_alarm_closes() -> None:
    records = told(hanging_one_after_the_other({0: 100, 1: 110, 2: 120}), known_rows())
    assert alarms(records)[3:] == [
        (ONE, False, "recovered"),
        (f"{ONE[:-1]}1", False, "recovered"),
        (ACCOUNT, False, "most campaigns recovered"),
        (f"{ONE[:-1]}3", True, None),
    ]
    assert records[-1]["opened_at"] == "2024-10-05T02:00:00.000Z"


def test_the_accounts_alarm_closes_when_most_other_campaigns_do_not_hang() -> None:
    others = [
        line | {"campaign": f"other-{line['campaign']}"}
        for line in Campaigns(10).told_at((BEGIN + LEARNT * 12) * 5 + 30)
    ]
    lines = list[Line]()
    for line in hanging_one_after_the_other({}):
        lines.append(line)
        if line.get("minute") == (BEGIN + LEARNT * 12) * 5 + 29:
            lines += others
    assert alarms(told(lines, known_rows()))[3:] == [
        (ACCOUNT, False, "most other campaigns do not hang"),
        (f"{ONE[:-1]}2", True, None),
        (f"{ONE[:-1]}3", True, None),
    ]


def test_while_the_accounts_alarm_is_open_no_further_campaign_is_told_by_itself() -> None:
    records = after(Campaigns(3, shares={LEARNT: 0.3, LEARNT + 1: 0.3}, more={"ended": False}))
    assert {one["alarm"] for one in records if one["is_open"]} == {ACCOUNT, *(f"{ONE[:-1]}{one}" for one in range(3))}


def test_one_bad_list_among_others_is_no_alarm_of_the_account() -> None:
    lines = [
        line | {"final": round(0.3 * line["handed"])} if line.get("campaign") == f"{LEARNT}-0" else line
        for line in Campaigns(3).lines(NOW)
    ]
    assert {one["alarm"] for one in told(lines, known_rows(3))} == {ONE}


@pytest.mark.parametrize(
    "campaigns",
    [
        Campaigns(shares={LEARNT: 0.85}),
        Campaigns(shares={LEARNT: 0.3}, more={"under_way": True}),
        Campaigns(shares={LEARNT: 0.3}, more={"at": (BEGIN + LEARNT * 12) * 5 - 60}),
    ],
    ids=["a small fall", "its SMS are told at each change", "told an hour too late"],
)
def test_campaigns_without_an_alarm(campaigns: Campaigns) -> None:
    assert after(campaigns) == []


def test_nothing_is_told_before_the_usual_is_known() -> None:
    assert told(Campaigns(shares=dict.fromkeys(range(10, 20), 0.2)).lines(range(20))) == []


def test_an_account_without_statuses_of_its_sms_is_told_nothing() -> None:
    assert told(Campaigns(shares=dict.fromkeys(range(60), 0.0)).lines(range(60))) == []


def test_while_most_callbacks_come_late_no_campaign_is_judged() -> None:
    lines = [
        line | {"late": 100} if "late" in line else line for line in Campaigns(shares={LEARNT: 0.3}).lines(NOW[:1])
    ]
    assert told(lines, known_rows()) == []


def test_an_older_version_of_a_line_changes_nothing() -> None:
    campaigns = Campaigns(shares={LEARNT: 0.3})
    lines = list[Line]()
    for line in campaigns.lines(NOW):
        lines.append(line)
        if line.get("revision", 0) > 2:
            lines.append(line | {"revision": 1, "final": 10_000, "handed": 20_000})
    assert told(lines, known_rows()) == after(campaigns)


def test_campaigns_beyond_the_bound_are_not_watched_until_others_are_over() -> None:
    rows = MemoryRows()
    watch = AlarmWatch(rows, {})
    watch.take_tick(tick(BEGIN * 5))
    line = next(line for line in Campaigns().lines(range(1)) if "campaign" in line)
    for number in range(MOST_CAMPAIGNS + 5):
        watch.take_campaign(line | {"campaign": str(number)})
    assert len(rows.with_prefix(b"m:")) == MOST_CAMPAIGNS
    told((tick(BEGIN * 5 + minute) for minute in range(1, 26 * 60, 10)), rows)
    assert rows.with_prefix(b"m:") == {}


def test_campaigns_that_are_followed_take_no_place_of_others() -> None:
    rows = known_rows()
    begin = (BEGIN + LEARNT * 12) * 5
    line = {"at": begin, "handed": 100, "final": 0, "reported": 0, "ended": False, "generation": 0}
    followed = [
        {"campaign": f"followed-{number}", "under_way": is_under_way, "revision": revision} | line
        for number in range(MOST_CAMPAIGNS)
        for revision, is_under_way in ((1, number % 2 == 0), (2, True))
    ]
    assert told(followed, rows) == []
    assert (rows.with_prefix(b"m:followed"), watched_campaigns(rows)) == ({}, 0)
    assert alarms(told(Campaigns(shares={LEARNT: 0.3}).lines(NOW), rows)) == [(ONE, True, None)]
    assert watched_campaigns(rows) == 1


def test_a_campaign_with_an_open_alarm_is_watched_until_it_closes_also_when_it_is_followed() -> None:
    rows = known_rows()
    hanging = [line for line in hanging_one_after_the_other({})[:20] if line.get("campaign") in {None, f"{LEARNT}-0"}]
    assert alarms(told(hanging, rows)) == [(ONE, True, None)]
    line = {"campaign": f"{LEARNT}-0", "at": (BEGIN + LEARNT * 12) * 5 + 16, "handed": 1_000, "reported": 0}
    line |= {"under_way": True, "ended": False, "generation": 0}
    told([line | {"revision": 8, "final": 500}, tick((BEGIN + LEARNT * 12) * 5 + 17)], rows)
    assert rows.get(b"m:" + f"{LEARNT}-0".encode()) is not None
    records = told([line | {"revision": 9, "final": 950}, tick((BEGIN + LEARNT * 12) * 5 + 18)], rows)
    assert alarms(records) == [(ONE, False, "recovered")]
    assert rows.get(b"m:" + f"{LEARNT}-0".encode()) is None


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_replay_prefix_and_restart_tell_the_same(data: st.DataObject) -> None:
    share = data.draw(st.sampled_from([0.0, 0.4, 0.7]))
    at_once = data.draw(st.sampled_from([1, 3]))
    lines = data.draw(
        st.sampled_from(
            [
                [*Campaigns(at_once, shares={LEARNT: share}).lines(NOW)],
                hanging_one_after_the_other({}),
                hanging_one_after_the_other({0: 100, 1: 110, 2: 120}),
            ]
        )
    )
    whole_rows = known_rows(at_once)
    whole = told(lines, whole_rows)
    assert whole
    cut = data.draw(st.integers(0, len(lines)))
    rows = known_rows(at_once)
    prefix = told(lines[:cut], rows)
    assert prefix == whole[: len(prefix)]
    restarted = rows.reloaded()
    assert prefix + told(lines[cut:], restarted) == whole
    assert restarted.written == whole_rows.written


def campaign_lines(pipeline: Pipeline) -> list[Line]:
    """Return the lines of campaigns that the alarms read."""
    pipeline.settle()
    return [line for line in map(orjson.loads, pipeline.watched) if "campaign" in line]


def test_a_campaign_is_told_to_the_alarms_when_a_report_has_numbers() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", message_id="a", sms_id="a"))
    assert campaign_lines(pipeline) == []
    pipeline.send(campaign_report("Running", {"Queued": 4, "Sent": 3, "Delivered": 2, "Failed": 1}, total=10))
    (line,) = campaign_lines(pipeline)
    assert line == {
        "campaign": CAMPAIGN_ID,
        "at": line["at"],
        "handed": 6,
        "final": 1,
        "reported": 3,
        "under_way": False,
        "ended": False,
        "revision": line["revision"],
        "generation": 0,
    }
    pipeline.send(sms_callback("Sent", message_id="b", sms_id="b"))
    assert campaign_lines(pipeline)[-1]["under_way"] is True
    pipeline.send(campaign_report("Finished", {"Delivered": 9, "Failed": 1}, total=10))
    assert campaign_lines(pipeline)[-1]["ended"] is True
