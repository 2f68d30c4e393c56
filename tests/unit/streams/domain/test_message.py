"""
Messages of several parts, and their contribution to their campaign.
"""

import itertools

import orjson
import pytest

from streams.domain.statuses import rolled_up
from tests.builders import ABSENT, CAMPAIGN_ID, sms_callback
from tests.unit.streams.domain.pipeline import Pipeline

T1, T2 = "2026-11-22T09:16:54Z", "2026-11-22T09:16:55Z"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["Delivered"], "Delivered"),
        (["Queued", "Delivered"], "Queued"),
        (["Queued", "Sent"], "Queued"),
        (["Sent", "Failed"], "Sent"),
        (["Network Error", "Failed"], "Network Error"),
        (["Network Error", "Sent"], "Sent"),
        (["Delivered", "Delivered"], "Delivered"),
        (["Delivered", "Undelivered"], "Undelivered"),
        (["Undelivered", "Unsent", "Delivered"], "Unsent"),
        (["Undelivered", "Unsent", "Failed"], "Failed"),
    ],
)
def test_a_message_has_the_status_of_its_least_advanced_or_worst_part(words: list[str], status: str) -> None:
    assert {rolled_up(order) for order in itertools.permutations(words)} == {status}


def test_a_part_that_is_not_seen_counts_as_sent() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", sms_id="a", part=1, parts=2))
    assert (pipeline.message()["status"], pipeline.message()["parts_seen"]) == ("Sent", 1)
    campaign = pipeline.campaign()
    assert campaign["messages_by_status"] == {"Sent": 1}
    assert campaign["parts_by_status"] == {"Delivered": 1}
    pipeline.send(sms_callback("Delivered", sms_id="b", part=2, parts=2))
    campaign = pipeline.campaign()
    assert (campaign["messages"], campaign["parts"]) == (1, 2)
    assert (campaign["messages_by_status"], campaign["parts_by_status"]) == ({"Delivered": 1}, {"Delivered": 2})


def test_a_message_of_two_parts_is_seen_whole() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", sms_id="a", part=1, parts=2, latency=3, price=0.01))
    pipeline.send(sms_callback("Undelivered", sms_id="b", part=2, parts=2, latency=27, price=0.02))
    view = pipeline.message()
    assert {name: view[name] for name in view if name not in ("sms", "message_id")} == {
        "campaign_tracking_id": CAMPAIGN_ID,
        "status": "Undelivered",
        "is_final": True,
        "parts": 2,
        "parts_seen": 2,
        "latency_seconds": 27,
        "price": "0.03000000",
        "previous_status": "Sent",
        "revision": 2,
        "generation": 1,
    }


def test_the_number_of_parts_may_be_told_late() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", T2, sms_id="a", part=1, parts=ABSENT))
    assert pipeline.message()["status"] == "Delivered"
    pipeline.send(sms_callback("Sent", T1, sms_id="a", part=1, parts=2))
    assert pipeline.message()["status"] == "Sent"


def test_callbacks_that_name_neither_sms_nor_part_speak_for_the_whole_message() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", sms_id=ABSENT, part=ABSENT, parts=2))
    assert (pipeline.message()["status"], pipeline.message()["parts"]) == ("Delivered", 1)


def test_a_part_number_above_the_number_of_parts_does_not_hold_a_message_open() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(sms_id="a", part=1, parts=2), sms_callback(sms_id="c", part=3, parts=2))
    assert pipeline.message()["status"] == "Delivered"


def test_a_price_counts_once_per_part_however_often_it_is_repeated() -> None:
    pipeline = Pipeline()
    for word, at in [("Queued", T1), ("Sent", T1), ("Sent", T1), ("Delivered", T2)]:
        for part in (1, 2):
            pipeline.send(sms_callback(word, at, sms_id=f"s{part}", part=part, parts=2, price=0.05))
    assert pipeline.campaign()["price_total"] == "0.10000000"


def test_a_message_moves_into_its_campaign_when_it_learns_of_it() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1, campaign=ABSENT))
    assert pipeline.settle() == []
    pipeline.send(sms_callback("Delivered", T2))
    assert pipeline.campaign()["messages_by_status"] == {"Delivered": 1}


