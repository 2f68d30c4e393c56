"""
Campaigns: partial counts and reports combine to the same progress in any order and with repetitions.
"""

from typing import Any

import orjson
import pytest

from streams.domain.stage import GENERATION_KEY
from streams.domain.views import campaign_key
from tests.builders import ABSENT, CAMPAIGN_ID, NOW, campaign_report, envelope, sms_callback
from tests.support.memory_rows import MemoryRows
from tests.unit.streams.domain.pipeline import Pipeline, partials_in

LATER = "2026-11-22T12:00:05.000Z"


def send_finals(pipeline: Pipeline, **counts: int) -> None:
    """Send one message per count, spread over two partitions."""
    for status, number in counts.items():
        for n in range(number):
            name = f"{status}-{n}"
            pipeline.send(sms_callback(status, message_id=name, sms_id=name), partition=n % 2)


def test_progress_has_every_field_of_the_contract() -> None:
    pipeline = Pipeline()
    send_finals(pipeline, Delivered=3, Failed=1, Sent=1)
    pipeline.send(campaign_report("Sent", {"Delivered": 3, "Sent": 7}, total=10))
    pipeline.send(campaign_report("Sent", {"Delivered": 4, "Failed": 1, "Sent": 5}, total=10), received_at=LATER)
    assert pipeline.campaign() == {
        "campaign_tracking_id": CAMPAIGN_ID,
        "name": "Spring sale",
        "campaign_status": "Sent",
        "strategy": "OnChange",
        "total_recipients": 10,
        "messages": 5,
        "messages_final": 4,
        "messages_delivered": 3,
        "messages_by_status": {"Delivered": 3, "Failed": 1, "Sent": 1},
        "parts": 5,
        "parts_by_status": {"Delivered": 3, "Failed": 1, "Sent": 1},
        "reported_by_status": {"Delivered": 4, "Failed": 1, "Sent": 5},
        "progress": 0.4,
        "delivery_rate": 0.75,
        "price_total": "0.21600000",
        "reconciliation": "behind",
        "reconciliation_unit": "messages",
        "drift": {"Delivered": -1},
        "is_final": False,
        "conflicts": 0,
        "stale_reports": 0,
        "first_received_at": NOW,
        "last_received_at": LATER,
        "finished_at": None,
        "revision": 4,
        "unordered_reports": 0,
        "generation": 0,
    }


def test_a_campaign_without_reports_has_derived_numbers_only() -> None:
    pipeline = Pipeline()
    send_finals(pipeline, Delivered=1, Sent=1)
    campaign = pipeline.campaign()
    assert (campaign["reconciliation"], campaign["reported_by_status"]) == ("unreported", None)
    assert (campaign["progress"], campaign["is_final"]) == (0.5, False)
    assert campaign["name"] == "Spring sale"


def test_a_campaign_of_finals_only_is_not_final_before_the_number_of_recipients_is_known() -> None:
    pipeline = Pipeline()
    send_finals(pipeline, Delivered=2)
    assert (pipeline.campaign()["progress"], pipeline.campaign()["is_final"]) == (1.0, False)
    pipeline.send(campaign_report("Running", total=2), received_at=LATER)
    assert (pipeline.campaign()["is_final"], pipeline.campaign()["finished_at"]) == (True, LATER)


def test_reports_alone_give_routees_own_progress() -> None:
    pipeline = Pipeline()
    pipeline.send(campaign_report("Running", {"Delivered": 30, "Failed": 10, "Sent": 60}))
    campaign = pipeline.campaign()
    assert (campaign["reconciliation"], campaign["messages"]) == ("underived", 0)
    assert (campaign["progress"], campaign["delivery_rate"]) == (0.4, 0.75)


@pytest.mark.parametrize(
    ("report", "progress"),
    [
        (campaign_report("Scheduled", total=ABSENT), None),
        (campaign_report("Running", {}, total=0), None),
        (campaign_report("Running", {"Delivered": 3, "Sent": 1}, total=ABSENT), 0.75),
        (campaign_report("Running", {"Delivered": 150}), 1.0),
        (campaign_report("Running", {"Delivered": 100, "Sent": 100}), 0.5),
    ],
)
def test_progress_of_reports_alone_is_bounded_and_unknown_without_a_number(
    report: dict[str, Any], progress: float | None
) -> None:
    pipeline = Pipeline()
    pipeline.send(report)
    assert pipeline.campaign()["progress"] == progress


