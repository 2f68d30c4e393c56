"""
Envelopes: every callback gets one verdict, and a refused callback is whole among the rejections.
"""

import base64
from collections import deque
from typing import Any

import msgspec
import orjson
import pytest

from streams.contract.records import Reason, Repair
from streams.domain.campaign_stage import CampaignStage
from streams.domain.envelope import MAX_DEPTH, Opened, open_envelope
from streams.domain.message import contribution
from streams.domain.policy import Policy
from streams.domain.refusal import Refusal
from streams.domain.routee.bodies import read_body
from streams.domain.sms_stage import PIECE_CALLBACKS, SmsStage
from streams.domain.stage import Ending, UnfinishedError
from tests.builders import ABSENT, NOW, campaign_report, envelope, sms_callback
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.pipeline import Pipeline, partials_in

BODY_MAX_BYTES = 512 * 1024


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"[]", "not-object"),
        (b"{}", "invalid-field"),
        (b'{"received_at":"2026-11-22T12:00:00.000Z"}', "invalid-field"),
        (b'{"received_at":"2026-11-22T12:00:00.000Z","callbacks":{}}', "invalid-field"),
        (b'{"received_at":"noon","callbacks":[]}', "invalid-field"),
    ],
)
def test_an_unreadable_envelope_becomes_one_rejection(value: bytes, reason: str) -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(at=NOW))
    (rejection,) = pipeline.take_in(0, 1, value)
    body = rejection["body"].encode() if rejection["body"] is not None else base64.b64decode(rejection["body_base64"])
    assert (rejection["reason"], rejection["stage"], body) == (reason, "streams", value)
    assert (rejection["partition"], rejection["offset"], rejection["index"]) == (0, 1, 0)
    assert rejection["received_at"] == NOW
    assert pipeline.tally()["accepted"] == 2


def test_a_raw_record_too_long_for_a_rejection_is_cut_and_the_detail_says_so() -> None:
    pipeline = Pipeline()
    (rejection,) = pipeline.take_in(0, 0, b"x" * (BODY_MAX_BYTES + 1))
    assert rejection["body"] == "x" * BODY_MAX_BYTES
    assert rejection["detail"].endswith(f"(cut to {BODY_MAX_BYTES} of {BODY_MAX_BYTES + 1} bytes)")


def test_bytes_that_grow_too_long_as_json_text_are_written_as_base64() -> None:
    pipeline = Pipeline()
    (rejection,) = pipeline.take_in(0, 0, b"\0" * BODY_MAX_BYTES)
    assert base64.b64decode(rejection["body_base64"]) == b"\0" * BODY_MAX_BYTES


@pytest.mark.parametrize(
    ("body", "reason", "detail"),
    [
        ({"messageId": "m", "receivedDate": "x", "direction": "Inbound"}, "unknown-shape", "inbound SMS"),
        ({"trackingId": "t", "status": {}, "body": {}}, "unknown-shape", "Viber message"),
        ({"a": 1}, "unknown-shape", "neither an SMS status nor a campaign report"),
        ([1], "not-object", "expected a JSON object"),
        (None, "not-object", "expected a JSON object"),
        (campaign_report(campaign=7), "invalid-field", "trackingId: expected text of 1 to 256 characters"),
    ],
)
def test_a_body_that_is_no_callback_is_refused_and_the_rest_is_taken_in(body: Any, reason: str, detail: str) -> None:  # noqa: ANN401
    pipeline = Pipeline()
    pipeline.send(sms_callback(message_id="a"), body, sms_callback(message_id="b"))
    (rejection,) = pipeline.rejections
    assert (rejection["reason"], rejection["detail"], rejection["index"]) == (reason, detail, 1)
    assert orjson.loads(rejection["body"]) == body
    assert [r["message_id"] for r in pipeline.revisions] == ["a", "b"]
    assert [r["index"] for r in pipeline.revisions] == [0, 2]


