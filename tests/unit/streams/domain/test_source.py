"""
Pulled and redriven statuses: applied like any other, told as what they are, and never the reason to count twice.
"""

from typing import Any, Final

import msgspec
import orjson
import pytest

from streams.contract.dates import NO_DATE
from streams.contract.records import Envelope, Reason, Source
from streams.domain.message import message_key, read_message
from streams.domain.policy import Policy
from tests.builders import ABSENT, MESSAGE_ID, NOW, envelope, sms_callback
from tests.unit.streams.domain.pipeline import Pipeline

QUEUED, SENT, FINAL = "2026-11-22T09:16:50Z", "2026-11-22T09:16:51Z", "2026-11-22T09:16:54Z"
NINE_DAYS_LATER: Final = "2026-12-01T12:00:00.000Z"


def pulled(*callbacks: Any, received_at: str = NOW, source: Any = "pull") -> bytes:  # noqa: ANN401 - any JSON
    return orjson.dumps({**orjson.loads(envelope(*callbacks, received_at=received_at)), "source": source})


def redriven(*callbacks: Any, received_at: str, posted_at: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return callbacks that were posted at one time and redriven at another."""
    told = {"source": "redrive", "attempt": 1, "first_received_at": posted_at, "rejected": [[0, 7]] * len(callbacks)}
    return orjson.dumps({**orjson.loads(envelope(*callbacks, received_at=received_at)), **told})


def take_in(pipeline: Pipeline, value: bytes) -> list[dict[str, Any]]:
    return pipeline.take_in(0, len(pipeline.log), value)


def sources(pipeline: Pipeline) -> list[tuple[str, str]]:
    return [(record["status"], record["source"]) for record in pipeline.revisions]


def test_a_revision_tells_how_its_callback_came() -> None:
    """One SMS told, pulled and told again; what says nothing new makes no revision and changes no source."""
    pipeline = Pipeline()
    pipeline.send(sms_callback("Queued", QUEUED))
    take_in(pipeline, pulled(sms_callback("Sent", SENT)))
    assert pipeline.message()["sms"][0]["source"] == "pull"
    pipeline.send(sms_callback("Sent", SENT))
    assert pipeline.message()["sms"][0]["source"] == "pull"
    pipeline.send(sms_callback("Delivered", FINAL))
    take_in(pipeline, pulled(sms_callback("Delivered", FINAL)))
    assert sources(pipeline) == [("Queued", "callback"), ("Sent", "pull"), ("Delivered", "callback")]
    assert pipeline.message()["sms"][0]["source"] == "callback"


def test_a_second_pull_of_the_same_changes_nothing() -> None:
    """The counts of the campaign and the records stay as they are."""
    pipeline = Pipeline()
    value = pulled(sms_callback("Delivered", FINAL), sms_callback("Sent", SENT, message_id="m-2", sms_id="s-2"))
    take_in(pipeline, value)
    before = pipeline.settle()
    assert len(pipeline.revisions) == 2
    take_in(pipeline, value)
    assert len(pipeline.revisions) == 2
    assert pipeline.settle() == []
    assert [progress["messages"] for progress in before] == [2]


def test_an_sms_never_heard_of_begins_with_its_pulled_status() -> None:
    """Within the memory of the state it counts, as if its callback had come."""
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", FINAL, message_id="m-2", sms_id="s-2"))
    take_in(pipeline, pulled(sms_callback("Delivered", FINAL)))
    assert sources(pipeline) == [("Delivered", "callback"), ("Delivered", "pull")]
    assert not pipeline.rejections


def test_a_forgotten_message_is_not_begun_anew() -> None:
    """After nine days its old status is refused by its date, and one without a date because it has none."""
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", FINAL))
    other = sms_callback("Delivered", NINE_DAYS_LATER, message_id="m-2", sms_id="s-2")
    for _ in range(3):
        pipeline.send(other, received_at=NINE_DAYS_LATER)
    take_in(pipeline, pulled(sms_callback("Delivered", FINAL), received_at=NINE_DAYS_LATER))
    take_in(pipeline, pulled(sms_callback("Delivered", ABSENT), received_at=NINE_DAYS_LATER))
    assert [rejection["reason"] for rejection in pipeline.rejections] == [Reason.EXPIRED, Reason.EXPIRED]
    assert "pulled" in pipeline.rejections[-1]["detail"]
    assert [record["message_id"] for record in pipeline.revisions].count(MESSAGE_ID) == 1


def test_an_undated_pulled_status_of_a_known_message_is_applied() -> None:
    """And an undated callback of an unknown message begins it, as ever: Routee told it just now."""
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", SENT))
    take_in(pipeline, pulled(sms_callback("Delivered", ABSENT)))
    pipeline.send(sms_callback("Delivered", ABSENT, message_id="m-2", sms_id="s-2"))
    assert sources(pipeline) == [("Sent", "callback"), ("Delivered", "pull"), ("Delivered", "callback")]
    assert not pipeline.rejections


@pytest.mark.parametrize("part", [ABSENT, 1])
def test_the_form_of_2016_merges_with_the_callback_without_an_sms_id(part: Any) -> None:  # noqa: ANN401
    """The callback had no smsId, the tracking object has one: it is the same SMS, and keeps its key and campaign."""
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", SENT, sms_id=ABSENT, part=part))
    take_in(pipeline, pulled(sms_callback("Delivered", FINAL, part=ABSENT, campaign=ABSENT, label=ABSENT)))
    (first, last) = pipeline.revisions
    assert (first["sms_key"], last["sms_key"]) == (f"{MESSAGE_ID}#1", f"{MESSAGE_ID}#1")
    assert last["sms_id"] is not None
    assert (last["campaign_tracking_id"], last["label"]) == (first["campaign_tracking_id"], "spring")
    assert last["message_parts_seen"] == 1


@pytest.mark.parametrize("source", ["callback", "import", 5, None, {}, ["pull"]])
def test_any_other_source_is_that_of_a_callback(source: Any) -> None:  # noqa: ANN401
    """A later version may know more of them; none costs a status."""
    pipeline = Pipeline()
    take_in(pipeline, pulled(sms_callback(), source=source))
    assert sources(pipeline) == [("Delivered", "callback")]


def test_the_reader_before_takes_a_pulled_envelope() -> None:
    """Its reader of unusual envelopes passes unknown fields over; its model reads the envelope without the source."""

    class Before(msgspec.Struct):
        received_at: str | int | float | None
        callbacks: list[msgspec.Raw]
        repaired: msgspec.Raw = msgspec.Raw()

    value = pulled(sms_callback())
    assert len(msgspec.json.decode(value, type=Before).callbacks) == 1
    assert Envelope.model_validate_json(value).source is Source.PULL
    assert Envelope.model_validate_json(envelope(sms_callback())).source is Source.CALLBACK


def test_a_revision_made_by_the_version_before_is_not_taken_for_pulled() -> None:
    """That version keeps the field that it does not know as it was."""
    pipeline = Pipeline()
    take_in(pipeline, pulled(sms_callback("Sent", SENT)))
    rows, key = pipeline.sms_rows[0], message_key(MESSAGE_ID)
    message, _ = read_message(rows.raw(key) or b"")
    (sms,) = message.parts
    by_the_one_before = msgspec.structs.replace(sms, status="Delivered", date=NO_DATE, since=1, revision=2)
    rows.put(key, msgspec.structs.replace(message, parts=[by_the_one_before]))
    assert pipeline.message()["sms"][0]["source"] == "callback"


def test_withholding_and_pulling_go_together() -> None:
    """A pulled body is treated like any other body: its number is masked."""
    pipeline = Pipeline(Policy(recipient="mask"))
    take_in(pipeline, pulled(sms_callback()))
    (record,) = pipeline.revisions
    assert (record["recipient"], record["source"]) == ("***001", "pull")


def test_a_redriven_callback_is_taken_in_as_of_its_first_receipt() -> None:
    """Its record, the campaign and the time of an undated status have the first receipt, and it is told as redriven."""
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", SENT, message_id="m-2", sms_id="s-2"), received_at="2026-11-23T12:00:00.000Z")
    value = redriven(
        sms_callback("Delivered", ABSENT), received_at="2026-11-23T13:00:00.000Z", posted_at="2026-11-22T12:00:00.000Z"
    )
    take_in(pipeline, value)
    record = pipeline.revisions[-1]
    assert record["source"] == "redrive"
    assert {record[name] for name in ("received_at", "first_received_at", "status_updated_at")} == {NOW}
    (progress,) = pipeline.settle()
    assert (progress["first_received_at"], progress["last_received_at"]) == (NOW, "2026-11-23T12:00:00.000Z")
    take_in(pipeline, value)
    assert pipeline.settle() == []
    assert len(pipeline.revisions) == 2


def test_a_later_callback_is_told_as_a_callback_again() -> None:
    """Of the three sources in turn, each is told at its own revision."""
    pipeline = Pipeline()
    take_in(pipeline, redriven(sms_callback("Queued", QUEUED), received_at=NOW, posted_at=NOW))
    take_in(pipeline, pulled(sms_callback("Sent", SENT)))
    pipeline.send(sms_callback("Delivered", FINAL))
    take_in(pipeline, redriven(sms_callback("Failed", "2026-11-22T09:17:00Z"), received_at=NOW, posted_at=NOW))
    assert [source for _, source in sources(pipeline)] == ["redrive", "pull", "callback", "redrive"]
    assert pipeline.message()["sms"][0]["source"] == "redrive"


@pytest.mark.parametrize("date", [FINAL, ABSENT])
def test_a_redriven_callback_of_a_forgotten_message_is_expired(date: Any) -> None:  # noqa: ANN401
    """Nine days later: by its date, or by its first receipt when it has no date. A fresh one without a date is new."""
    pipeline = Pipeline()
    pipeline.send(sms_callback("Delivered", FINAL))
    other = sms_callback("Delivered", NINE_DAYS_LATER, message_id="m-2", sms_id="s-2")
    for _ in range(3):
        pipeline.send(other, received_at=NINE_DAYS_LATER)
    take_in(pipeline, redriven(sms_callback("Failed", date), received_at=NINE_DAYS_LATER, posted_at=NOW))
    assert [rejection["reason"] for rejection in pipeline.rejections] == [Reason.EXPIRED]
    fresh = sms_callback("Delivered", ABSENT, message_id="m-3", sms_id="s-3")
    take_in(pipeline, redriven(fresh, received_at=NINE_DAYS_LATER, posted_at="2026-11-30T12:00:00.000Z"))
    assert (len(pipeline.rejections), pipeline.revisions[-1]["message_id"]) == (1, "m-3")
    assert [record["message_id"] for record in pipeline.revisions].count(MESSAGE_ID) == 1


@pytest.mark.parametrize("posted_at", ["yesterday", None, {}, [], "2026-11-29T12:00:00.000Z"])
def test_a_first_receipt_that_cannot_be_is_the_time_of_the_redrive(posted_at: Any) -> None:  # noqa: ANN401
    """One that is missing, unreadable or later than the redrive costs no callback."""
    pipeline = Pipeline()
    take_in(pipeline, redriven(sms_callback(), received_at=NOW, posted_at=posted_at))
    assert [record["received_at"] for record in pipeline.revisions] == [NOW]
