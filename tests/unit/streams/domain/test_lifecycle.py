"""
One SMS: the effect of each callback on it.
"""

from itertools import pairwise

import pytest

from streams.domain.policy import Policy
from tests.builders import ABSENT, NOW, SMS_ID, sms_callback
from tests.unit.streams.domain.pipeline import Pipeline

T1, T2, T3 = "2026-11-22T09:16:54.000Z", "2026-11-22T09:16:55.000Z", "2026-11-22T09:20:00.000Z"
REASON = {"detailedStatus": "Expired", "description": "TTL validity period expired."}


def test_a_first_callback_makes_revision_1_with_every_field_of_the_contract() -> None:
    (record,) = Pipeline().send(sms_callback("Undelivered", T1, parts=2, reason=REASON, latency=27))
    assert record == {
        "sms_key": SMS_ID,
        "message_id": "5b1c9f0a-0000-4000-8000-000000000001",
        "sms_id": SMS_ID,
        "campaign_tracking_id": "c0ffee00-0000-4000-8000-000000000001",
        "campaign_name": "Spring sale",
        "part": 1,
        "parts": 2,
        "label": "spring",
        "recipient": "+306900000001",
        "sender": "Shop",
        "country": "GR",
        "operator": "Cosmote",
        "groups": ["vip"],
        "status": "Undelivered",
        "previous_status": None,
        "is_final": True,
        "detailed_status": "Expired",
        "status_description": "TTL validity period expired.",
        "status_updated_at": T1,
        "queued_at": None,
        "sent_at": None,
        "final_at": T1,
        "latency_seconds": 27,
        "price": "0.04320000",
        "application_name": "default",
        "direction": "Outbound",
        "originating_service": "Sms",
        "message": "Hello",
        "revision": 1,
        "conflicts": 0,
        "first_received_at": NOW,
        "received_at": NOW,
        "partition": 0,
        "offset": 0,
        "index": 0,
        "generation": 1,
        "message_status": "Sent",
        "message_previous_status": None,
        "message_is_final": False,
        "message_parts": 2,
        "message_parts_seen": 1,
        "message_latency_seconds": 27,
        "message_price": "0.04320000",
        "message_revision": 1,
        "sending_at": "2026-11-22T09:16:27.000Z",
        "sent_from": "latency",
        "source": "callback",
    }


def test_each_status_change_is_a_revision_with_the_previous_status() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Queued", T1))
    pipeline.send(sms_callback("Sent", T1), received_at="2026-11-22T12:00:01.000Z")
    pipeline.send(sms_callback("Delivered", T3), received_at="2026-11-22T12:00:02.000Z")
    assert [(r["revision"], r["previous_status"], r["status"]) for r in pipeline.revisions] == [
        (1, None, "Queued"),
        (2, "Queued", "Sent"),
        (3, "Sent", "Delivered"),
    ]
    sms = pipeline.sms()
    assert (sms["queued_at"], sms["sent_at"], sms["final_at"]) == (T1, T1, T3)
    assert (sms["first_received_at"], sms["received_at"], sms["offset"]) == (NOW, "2026-11-22T12:00:02.000Z", 2)
    assert pipeline.verdicts == {"applied": 3}


def test_the_same_callback_again_is_a_duplicate_and_makes_no_revision() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered"))
    assert pipeline.send(sms_callback("Delivered")) == []
    assert pipeline.verdicts == {"applied": 1, "duplicate": 1}


def test_a_late_sent_after_delivered_tells_only_when_it_was_sent() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", T3))
    (record,) = pipeline.send(sms_callback("Sent", T2))
    assert (record["status"], record["previous_status"]) == ("Delivered", "Delivered")
    assert (record["sent_at"], record["final_at"], record["revision"]) == (T2, T3, 2)
    assert pipeline.verdicts == {"applied": 1, "stale": 1}


def test_a_late_repeated_callback_is_a_duplicate_and_one_that_adds_nothing_is_stale() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1), sms_callback("Delivered", T3))
    assert pipeline.send(sms_callback("Sent", T1)) == []
    assert pipeline.send(sms_callback("Sent", T2)) == []
    assert pipeline.verdicts == {"applied": 2, "duplicate": 1, "stale": 1}


def test_a_final_goes_before_a_later_sent() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", T1))
    pipeline.send(sms_callback("Sent", T3))
    assert pipeline.sms()["status"] == "Delivered"


def test_an_unknown_word_is_not_final_and_goes_beside_sent() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Network Error", T2))
    assert (pipeline.sms()["status"], pipeline.sms()["is_final"]) == ("Network Error", False)
    pipeline.send(sms_callback("Sent", T3))
    assert pipeline.sms()["status"] == "Sent"
    pipeline.send(sms_callback("Failed", T1))
    assert pipeline.sms()["status"] == "Failed"
    assert pipeline.tally()["notes"] == {"unknown-status": 1}