def test_a_refused_body_is_kept_as_it_was_sent_spaces_repeated_keys_and_zeros_included() -> None:
    odd = '{ "a" : 0.00600000, "a":2,\t"b":"\\u0041"}'
    raw = f'{{"x":[1,{{"callbacks":[]}}], "callbacks" : [{{"messageId":"m","status":{{"name":"Sent"}}}} , {odd} ,3],'
    raw += f'"received_at":"{NOW}"}}'
    pipeline = Pipeline()
    pipeline.take_in(0, 0, raw.encode())
    assert [r["body"] for r in pipeline.rejections] == [odd, "3"]


@pytest.mark.parametrize("depth", [248, 800])
def test_a_refused_body_may_be_nested_deeper_than_ingest_lets_through(depth: int) -> None:
    body = '{"a":' + "[" * depth + "]" * depth + "}"
    pipeline = Pipeline()
    pipeline.take_in(0, 0, f'{{"received_at":"{NOW}","callbacks":[{body}]}}'.encode())
    assert [r["body"] for r in pipeline.rejections] == [body]


def test_a_body_that_is_refused_in_an_envelope_read_in_one_step_is_kept_as_it_was_posted() -> None:
    old = orjson.dumps(sms_callback(at="2026-11-01T09:00:00Z", message_id="old"), option=orjson.OPT_INDENT_2)
    new = orjson.dumps(sms_callback(at=NOW))
    pipeline = Pipeline()
    pipeline.take_in(0, 0, f'{{"received_at":"{NOW}","callbacks":['.encode() + new + b" , " + old + b"]}")
    assert [(one["reason"], one["index"], one["body"]) for one in pipeline.rejections] == [("expired", 1, old.decode())]
    assert pipeline.verdicts == {"applied": 1, "rejected": 1}


def test_a_body_that_is_not_utf_8_is_no_json() -> None:
    pipeline = Pipeline()
    body = b'{"messageId":"m-\xff","status":{"name":"Sent"}}'
    pipeline.take_in(0, 0, f'{{"received_at":"{NOW}","callbacks":['.encode() + body + b"]}")
    assert [one["reason"] for one in pipeline.rejections] == ["not-json"]


def test_quotes_and_brackets_in_texts_do_not_end_a_body() -> None:
    body = '{"a":"x\\"]},{[","b":"\\\\"}'
    value = f'{{"received_at":"{NOW}","note":"callbacks","callbacks":[{body}, {body} ]}}'.encode()
    opened = open_envelope(value)
    assert isinstance(opened, Opened)
    assert [bytes(found) for found in opened.bodies] == [body.encode()] * 2


def test_a_key_of_an_envelope_may_be_written_with_escapes() -> None:
    opened = open_envelope(f'{{"received_at":"{NOW}","callb\\u0061cks":[{{}}]}}'.encode())
    assert isinstance(opened, Opened)
    assert [bytes(found) for found in opened.bodies] == [b"{}"]


def nested(levels: int, inside: str = "") -> str:
    """Return JSON nested `levels` deep."""
    return '{"messageId":"m","status":{"name":"Sent"},"x":' + "[" * (levels - 1) + inside + "]" * (levels - 1) + "}"


@pytest.mark.parametrize("inside", ["", '"[[[["', "[],{},[]", '"\udcff"'])
@pytest.mark.parametrize(
    "envelope",
    [
        '{"received_at":"T","callbacks":[BODY]}',
        '{"received_at":"T","callbacks":[{},BODY]}',
        '{"x":[BODY],"callbacks":[],"received_at":"T"}',
    ],
)
@pytest.mark.parametrize(
    ("levels", "kind"), [(MAX_DEPTH - 2, Opened), (MAX_DEPTH - 1, Refusal), (1020, Refusal), (20_000, Refusal)]
)
def test_an_envelope_is_nested_as_deeply_as_every_python_reads_or_refused_whole(
    levels: int, kind: type[Opened | Refusal], envelope: str, inside: str
) -> None:
    body = nested(levels - ("[]" in inside), inside)
    value = envelope.replace("T", NOW).replace("BODY", body).encode(errors="surrogateescape")
    found = open_envelope(value)
    assert isinstance(found, kind)
    assert isinstance(found, Opened) or found.reason is Reason.NOT_JSON


