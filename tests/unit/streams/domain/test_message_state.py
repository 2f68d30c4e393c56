"""
The state of a message in the records of its SMS: on the topic, over HTTP, and after a replay.

The roll-up is stated here again, from the records alone.
"""

import random
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract.codec import format_time_ms
from streams.domain.policy import Policy
from streams.domain.stage import GENERATION_KEY
from streams.domain.views import campaign_key, campaign_view, find_sms, message_key, message_view
from tests.builders import ABSENT, CAMPAIGN_ID, MESSAGE_ID, campaign_report, sms_callback
from tests.support.memory_rows import MemoryRows
from tests.unit.streams.domain.pipeline import Pipeline, newest_of_message
from tests.unit.streams.domain.test_properties import callbacks_of_a_message

FINALS: Final = ("Delivered", "Undelivered", "Failed", "Unsent")
WORST_FIRST: Final = ("Failed", "Unsent", "Undelivered", "Delivered")
HOUR: Final = 3_600_000


def rolled_up(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the state of a message from records on the topic, in their order."""
    newest = {record["sms_key"]: record for record in records}
    parts = [*newest.values()]
    told = [one["parts"] or 1 for one in parts if one["sms_id"] or one["part"]]
    expected = max([len(parts), *told])
    words = [one["status"] for one in parts] + ["Sent"] * (expected > len(parts))
    prices = [Decimal(one["price"]) for one in parts if one["price"] is not None]
    latencies = [one["latency_seconds"] for one in parts if one["latency_seconds"] is not None]
    status = whole(words)
    return {
        "message_id": parts[0]["message_id"],
        "message_status": status,
        "message_is_final": status in FINALS,
        "message_parts": expected,
        "message_parts_seen": len(parts),
        "message_latency_seconds": max(latencies, default=None),
        "message_price": f"{sum(prices):.8f}" if prices else None,
        "message_revision": sum(one["revision"] for one in parts),
    }


def whole(words: Sequence[str]) -> str:
    if "Queued" in words:
        return "Queued"
    if "Sent" in words:
        return "Sent"
    unknown = [word for word in words if word not in FINALS]
    return min(unknown) if unknown else next(word for word in WORST_FIRST if word in words)


def of_view(view: dict[str, Any] | None) -> dict[str, Any]:
    """Return the answer over HTTP under the names of the fields of a record."""
    assert view is not None
    names = ("status", "is_final", "parts", "parts_seen", "latency_seconds", "price", "revision", "previous_status")
    return {"message_id": view["message_id"], **{f"message_{name}": view[name] for name in names}}


@settings(max_examples=300, deadline=None)
@given(callbacks_of_a_message(max_sms=4, max_size=12), st.randoms(use_true_random=False))
def test_each_record_has_the_state_of_its_message_and_the_newest_is_what_http_says(
    callbacks: list[dict[str, Any]], chance: random.Random
) -> None:
    callbacks = [*callbacks, *chance.choices(callbacks, k=len(callbacks))]
    chance.shuffle(callbacks)
    pipeline, restart = Pipeline(), chance.randrange(len(callbacks))
    for at, callback in enumerate(callbacks):
        if at == restart and at:
            pipeline.sms_rows[0] = pipeline.sms_rows[0].reloaded()
        pipeline.send(callback)
    told, previous = pipeline.revisions, None
    for number, record in enumerate(told, 1):
        expected = rolled_up(told[:number]) | {"message_previous_status": previous}
        assert {name: record[name] for name in expected} == expected
        assert record["message_revision"] == number
        assert record["generation"] == 1
        previous = record["message_status"]
    newest = newest_of_message(told)
    assert of_view(message_view(pipeline.sms_rows[0], message_key(MESSAGE_ID))) == newest
    for record in told:
        found = find_sms(pipeline.sms_rows[0], record["sms_key"])
        assert found
        assert {name: found[name] for name in newest} == newest


@pytest.mark.parametrize(
    ("callbacks", "expected"),
    [
        pytest.param([{"sms_id": ABSENT, "part": ABSENT, "parts": 2}] * 2, ("Delivered", 1, 1), id="neither"),
        pytest.param([{"sms_id": ABSENT, "part": 1, "parts": 2}] * 2, ("Sent", 2, 1), id="the part alone"),
        pytest.param([{"sms_id": "a", "part": ABSENT, "parts": 2}], ("Sent", 2, 1), id="the smsId alone"),
        pytest.param(
            [{"sms_id": ABSENT, "part": ABSENT, "parts": 2}, {"sms_id": ABSENT, "part": 2, "parts": 2}],
            ("Delivered", 2, 2),
            id="neither, then the second",
        ),
        pytest.param(
            [{"sms_id": ABSENT, "part": 3, "parts": ABSENT}, {"sms_id": "b", "part": 1, "parts": ABSENT}],
            ("Delivered", 2, 2),
            id="two of an unknown number",
        ),
        pytest.param(
            [{"sms_id": name, "part": 1, "parts": 1} for name in ("a", "b", "c")], ("Delivered", 3, 3), id="three whole"
        ),
        pytest.param(
            [{"sms_id": "a", "part": 1, "parts": 3}, {"sms_id": "b", "part": 2, "parts": 2}],
            ("Sent", 3, 2),
            id="numbers that differ",
        ),
    ],
)
def test_a_message_whose_parts_are_told_in_an_odd_way_has_one_state_everywhere(
    callbacks: list[dict[str, Any]], expected: tuple[str, int, int]
) -> None:
    pipeline = Pipeline()
    for second, fields in enumerate(callbacks):
        pipeline.send(sms_callback("Delivered", f"2026-11-22T09:16:{second:02d}Z", **fields))
    newest, view = newest_of_message(pipeline.revisions), pipeline.message()
    status, parts, seen = expected
    assert (newest["message_status"], newest["message_parts"], newest["message_parts_seen"]) == expected
    assert (view["status"], view["parts"], view["parts_seen"]) == expected
    assert newest["message_is_final"] is view["is_final"] is (status == "Delivered")
    assert pipeline.campaign()["messages_by_status"] == {status: 1}
    assert (parts == seen) is (status == "Delivered")


def test_the_price_of_a_message_stays_within_what_tables_hold() -> None:
    pipeline = Pipeline()
    for part in range(1, 4):
        pipeline.send(sms_callback(sms_id=f"s{part}", part=part, parts=3, price="9999999999.99999999"))
    assert pipeline.revisions[-1]["message_price"] == "9999999999.99999999"


def at(hours: float) -> str:
    return format_time_ms(1_795_349_000_000 + int(hours * HOUR))


def test_a_message_that_begins_anew_has_a_higher_generation_and_wins() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    for word in ("Queued", "Sent", "Delivered"):
        pipeline.send(sms_callback(word, at(0), message_id="m-1"), received_at=at(0))
    pipeline.send(sms_callback("Queued", at(60), message_id="m-2", sms_id="s-2"), received_at=at(60))
    assert message_view(pipeline.sms_rows[0], message_key("m-1")) is None
    pipeline.send(sms_callback("Queued", at(61), message_id="m-1"), received_at=at(61))
    records = [record for record in pipeline.revisions if record["message_id"] == "m-1"]
    assert [record["revision"] for record in records] == [1, 2, 3, 1]
    assert [record["generation"] for record in records] == [1, 1, 1, 3]
    newest = max(records, key=lambda record: (record["generation"], record["revision"]))
    assert newest["status"] == newest_of_message(records)["message_status"] == "Queued"


def test_rows_made_anew_give_out_higher_generations_than_all_before() -> None:
    """The rows begin with the length of the topics: each message that began wrote one record at least."""
    before, after = Pipeline(), Pipeline()
    for number in range(7):
        before.send(
            *(sms_callback(word, message_id=f"m-{number}", sms_id=f"s-{number}") for word in ("Sent", "Failed"))
        )
    after.sms_rows[0] = MemoryRows()
    after.sms_rows[0].put(GENERATION_KEY, len(before.revisions))
    for number in reversed(range(7)):
        after.send(sms_callback("Queued", message_id=f"m-{number}", sms_id=f"s-{number}"))
    assert min(one["generation"] for one in after.revisions) > max(one["generation"] for one in before.revisions)


def test_the_generation_goes_on_where_the_rows_do() -> None:
    pipeline = Pipeline()
    pipeline.sms_rows[0] = MemoryRows()
    pipeline.sms_rows[0].put(GENERATION_KEY, 40)
    for number in range(4):
        pipeline.send(sms_callback(message_id=f"m-{number}", sms_id=f"s-{number}"))
        pipeline.sms_rows[0] = pipeline.sms_rows[0].reloaded()
    assert [record["generation"] for record in pipeline.revisions] == [41, 42, 43, 44]


def test_a_message_that_0_1_0_began_keeps_generation_0_and_later_ones_are_above() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", message_id="old", sms_id="old"))
    rows = pipeline.sms_rows[0]
    rows.put(b"m:old", rows.get(b"m:old")[:3])
    tally = rows.get(b"v:")
    del tally["generation"]
    rows.put(b"v:", tally)
    pipeline.send(sms_callback("Delivered", message_id="old", sms_id="old"))
    pipeline.send(sms_callback("Delivered", message_id="new", sms_id="new"))
    _, old, new = pipeline.revisions
    assert (old["generation"], old["revision"], old["message_previous_status"]) == (0, 2, "Sent")
    assert new["generation"] == 1


def test_a_campaign_has_the_generation_of_its_rows() -> None:
    pipeline = Pipeline()
    pipeline.campaign_rows.put(GENERATION_KEY, 12)
    pipeline.send(sms_callback(), campaign_report())
    (progress,) = pipeline.settle()
    assert progress["generation"] == 12
    assert campaign_view(pipeline.campaign_rows, campaign_key(CAMPAIGN_ID)) == progress