def test_a_message_moves_out_of_a_campaign_that_a_newer_callback_denies() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", T1, campaign="a"), sms_callback("Delivered", T2, campaign="b"))
    assert pipeline.campaign("a")["messages"] == 0
    assert pipeline.campaign("b")["messages"] == 1


def test_campaigns_are_the_same_in_any_case_and_shown_as_first_received() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(message_id="a", sms_id="a"))
    pipeline.send(sms_callback(message_id="b", sms_id="b", campaign=CAMPAIGN_ID.upper()))
    assert (pipeline.campaign()["messages"], pipeline.campaign()["campaign_tracking_id"]) == (2, CAMPAIGN_ID)


def test_single_messages_belong_to_no_campaign() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(campaign=ABSENT), sms_callback(message_id="n", sms_id="n", campaign=""))
    assert pipeline.settle() == []
    assert [r["campaign_tracking_id"] for r in pipeline.revisions] == [None, None]


@pytest.mark.parametrize("characters", [4096, 1000, 400])
def test_a_row_stays_smaller_than_a_kafka_record_for_any_posted_bodies(characters: int) -> None:
    """It has 256 KiB at most, and an SMS more than it has would be too many."""
    pipeline = Pipeline()
    for n in range(1, 101):
        pipeline.send(sms_callback(sms_id=f"s{n}", part=n, message="\x01" * characters))
    (row,) = pipeline.sms_rows[0].with_prefix(b"m:").values()
    kept = len(row[2])
    assert len(orjson.dumps(row)) <= 256 * 1024 < len(orjson.dumps(row)) * (kept + 1) / kept
    assert pipeline.tally()["rejected"] == {"invalid-field": 100 - kept}


def test_the_longest_sms_fits_beside_a_row_of_which_it_is_not_asked() -> None:
    """A longer row is encoded before it is taken in, to see whether it fits; each other final makes it longer."""
    longest = "\x01"
    texts = dict.fromkeys(
        ("campaignName", "label", "to", "from", "country", "operator", "applicationName", "direction"), longest * 256
    )
    reason = {"detailedStatus": longest * 256, "description": longest * 1024}
    pipeline = Pipeline()
    for second, word in enumerate(("Delivered", "Undelivered", "Failed", "Unsent") * 10):
        body = sms_callback(
            word,
            f"2026-11-22T09:16:{second:02}Z",
            message_id=longest * 256,
            sms_id="\x02" * 256,
            campaign=longest * 256,
            reason=reason,
            message=longest * 4096,
            groups=[longest * 256] * 64,
            originatingService=longest * 256,
            **texts,
        )
        pipeline.send(body)
    (row,) = pipeline.sms_rows[0].with_prefix(b"m:").values()
    assert len(row[2]) == 1
    assert len(orjson.dumps(row)) <= (256 - 64) * 1024


def test_a_long_message_of_many_parts_fits() -> None:
    pipeline = Pipeline()
    for n in range(1, 27):
        pipeline.send(sms_callback(sms_id=f"s{n}", part=n, parts=26, message="x" * 26 * 153))
    assert pipeline.message()["status"] == "Delivered"


def test_unknown_words_beyond_a_few_are_counted_together_and_leave_again() -> None:
    pipeline = Pipeline()
    for n in range(100):
        pipeline.send(sms_callback(f"word {n}", T1, message_id=f"m{n}", sms_id="s"))
    counts = pipeline.campaign()["messages_by_status"]
    assert (len(counts), sum(counts.values()), counts["other"]) == (17, 100, 84)
    for n in range(100):
        pipeline.send(sms_callback("Delivered", T2, message_id=f"m{n}", sms_id="s"))
    assert pipeline.campaign()["messages_by_status"] == {"Delivered": 100}
    assert pipeline.campaign()["parts_by_status"] == {"Delivered": 100}


def test_prices_beyond_64_bits_stop_nothing() -> None:
    pipeline = Pipeline()
    for n in range(12):
        pipeline.send(sms_callback(message_id=f"m{n}", sms_id="s", price=9_999_999_999))
    assert pipeline.campaign()["price_total"] == "9999999999.99999999"
    (row,) = pipeline.sms_rows[0].with_prefix(b"c:").values()
    assert row["price"] == str(12 * 9_999_999_999 * 10**8)