def test_more_messages_than_recipients_do_not_make_more_than_all() -> None:
    pipeline = Pipeline()
    pipeline.send(campaign_report("Running", total=2))
    send_finals(pipeline, Delivered=2, Sent=2)
    assert (pipeline.campaign()["progress"], pipeline.campaign()["is_final"]) == (0.5, False)


@pytest.mark.parametrize("status", ["Finished", "Failed"])
def test_a_campaign_is_final_when_routee_says_so(status: str) -> None:
    pipeline = Pipeline()
    pipeline.send(campaign_report(status), received_at=LATER)
    assert (pipeline.campaign()["is_final"], pipeline.campaign()["finished_at"]) == (True, LATER)


def test_a_campaign_is_final_when_all_recipients_are() -> None:
    pipeline = Pipeline()
    pipeline.send(campaign_report("Sent", total=2))
    pipeline.send(sms_callback(message_id="a", sms_id="a"))
    assert pipeline.campaign()["is_final"] is False
    pipeline.send(sms_callback("Failed", message_id="b", sms_id="b"), received_at=LATER)
    assert (pipeline.campaign()["is_final"], pipeline.campaign()["finished_at"]) == (True, LATER)
    pipeline.send(campaign_report("Finished", total=2), received_at="2026-11-22T13:00:00.000Z")
    assert pipeline.campaign()["finished_at"] == LATER


def test_reported_finals_alone_end_a_campaign_only_when_nothing_is_under_way() -> None:
    pipeline = Pipeline()
    pipeline.send(campaign_report("Sent", {"Delivered": 100, "Sent": 20}))
    assert pipeline.campaign()["is_final"] is False
    pipeline.send(campaign_report("Sent", {"Delivered": 120}))
    assert pipeline.campaign()["is_final"] is True


def test_a_campaign_that_turns_out_larger_is_open_again() -> None:
    pipeline = Pipeline()
    pipeline.send(campaign_report("Sent", total=1), sms_callback(message_id="a", sms_id="a"))
    assert pipeline.campaign()["is_final"] is True
    pipeline.send(sms_callback("Sent", message_id="b", sms_id="b"))
    assert (pipeline.campaign()["is_final"], pipeline.campaign()["finished_at"]) == (False, None)


def test_reports_replace_each_other_and_stale_ones_are_counted() -> None:
    pipeline = Pipeline()
    pipeline.send(campaign_report("Running", {"Delivered": 40, "Sent": 60}))
    pipeline.send(campaign_report("Running", {"Delivered": 20, "Sent": 80}))
    pipeline.send(campaign_report("Running", {"Delivered": 60, "Sent": 40}))
    pipeline.send(campaign_report("Running", {"Delivered": 59, "Sent": 41}))
    campaign = pipeline.campaign()
    assert campaign["reported_by_status"] == {"Delivered": 60, "Sent": 40}
    assert (campaign["stale_reports"], campaign["unordered_reports"]) == (2, 0)


def test_a_report_that_comes_again_after_a_newer_one_is_stale_before_any_final() -> None:
    pipeline = Pipeline()
    pipeline.send(campaign_report("Running", {"Sent": 100}))
    pipeline.send(campaign_report("Running", {"Queued": 80, "Sent": 20}))
    campaign = pipeline.campaign()
    assert (campaign["reported_by_status"], campaign["stale_reports"]) == ({"Sent": 100}, 1)


def test_reports_that_cannot_be_ordered_are_counted() -> None:
    pipeline = Pipeline()
    for counts in ({"Delivered": 3, "Failed": 2}, {"Delivered": 4, "Failed": 1}, {"Delivered": 4, "Failed": 1}):
        pipeline.send(campaign_report("Running", counts))
    campaign = pipeline.campaign()
    assert (campaign["reported_by_status"], campaign["unordered_reports"]) == ({"Delivered": 4, "Failed": 1}, 1)
    assert campaign["stale_reports"] == 0


def test_the_report_may_come_first_or_last() -> None:
    first, last = Pipeline(), Pipeline()
    first.send(campaign_report("Finished", {"Delivered": 1}, total=1))
    for pipeline in (first, last):
        send_finals(pipeline, Delivered=1)
    last.send(campaign_report("Finished", {"Delivered": 1}, total=1))
    assert {**first.campaign(), "revision": 0} == {**last.campaign(), "revision": 0}