@pytest.mark.parametrize(("policy", "status", "final_at"), [("latest", "Undelivered", T3), ("first", "Delivered", T1)])
def test_of_two_finals_the_policy_says_which_stands_and_the_conflict_is_counted(
    policy: str, status: str, final_at: str
) -> None:
    for order in ((("Delivered", T1), ("Undelivered", T3)), (("Undelivered", T3), ("Delivered", T1))):
        pipeline = Pipeline(Policy(conflicting_finals="first" if policy == "first" else "latest"))
        for word, at in order:
            pipeline.send(sms_callback(word, at))
        sms = pipeline.sms()
        assert (sms["status"], sms["final_at"], sms["conflicts"]) == (status, final_at, 1)
        assert pipeline.verdicts == {"applied": 1, "conflict": 1}


@pytest.mark.parametrize("policy", [Policy(), Policy(conflicting_finals="first")])
def test_finals_of_the_same_second_stand_in_the_order_of_the_contract(policy: Policy) -> None:
    words = ["Unsent", "Failed", "Undelivered", "Delivered"]
    for weaker, stronger in pairwise(words):
        for order in ((weaker, stronger), (stronger, weaker)):
            pipeline = Pipeline(policy)
            for word in order:
                pipeline.send(sms_callback(word, T1))
            assert (pipeline.sms()["status"], pipeline.sms()["conflicts"]) == (stronger, 1)


def test_conflicts_count_changes_of_mind_not_repetitions() -> None:
    pipeline = Pipeline()
    for word, at in [("Delivered", T1), ("Failed", T3), ("Delivered", T2), ("Delivered", T1), ("Failed", T3)]:
        pipeline.send(sms_callback(word, at))
    assert pipeline.sms()["conflicts"] == 1
    pipeline.send(sms_callback("Delivered", "2026-11-22T10:00:00Z"))
    assert pipeline.sms()["conflicts"] == 2


def test_the_same_final_at_a_later_date_is_no_conflict() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", T1), sms_callback("Delivered", T2))
    assert (pipeline.sms()["final_at"], pipeline.sms()["conflicts"]) == (T2, 0)
    assert pipeline.verdicts == {"applied": 2}


def test_many_finals_do_not_let_a_row_grow_without_end() -> None:
    pipeline = Pipeline()
    for second in range(200):
        pipeline.send(sms_callback("Failed" if second % 2 else "Delivered", 1_795_300_000 + second))
    assert pipeline.sms()["conflicts"] == 31
    assert pipeline.sms()["final_at"] == "2026-11-21T22:29:59.000Z"


def test_a_later_callback_without_a_reason_does_not_erase_it() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1, reason=REASON))
    pipeline.send(sms_callback("Delivered", T3))
    assert pipeline.sms()["detailed_status"] == "Expired"


def test_a_field_comes_from_the_greatest_callback_that_has_it() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Queued", T1, label="queued", operator="queued"))
    pipeline.send(sms_callback("Delivered", T3, label=ABSENT, operator=ABSENT))
    pipeline.send(sms_callback("Sent", T2, label="sent", operator=ABSENT))
    pipeline.send(sms_callback("Queued", T2, label="late", operator="late"))
    assert (pipeline.sms()["label"], pipeline.sms()["operator"]) == ("sent", "late")


@pytest.mark.parametrize("labels", [("a", "b"), ("b", "a")])
def test_of_two_callbacks_of_the_same_status_and_date_the_greater_value_stands(labels: tuple[str, str]) -> None:
    pipeline = Pipeline()
    pipeline.send(*(sms_callback("Sent", T1, label=label) for label in labels))
    assert pipeline.sms()["label"] == "b"


@pytest.mark.parametrize("latency", [3, 3.0, "3", "3.0"])
def test_a_number_is_written_the_same_in_each_form(latency: object) -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", T3, latency=latency))
    assert repr(pipeline.sms()["latency_seconds"]) == "3"


def test_a_stage_without_a_date_does_not_erase_the_date_of_that_stage() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1), sms_callback("Sent", None), sms_callback("Sent", T2))
    assert (pipeline.sms()["sent_at"], pipeline.sms()["status_updated_at"]) == (T1, T2)


def test_a_callback_that_only_adds_a_field_to_the_status_it_repeats_is_applied() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", T3, operator=ABSENT))
    (record,) = pipeline.send(sms_callback("Delivered", T3))
    assert (record["operator"], record["revision"], record["previous_status"]) == ("Cosmote", 2, "Delivered")
    assert pipeline.verdicts == {"applied": 2}


