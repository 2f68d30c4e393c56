"""
Properties that hold for every order, every duplication and every replay of callbacks.
"""

import itertools
import random
from collections.abc import Iterable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain.counts import Tallying, no_counts
from streams.domain.message import contribution, find_message, message_key
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from tests.builders import ABSENT, MESSAGE_ID, campaign_report, envelope, sms_callback
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.pipeline import Pipeline, checked, now

QUICK = settings(max_examples=25, deadline=None)
POLICIES = st.sampled_from([Policy(), Policy(conflicting_finals="first")])

WORDS = ["Queued", "Sent", "Delivered", "Undelivered", "Failed", "Unsent", "delivered", "Network Error", "Other"]
DATES = [
    None,
    "2026-11-22T09:16:54Z",
    "2026-11-22T09:16:54.5Z",
    "2026-11-22T12:16:55+03:00",
    1_795_338_000,
    "2099-01-01T00:00:00Z",
]
MAYBE: dict[str, list[Any]] = {
    "label": ["a", "b", ABSENT],
    "operator": ["Cosmote", None],
    "latency": [0, 3, 2.5, ABSENT],
    "price": [0.01, 0.02, ABSENT],
    "groups": [["x"], ["y"], [], ABSENT],
    "campaign": ["c-1", "C-1", "c-2", ABSENT],
    "reason": [{"detailedStatus": "Expired"}, {"description": "text"}, ABSENT],
    "parts": [1, 2, 3, ABSENT],
}


@st.composite
def callbacks_of_a_message(draw: st.DrawFn, max_sms: int = 3, max_size: int = 8) -> list[dict[str, Any]]:
    """Draw callbacks of up to three parts; each may leave out its smsId, a part of its own number never does both."""
    made = []
    for _ in range(draw(st.integers(1, max_size))):
        part = draw(st.integers(1, max_sms))
        fields = {name: draw(st.sampled_from(values)) for name, values in MAYBE.items()}
        sms_id = draw(st.sampled_from([f"sms-{part}", f"SMS-{part}", ABSENT]))
        number = draw(st.sampled_from([1, ABSENT])) if part == 1 else part
        word, at = draw(st.sampled_from(WORDS)), draw(st.sampled_from(DATES))
        made.append(sms_callback(word, at, sms_id=sms_id, part=number, **fields))
    return made


def rows_after(callbacks: Iterable[dict[str, Any]], policy: Policy) -> MemoryRows:
    rows = MemoryRows()
    stage = SmsStage(policy)
    for offset, callback in enumerate(callbacks):
        outputs_of(stage.apply(rows, 0, offset, envelope(callback)))
    return rows


def state_of(rows: MemoryRows) -> list[Any]:
    """Return a message's state without the parts that depend on arrival: keys, revisions, times, places of receipt."""
    message = find_message(rows, message_key(MESSAGE_ID))
    assert message is not None
    parts = (msgspec.structs.asdict(sms) for sms in message.parts)
    provenance = {"key", "revision", "previous", "first_received", "received", "place"}
    states = [{name: value for name, value in part.items() if name not in provenance} for part in parts]
    return sorted(states, key=lambda state: msgspec.json.encode(state["details"]))


def rows_of(counted: dict[str, Tallying]) -> dict[str, dict[str, Any]]:
    return {campaign: dict(counts.row()) for campaign, counts in counted.items()}


def counts_of(rows: MemoryRows) -> dict[bytes, Any]:
    """Return the counts of each non-empty campaign, without the values that depend on arrival."""
    return {
        key: {
            name: value
            for name, value in counts.items()
            if name not in ("id", "v", "taken", "first", "last", "begun", "touched")
        }
        for key, counts in rows.with_prefix(b"c:").items()
        if counts["messages"]
    }


@QUICK
@given(callbacks_of_a_message(max_sms=1, max_size=4), POLICIES)
def test_every_permutation_of_an_sms_callbacks_ends_in_the_same_state(
    callbacks: list[dict[str, Any]], policy: Policy
) -> None:
    expected = rows_after(callbacks, policy)
    for order in itertools.permutations(callbacks):
        rows = rows_after(order, policy)
        assert state_of(rows) == state_of(expected)
        assert counts_of(rows) == counts_of(expected)


@QUICK
@given(callbacks_of_a_message(max_size=10), POLICIES, st.randoms(use_true_random=False))
def test_any_order_and_any_duplication_of_a_messages_callbacks_end_in_the_same_state(
    callbacks: list[dict[str, Any]], policy: Policy, chance: random.Random
) -> None:
    expected = rows_after(callbacks, policy)
    again = [*callbacks, *chance.choices(callbacks, k=len(callbacks))]
    chance.shuffle(again)
    rows = rows_after(again, policy)
    assert state_of(rows) == state_of(expected)
    assert counts_of(rows) == counts_of(expected)