def test_conflicts_of_all_messages_are_added() -> None:
    pipeline = Pipeline()
    for name in ("a", "b"):
        pipeline.send(sms_callback("Failed", message_id=name, sms_id=name), partition=ord(name) % 2)
        pipeline.send(sms_callback("Delivered", message_id=name, sms_id=name), partition=ord(name) % 2)
    assert pipeline.campaign()["conflicts"] == 2


def test_replayed_partials_change_nothing_not_even_the_revision() -> None:
    pipeline = Pipeline()
    taken: list[bytes] = []
    for n in range(3):
        pipeline.send(sms_callback(message_id=f"m{n}", sms_id="s"), campaign_report("Running", {"Delivered": n}))
        pipeline.settle()
        rows = pipeline.sms_rows[0]
        taken += partials_in(pipeline.sms_stage.summarize(rows, 0, list(rows.rows)))
    before = {**pipeline.campaign_rows.rows}
    pipeline.partials += taken
    assert pipeline.settle_campaigns() == []
    assert pipeline.campaign_rows.rows == before


def test_counts_of_rebuilt_rows_replace_the_counts_of_lost_rows() -> None:
    """Also when the lost rows contained more callbacks, or when a record of them arrives late."""
    pipeline = Pipeline()
    for n in range(3):
        pipeline.send(sms_callback(message_id=f"m{n}", sms_id="s"))
        pipeline.settle()
    rows = pipeline.sms_rows[0]
    (late,) = partials_in(pipeline.sms_stage.summarize(rows, 0, list(rows.rows)))
    pipeline.sms_rows[0] = anew = MemoryRows()
    anew.put(GENERATION_KEY, 7)
    pipeline.take_in(0, 1, envelope(sms_callback(message_id="m1", sms_id="s")))
    before = pipeline.campaign_rows.get(campaign_key(CAMPAIGN_ID))["revision"]
    assert pipeline.campaign()["messages"] == 1
    assert pipeline.campaign()["revision"] > before
    pipeline.partials.append(late)
    assert pipeline.campaign()["messages"] == 1


def test_partials_bundled_in_one_record_give_the_same_as_one_by_one() -> None:
    alone, bundled = Pipeline(), Pipeline()
    for pipeline in (alone, bundled):
        for number, campaign in enumerate(("a", "b", "a")):
            pipeline.send(sms_callback(message_id=f"m-{number}", campaign=campaign), partition=number)
            pipeline.collected(
                pipeline.sms_stage.summarize(pipeline.sms_rows[number], number, [b"c:" + campaign.encode()])
            )
        pipeline.send(campaign_report("Running", {"Delivered": 2}, campaign="b"), partition=1)
    bundled.take_partials(b"\n".join(bundled.partials))
    bundled.partials.clear()
    for campaign in ("a", "b"):
        one, other = alone.campaign(campaign), bundled.campaign(campaign)
        assert one["messages"] == {"a": 2, "b": 1}[campaign]
        assert one | {"revision": 0} == other | {"revision": 0}


def test_a_record_is_one_revision_however_many_of_its_lines_change_the_campaign() -> None:
    """So a state rebuilt from the last records has the same revisions."""
    pipeline, anew = Pipeline(), Pipeline()
    records = []
    for number in range(10):
        pipeline.send(sms_callback(message_id=f"m-{number}"))
        pipeline.send(campaign_report("Running", {"Delivered": number + 1}))
        pipeline.collected(pipeline.sms_stage.summarize(pipeline.sms_rows[0], 0, pipeline.sms_rows[0].changed))
        records.append(b"\n".join(pipeline.partials))
        pipeline.partials.clear()
        pipeline.take_partials(records[-1])
    assert pipeline.campaign()["revision"] == 10
    anew.partials_taken = 8
    for record in records[-2:]:
        anew.take_partials(record)
    assert anew.campaign()["revision"] == 10


def test_reports_of_a_recreated_source_are_taken_though_its_offsets_restart() -> None:
    pipeline, anew = Pipeline(), Pipeline()
    for _ in range(50):
        pipeline.send(campaign_report("Running", {"Delivered": 1}))
    assert pipeline.campaign()["campaign_status"] == "Running"
    anew.sms_rows[0] = MemoryRows()
    anew.sms_rows[0].put(GENERATION_KEY, 1)
    anew.send(campaign_report("Finished", {"Delivered": 100}))
    pipeline.partials += anew.partials
    assert pipeline.campaign()["campaign_status"] == "Finished"
    assert pipeline.campaign()["is_final"]