def test_the_price_is_that_of_the_greatest_callback() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Failed", T3, price=0), sms_callback("Queued", T1, price=0.0432))
    assert pipeline.sms()["price"] == "0.00000000"


def test_a_status_without_a_date_shows_when_it_was_received() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", None))
    sms = pipeline.sms()
    assert (sms["status_updated_at"], sms["final_at"]) == (NOW, None)


def test_a_status_without_a_date_stands_below_the_dated_ones_of_its_rank_only() -> None:
    for policy in (Policy(), Policy(conflicting_finals="first")):
        pipeline = Pipeline(policy)
        pipeline.send(sms_callback("Sent", T1), sms_callback("Delivered", None), sms_callback("Failed", T1))
        assert pipeline.sms()["status"] == "Failed"


FUTURE = "2099-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("policy", "status", "final_at"), [("latest", "Undelivered", FUTURE), ("first", "Delivered", T3)]
)
def test_a_date_in_the_future_counts_as_it_is_between_two_finals(policy: str, status: str, final_at: str) -> None:
    """No clock of ours decides: a wrong clock of the provider can win, and the conflict is counted."""
    pipeline = Pipeline(Policy(conflicting_finals="first" if policy == "first" else "latest"))
    pipeline.send(sms_callback("Undelivered", FUTURE))
    assert (pipeline.sms()["status_updated_at"], pipeline.sms()["final_at"]) == (FUTURE, FUTURE)
    pipeline.send(sms_callback("Delivered", T3))
    sms = pipeline.sms()
    assert (sms["status"], sms["final_at"], sms["conflicts"]) == (status, final_at, 1)
    assert pipeline.tally()["notes"] == {"future-date": 1}


def test_a_queued_or_sent_of_the_future_does_not_stand_above_a_final() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Queued", FUTURE), sms_callback("Sent", FUTURE), sms_callback("Delivered", T1))
    sms = pipeline.sms()
    assert (sms["status"], sms["final_at"], sms["queued_at"], sms["sent_at"]) == ("Delivered", T1, FUTURE, FUTURE)
    pipeline.send(sms_callback("Queued", T1), sms_callback("Sent", T2))
    assert (pipeline.sms()["queued_at"], pipeline.sms()["sent_at"]) == (T1, T2)


@pytest.mark.parametrize("behind_or_ahead", ["1970-01-01T00:00:00.000Z", "2026-11-22T11:00:00.000Z", FUTURE])
def test_a_duplicate_says_nothing_new_whatever_the_clock_that_took_it(behind_or_ahead: str) -> None:
    for order in ((NOW, behind_or_ahead), (behind_or_ahead, NOW)):
        pipeline = Pipeline()
        for received_at in order:
            pipeline.send(sms_callback("Undelivered", T3), received_at=received_at)
            pipeline.send(sms_callback("Delivered", "2026-11-22T12:05:20.000Z"), received_at=received_at)
        assert (pipeline.sms()["status"], pipeline.sms()["conflicts"]) == ("Delivered", 1)
        assert pipeline.verdicts == {"applied": 1, "conflict": 1, "duplicate": 2}


def test_an_ingest_whose_clock_is_an_hour_behind_changes_no_status() -> None:
    pipeline = Pipeline()
    for word, at in (("Delivered", "2026-11-22T11:59:55.000Z"), ("Undelivered", "2026-11-22T11:59:58.000Z")):
        pipeline.send(sms_callback(word, at), received_at="2026-11-22T11:00:00.000Z")
    assert (pipeline.sms()["status"], pipeline.sms()["final_at"]) == ("Undelivered", "2026-11-22T11:59:58.000Z")
    assert pipeline.tally()["notes"] == {"future-date": 2}


def test_a_status_whose_future_date_an_earlier_version_left_out_takes_it_with_the_next_copy() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", None))
    pipeline.send(sms_callback("Delivered", FUTURE), sms_callback("Delivered", FUTURE))
    sms = pipeline.sms()
    assert (sms["status_updated_at"], sms["revision"], sms["conflicts"]) == (FUTURE, 2, 0)


def test_a_detail_that_a_lower_status_brought_first_belongs_to_the_status_that_repeats_it() -> None:
    """The repetition changes no detail, but it says whose the detail is: a later one of lower standing gives way."""
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1, label="a"), sms_callback("Delivered", T3, label=ABSENT))
    pipeline.send(sms_callback("Delivered", T3, label="a"), sms_callback("Sent", T2, label="b"))
    assert pipeline.sms()["label"] == "a"


def test_final_status_only_leaves_the_other_stages_unknown() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", T3))
    sms = pipeline.sms()
    assert (sms["queued_at"], sms["sent_at"], sms["final_at"]) == (None, None, T3)