def test_many_brackets_are_not_deep() -> None:
    body = '{"a":[' + "[]," * 2_000 + "[]]}"
    assert isinstance(open_envelope(f'{{"received_at":"{NOW}","callbacks":[{body}],"x":{body}}}'.encode()), Opened)


def test_an_envelope_nested_too_deeply_is_one_rejection() -> None:
    pipeline = Pipeline()
    (rejection,) = pipeline.take_in(0, 0, f'{{"received_at":"{NOW}","callbacks":[{nested(1_000)}]}}'.encode())
    assert (rejection["reason"], rejection["index"]) == ("not-json", 0)
    assert rejection["detail"] == "envelope: expected JSON that every reader takes, nested at most 850 levels deep"


def test_one_body_that_is_not_json_does_not_change_the_verdict_on_others() -> None:
    good = orjson.dumps(sms_callback())
    value = b'{"received_at":"' + NOW.encode() + b'","callbacks":[{"a":"\xff"},' + good + b"]}"
    pipeline = Pipeline()
    rejection, revision = pipeline.take_in(0, 0, value)
    assert (rejection["reason"], rejection["index"]) == ("not-json", 0)
    assert base64.b64decode(rejection["body_base64"]) == b'{"a":"\xff"}'
    assert revision["index"] == 1


def test_an_envelope_without_callbacks_is_taken_in() -> None:
    pipeline = Pipeline()
    assert pipeline.send() == []
    assert pipeline.tally()["accepted"] == 0


def test_a_bug_leaves_out_one_callback_and_its_rows_and_tells_no_content(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(message: Any, status: str) -> Any:  # noqa: ANN401
        if message.message_id == "bad":
            raise KeyError("Hello secret")
        return contribution(message, status)

    monkeypatch.setattr("streams.domain.intake.contribution", broken)
    pipeline = Pipeline()
    pipeline.send(sms_callback(message_id="a"), sms_callback(message_id="bad"), sms_callback(message_id="b"))
    (rejection,) = pipeline.rejections
    assert (rejection["reason"], rejection["index"]) == ("bug", 1)
    assert rejection["detail"].startswith("KeyError in broken, line ")
    assert set(pipeline.sms_rows[0].with_prefix(b"m:")) == {b"m:a", b"m:b"}
    assert pipeline.campaign()["messages"] == 2
    assert pipeline.verdicts == {"applied": 2, "rejected": 1}


def repaired(index: int, *repairs: str, original: bytes | None = b"?") -> dict[str, Any]:
    """Return a note of ingest about one callback."""
    kept = None if original is None else base64.b64encode(original).decode()
    return {"index": index, "repairs": list(repairs), "original": kept}


def noted(notes: Any, *callbacks: Any) -> bytes:  # noqa: ANN401
    return orjson.dumps({"received_at": NOW, "callbacks": list(callbacks), "repaired": notes})


def test_repairs_of_ingest_are_counted_by_name() -> None:
    pipeline = Pipeline()
    notes = [repaired(0, "byte-order-mark", "cut"), repaired(2, "cut", "of-a-later-version")]
    pipeline.take_in(0, 0, noted(notes, *(sms_callback(message_id=name) for name in "abc")))
    assert pipeline.verdicts == {"applied": 3}
    assert pipeline.tally()["notes"] == {"byte-order-mark": 1, "cut": 2, "repaired": 1}


def test_the_name_of_every_repair_is_one_of_the_contract() -> None:
    notes = [repaired(0, *(repair.value for repair in Repair))]
    opened = open_envelope(noted(notes, sms_callback()))
    assert isinstance(opened, Opened)
    assert opened.repaired[0].names == [repair.value for repair in Repair]


def test_repairs_are_counted_once_in_an_envelope_of_several_pieces() -> None:
    pipeline = Pipeline()
    count = 2 * PIECE_CALLBACKS + 10
    notes = [repaired(index, "cut") for index in range(count)]
    pipeline.take_in(0, 0, noted(notes, *(sms_callback(message_id=f"m{index}") for index in range(count))))
    assert pipeline.tally()["notes"] == {"cut": count}


def test_a_repaired_callback_that_is_refused_is_kept_as_it_was_posted() -> None:
    pipeline = Pipeline()
    notes = [repaired(0, "encoding", original=b"\xff\xfe{}"), repaired(1, "value", original=None)]
    pipeline.take_in(0, 0, noted(notes, {"a": 1}, {"b": None}, {"c": 1}))
    first, second, third = pipeline.rejections
    assert base64.b64decode(first["body_base64"]) == b"\xff\xfe{}"
    assert [second["body"], third["body"]] == ['{"b":null}', '{"c":1}']
    assert [one["index"] for one in pipeline.rejections] == [0, 1, 2]


@pytest.mark.parametrize(
    "notes",
    [
        None, 7, "x", {}, [1], [{}], [{"index": "0"}], [{"index": 9, "repairs": ["cut"]}], [{"index": -1}],
        [{"index": 0, "repairs": "cut"}], [{"index": 0, "repairs": [], "original": 7}],
    ],
)  # fmt: skip
def test_notes_of_another_form_cost_no_callback(notes: Any) -> None:  # noqa: ANN401
    pipeline = Pipeline()
    pipeline.take_in(0, 0, noted(notes, sms_callback()))
    assert pipeline.verdicts == {"applied": 1}
    assert pipeline.tally()["notes"] == {}


@pytest.mark.parametrize("original", ["?", "e30", "é", "\ud800".encode("utf-8", "replace").decode()])
def test_an_original_that_is_no_base64_leaves_the_repaired_body_as_evidence(original: str) -> None:
    pipeline = Pipeline()
    pipeline.take_in(0, 0, noted([{"index": 0, "repairs": ["cut"], "original": original}], {"a": 1}))
    assert [one["body"] for one in pipeline.rejections] == ['{"a":1}']


def test_fields_left_out_of_callbacks_are_counted_by_name() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(latency="fast", price="free"), campaign_report(counts=7, total="many"))
    assert pipeline.tally()["notes"] == {"latency": 1, "price": 1, "messageStatuses": 1, "totalRecipients": 1}