def test_an_unreadable_line_does_not_affect_other_lines() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback())
    pipeline.collected(pipeline.sms_stage.summarize(pipeline.sms_rows[0], 0, pipeline.sms_rows[0].changed))
    (rejection,) = pipeline.take_partials(b"{\n" + pipeline.partials.pop())
    assert rejection["reason"] == "bug"
    assert pipeline.campaign()["messages"] == 1


def test_an_unreadable_partial_is_rejected_as_bug_with_its_time_and_place() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(at=NOW))
    pipeline.settle()
    pipeline.partials += [b"{", b'{"partition":0,"place":[1,20,3],"report":{}}', b'{"place":["text",2,3]}']
    pipeline.settle_campaigns()
    told = [
        (record["reason"], record["received_at"], record["detail"], record["partition"], record["index"])
        for record in pipeline.rejections
    ]
    assert told == [
        ("bug", NOW, "JSONDecodeError for offset 1 of campaign.partials[0]", None, None),
        ("bug", NOW, "KeyError for offset 2 of campaign.partials[0]", 1, 3),
        ("bug", NOW, "KeyError for offset 3 of campaign.partials[0]", None, None),
    ]


def test_replayed_reports_change_nothing_and_are_not_counted_as_stale() -> None:
    pipeline = Pipeline()
    for number in (5, 3, 7):
        pipeline.send(campaign_report("Running", {"Delivered": number}))
    reports = [*pipeline.partials]
    pipeline.settle()
    before = pipeline.campaign_rows.get(campaign_key(CAMPAIGN_ID))
    assert before["stale_reports"] == 1
    pipeline.partials += reports
    assert pipeline.settle_campaigns() == []
    assert pipeline.campaign_rows.get(campaign_key(CAMPAIGN_ID)) == before


def test_the_same_partials_give_the_same_revisions_however_they_are_flushed() -> None:
    pipelines = [Pipeline(), Pipeline()]
    for n in range(4):
        for pipeline in pipelines:
            pipeline.send(sms_callback(message_id=f"m{n}", sms_id="s"))
            pipeline.send(campaign_report("Running", {"Delivered": n}))
    often, once = pipelines
    rows = often.sms_rows[0]
    values = [*often.partials, *partials_in(often.sms_stage.summarize(rows, 0, rows.changed))]
    rows.changed.clear()
    often.partials.clear()
    records = []
    for value in values:
        often.partials.append(value)
        records += often.settle_campaigns()
    assert [r["revision"] for r in records] == [1, 2, 3, 4, 5]
    assert once.settle() == records[-1:]


def test_revisions_grow_even_when_the_partials_topic_is_recreated() -> None:
    pipeline = Pipeline()
    send_finals(pipeline, Delivered=3)
    pipeline.settle()
    pipeline.partials_taken = 0
    pipeline.send(sms_callback("Sent", message_id="n", sms_id="n"))
    assert pipeline.campaign()["revision"] == 3


def test_an_unreadable_partial_is_refused_and_changes_nothing() -> None:
    pipeline = Pipeline()
    for value in (b"{", b"[]", b"{}", b'{"partition":0,"counts":{"id":"c"}}', b'{"report":{}}'):
        pipeline.partials.append(value)
    pipeline.settle_campaigns()
    assert [r["reason"] for r in pipeline.rejections] == ["bug"] * 5
    assert pipeline.campaign_rows.rows == {}


def test_rows_read_back_from_the_changelog_are_the_same_rows() -> None:
    pipeline = Pipeline()
    send_finals(pipeline, Delivered=1)
    pipeline.campaign()
    row = pipeline.campaign_rows.get(campaign_key(CAMPAIGN_ID))
    assert orjson.loads(orjson.dumps(row)) == row


def test_spellings_of_one_status_cannot_add_up_beyond_the_largest_json_number() -> None:
    """One forged report must not stop the summaries of its partition."""
    pipeline = Pipeline()
    spellings = ("undelivered", "UNDELIVERED", "Undelivered", "uNDELIVERED", "unDELIVERED", "undELIVERED")
    send_finals(pipeline, Delivered=1)
    pipeline.send(campaign_report("Running", dict.fromkeys(spellings, 2**53), total=10))
    assert pipeline.campaign()["reported_by_status"] == {"Undelivered": 2**53}
    assert pipeline.campaign()["drift"] == {"Delivered": 1, "Undelivered": -(2**53)}