@QUICK
@given(st.lists(callbacks_of_a_message(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_counts_always_equal_a_recount_of_the_rows(messages: list[list[dict[str, Any]]], chance: random.Random) -> None:
    callbacks = [callback | {"messageId": f"m{n}"} for n, message in enumerate(messages) for callback in message]
    chance.shuffle(callbacks)
    rows = rows_after(callbacks, Policy())
    recounted: dict[str, Tallying] = {}
    for key in rows.with_prefix(b"m:"):
        message = find_message(rows, key)
        assert message is not None
        adds = contribution(message, message.status)
        if adds is not None:
            recounted.setdefault(adds[0].lower(), Tallying(no_counts("", 0))).add(adds, 1)
    numbers = ("messages", "parts", "price", "conflicts")
    assert {key[2:].decode(): [counts[n] for n in numbers] for key, counts in counts_of(rows).items()} == {
        campaign: [row[n] for n in numbers] for campaign, row in rows_of(recounted).items()
    }


@QUICK
@given(callbacks_of_a_message(max_size=10))
def test_revisions_count_from_one_without_a_gap_and_each_tells_something(callbacks: list[dict[str, Any]]) -> None:
    pipeline = Pipeline()
    for callback in callbacks:
        pipeline.send(callback)
    by_key: dict[str, list[dict[str, Any]]] = {}
    for record in pipeline.revisions:
        by_key.setdefault(record["sms_key"], []).append(record)
    provenance = ("revision", "previous_status", "received_at", "offset", "index", "message_revision")
    for records in by_key.values():
        assert [record["revision"] for record in records] == list(range(1, len(records) + 1))
        assert [record["previous_status"] for record in records[1:]] == [record["status"] for record in records[:-1]]
        told = [{name: value for name, value in one.items() if name not in provenance} for one in records]
        assert all(earlier != later for earlier, later in itertools.pairwise(told))
    assert {sms["sms_key"]: sms for sms in pipeline.message()["sms"]} == {
        key: now(records[-1], pipeline.revisions) for key, records in by_key.items()
    }


MIXED = st.lists(
    st.one_of(
        callbacks_of_a_message(max_size=3),
        st.sampled_from(
            [
                [campaign_report("Running", {"Delivered": 3})],
                [campaign_report("Finished", {"Delivered": 5}, campaign="c-1")],
                [{}],
                [7],
                [sms_callback(at="yesterday")],
                [sms_callback(at="2020-01-01T00:00:00Z", message_id="old")],
                [],
            ]
        ),
    ),
    min_size=1,
    max_size=8,
)


@QUICK
@given(MIXED)
def test_accepted_equals_the_sum_of_the_verdicts(envelopes: list[list[Any]]) -> None:
    pipeline = Pipeline()
    for callbacks in envelopes:
        pipeline.send(*callbacks)
    tally = pipeline.tally()
    assert tally["accepted"] == sum(map(len, envelopes)) == sum(tally["verdicts"].values())
    assert tally["verdicts"].get("rejected", 0) == sum(tally["rejected"].values()) == len(pipeline.rejections)


@QUICK
@given(MIXED, st.data())
def test_a_crash_after_any_envelope_gives_the_same_outputs_and_rows_again(
    envelopes: list[list[Any]], data: st.DataObject
) -> None:
    stage, rows = SmsStage(Policy()), MemoryRows()
    saved_at = data.draw(st.integers(0, len(envelopes)))
    values = [envelope(*callbacks) for callbacks in envelopes]
    outputs: list[Any] = []
    saved = MemoryRows()
    for offset, value in enumerate(values):
        if offset == saved_at:
            saved = rows.reloaded()
        outputs.append(outputs_of(stage.apply(rows, 0, offset, value)))
    if saved_at == len(values):
        saved = rows.reloaded()
    for offset in range(saved_at, len(values)):
        assert outputs_of(stage.apply(saved, 0, offset, values[offset])) == outputs[offset]
    assert saved.rows == rows.rows


@QUICK
@given(
    st.lists(callbacks_of_a_message(max_sms=1, max_size=3), min_size=1, max_size=6), st.randoms(use_true_random=False)
)
def test_partials_of_several_partitions_in_any_interleaving_give_the_same_campaigns(
    messages: list[list[dict[str, Any]]], chance: random.Random
) -> None:
    straight, mixed = Pipeline(), Pipeline()
    for n, message in enumerate(messages):
        straight.send(*(callback | {"messageId": f"m{n}"} for callback in message), partition=n % 3)
        rows = straight.sms_rows[n % 3]
        straight.collected(straight.sms_stage.summarize(rows, n % 3, rows.changed))
        rows.changed.clear()
    mixed.partials = [*straight.partials, *straight.partials]
    chance.shuffle(mixed.partials)
    straight.settle_campaigns()
    mixed.settle_campaigns()
    for key, row in straight.campaign_rows.with_prefix(b"t:").items():
        assert row["sources"] == mixed.campaign_rows.rows[key]["sources"]


@QUICK
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from([*sms_callback(), *campaign_report(), "status.name", "status.updatedDate", "status.reason"]),
)
def test_no_value_of_any_field_is_a_bug(value: Any, field: str) -> None:  # noqa: ANN401 - JSON is any
    stage, rows = SmsStage(Policy()), MemoryRows()
    sms, report = sms_callback(), campaign_report(counts={"Delivered": 1})
    if field.startswith("status."):
        sms["status"] = sms["status"] | {field.removeprefix("status."): value}
    else:
        sms, report = sms | {field: value}, report | {field: value}
    try:
        record = envelope(sms, report, {"trackingId": "t", "messageStatuses": value})
    except TypeError:
        return  # a lone surrogate is no JSON
    for output in outputs_of(stage.apply(rows, 0, 0, record)):
        assert checked(output).get("reason") != "bug"
    assert "bug" not in rows.get(b"v:")["rejected"]