def test_every_callback_gets_exactly_one_verdict() -> None:
    pipeline = Pipeline()
    pipeline.send(
        sms_callback("Sent", "2026-11-22T09:00:00Z"),
        sms_callback("Delivered", "2026-11-22T09:00:05Z"),
        sms_callback("Delivered", "2026-11-22T09:00:05Z"),
        sms_callback("Queued", "2026-11-22T09:00:00Z"),
        sms_callback("Failed", "2026-11-22T09:00:09Z"),
        campaign_report(),
        {},
        sms_callback(message_id=ABSENT),
        sms_callback(message_id="old", at="2020-01-01T00:00:00Z"),
    )
    tally = pipeline.tally()
    assert tally["verdicts"] == {"applied": 2, "duplicate": 1, "stale": 1, "conflict": 1, "report": 1, "rejected": 3}
    assert tally["rejected"] == {"unknown-shape": 2, "expired": 1}
    assert tally["accepted"] == 9 == sum(tally["verdicts"].values())


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_a_worker_at_its_limits_is_no_fault_of_the_callback_that_it_reads(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """The record is taken in again from the rows before it, and nothing is rejected."""

    def broken(*_: object) -> Any:  # noqa: ANN401
        raise error

    pipeline = Pipeline()
    pipeline.send(sms_callback(message_id="a"))
    value = envelope(sms_callback(message_id="b"), sms_callback(message_id="c"))
    with monkeypatch.context() as patch:
        patch.setattr("streams.domain.intake.contribution", broken)
        with pytest.raises(UnfinishedError) as raised:
            deque(pipeline.sms_stage.apply(pipeline.sms_rows[0].reloaded(), 0, 1, value))
    assert raised.value.index == 0
    pipeline.take_in(0, 1, value)
    assert pipeline.verdicts == {"applied": 3}


def test_memory_that_runs_out_while_a_body_is_read_is_no_fault_of_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(body: Any, *others: Any) -> Any:  # noqa: ANN401
        if b'"b"' in msgspec.json.encode(body):
            raise MemoryError
        return read_body(body, *others)

    monkeypatch.setattr("streams.domain.sms_stage.read_body", broken)
    value = envelope(sms_callback(message_id="a"), sms_callback(message_id="b"))
    with pytest.raises(UnfinishedError) as raised:
        deque(SmsStage(Policy()).apply(MemoryRows(), 0, 1, value))
    assert raised.value.index == 1


def test_a_callback_that_ended_workers_too_often_is_rejected_untried_and_the_others_are_taken_in() -> None:
    pipeline = Pipeline()
    value = envelope(*(sms_callback(message_id=name) for name in "abc"))
    rows = pipeline.sms_rows[0] = MemoryRows()
    told = pipeline.collected(outputs_of(pipeline.sms_stage.apply(rows, 0, 0, value, 0, Ending(0, 1, 3))))
    (rejection,) = pipeline.rejections
    assert (rejection["reason"], rejection["detail"], rejection["index"]) == (
        "bug",
        "it ended a worker 3 times in a row",
        1,
    )
    assert orjson.loads(rejection["body"])["messageId"] == "b"
    assert len(told) == 3
    assert pipeline.verdicts == {"applied": 2, "rejected": 1}


def test_of_a_record_that_ended_workers_too_often_at_no_known_callback_each_that_is_left_is_rejected() -> None:
    pipeline = Pipeline()
    value = envelope(*(sms_callback(message_id=name, at=None) for name in "abc"))
    rows = pipeline.sms_rows[0] = MemoryRows()
    pipeline.collected(outputs_of(pipeline.sms_stage.apply(rows, 0, 0, value, 1, Ending(0, None, 3))))
    assert [(one["reason"], one["index"], orjson.loads(one["body"])["messageId"]) for one in pipeline.rejections] == [
        ("bug", 1, "b"),
        ("bug", 2, "c"),
    ]
    assert pipeline.tally()["clock"] == 0, "time passes with the next record"


def test_a_line_of_partials_that_ended_workers_too_often_is_rejected_untried() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(), sms_callback(message_id="m2", campaign="c2"))
    lines = partials_in(pipeline.sms_stage.summarize(pipeline.sms_rows[0], 0, pipeline.sms_rows[0].changed))
    value = b"\n".join(lines)
    pipeline.collected(outputs_of(CampaignStage().apply(pipeline.campaign_rows, 0, 7, value, 0, Ending(7, 1, 3))))
    (rejection,) = pipeline.rejections
    assert rejection["reason"] == "bug"
    assert rejection["body"] == lines[1].decode()
    assert len(pipeline.campaign_rows.with_prefix(b"t:")) == 1


def test_memory_that_runs_out_at_a_line_of_partials_is_no_fault_of_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Any:  # noqa: ANN401
        raise MemoryError

    monkeypatch.setattr("streams.domain.campaign_stage.join", broken)
    pipeline = Pipeline()
    pipeline.send(sms_callback(), campaign_report())
    with pytest.raises(UnfinishedError):
        pipeline.settle()


def test_a_record_that_ended_workers_by_being_opened_is_rejected_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> Any:  # noqa: ANN401
        raise MemoryError

    monkeypatch.setattr("streams.domain.sms_stage.open_envelope", broken)
    pipeline, value = Pipeline(), envelope(sms_callback())
    rows = pipeline.sms_rows[0] = MemoryRows()
    with pytest.raises(MemoryError):
        deque(pipeline.sms_stage.apply(rows, 0, 0, value))
    pipeline.collected(outputs_of(pipeline.sms_stage.apply(rows, 0, 0, value, 0, Ending(0, None, 3))))
    (rejection,) = pipeline.rejections
    assert (rejection["reason"], rejection["body"]) == ("bug", value.decode())
