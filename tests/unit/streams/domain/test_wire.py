"""The quick reader of documented bodies and the patient reader of all others give the same callbacks."""

from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract.dates import read_date
from streams.contract.keys import NIL_ID, NO_ID_MAX_CHARS
from streams.domain.callback import Callback
from streams.domain.policy import Policy
from streams.domain.refusal import Refusal
from streams.domain.routee.shapes import SMS, shape_of
from streams.domain.routee.sms import callback_of, read_callback
from streams.domain.routee.wire import read_plain, read_wire
from tests.builders import ABSENT, NOW, campaign_report, envelope, sms_callback

_RECEIVED = read_date(NOW) or 0
_SAMPLES = Path(__file__).parents[3] / "samples"
_FIELDS = [*sms_callback(), "type", "audioMessage", "duration", "trackingId", "status.name", "status.reason"]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["", "1", "2.5", "x" * 256, "x" * 257, "x" * 4097, " Sent ", "TwoStep", 0, 1, 65_535, 65_536]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def quickly(body: bytes, policy: Policy) -> Callback | Refusal | None:
    sms = read_wire(msgspec.Raw(body))
    return None if sms is None else callback_of(sms, _RECEIVED, policy)


def patiently(body: bytes, policy: Policy) -> Callback | Refusal:
    read = orjson.loads(body)
    assert shape_of(read) == SMS
    return read_callback(read, _RECEIVED, policy)


def same(body: dict[str, Any], policy: Policy) -> bool:
    """Compare both readers; tell whether the quick one took the body at all."""
    raw = orjson.dumps(body)
    quick = quickly(raw, policy)
    if quick is not None:
        assert quick == patiently(raw, policy)
    return quick is not None


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(_FIELDS), JSON | st.just(ABSENT), max_size=4),
    st.sampled_from([Policy(), Policy(recipient="mask"), Policy(message_text="drop")]),
)
def test_both_readers_read_a_body_of_the_documented_form_alike(changes: dict[str, Any], policy: Policy) -> None:
    body = sms_callback(reason={"detailedStatus": "Expired", "description": "text"})
    for name, value in changes.items():
        target, _, field = name.rpartition(".")
        holder = body[target] if target and isinstance(body.get(target), dict) else body
        holder[field if holder is not body else name] = value
    body = {name: value for name, value in body.items() if value is not ABSENT}
    try:
        orjson.dumps(body)
    except TypeError:
        return  # orjson writes neither an integer of more than 64 bits nor a lone surrogate
    same(body, policy)


@pytest.mark.parametrize("file", sorted(_SAMPLES.glob("case[23]*.json")) + sorted(_SAMPLES.glob("sms-*.json")), ids=str)
def test_every_documented_and_captured_sms_callback_is_read_quickly(file: Path) -> None:
    assert same(orjson.loads(file.read_bytes()), Policy())


@pytest.mark.parametrize(
    "change",
    [
        {"latency": "3"}, {"part": "1"}, {"part": 0}, {"groups": "vip"}, {"groups": [""]}, {"price": "0.1"},
        {"label": 7}, {"type": "viber"}, {"audioMessage": None}, {"duration": 3}, {"status": "Sent"}, {"messageId": ""},
        {"label": "x" * 257}, {"status": {"name": "Sent", "reason": "Expired"}}, {"latency": 2**63},
    ],
)  # fmt: skip
def test_any_other_form_is_left_to_the_patient_reader(change: dict[str, Any]) -> None:
    assert quickly(orjson.dumps(sms_callback() | change), Policy()) is None


def test_a_report_is_left_to_the_patient_reader() -> None:
    assert quickly(orjson.dumps(campaign_report()), Policy()) is None


@pytest.mark.parametrize("field", ["label", "message", "groups", "operator", "applicationName"])
def test_empty_means_absent_to_both(field: str) -> None:
    assert same(sms_callback() | {field: [] if field == "groups" else ""}, Policy())


@pytest.mark.parametrize("field", ["smsId", "campaignTrackingId"])
@pytest.mark.parametrize("no_id", ["", "null", "undefined", "0", " ", NIL_ID])
def test_an_id_that_stands_for_none_is_absent_to_both(field: str, no_id: str) -> None:
    """The quick reader leaves short ids to the patient one."""
    assert same(sms_callback() | {field: no_id}, Policy()) is (no_id is NIL_ID)
    assert same(sms_callback() | {field: "x" * (NO_ID_MAX_CHARS + 1)}, Policy())
    assert patiently(orjson.dumps(sms_callback() | {field: no_id}), Policy()) == patiently(
        orjson.dumps(sms_callback() | {field: None}), Policy()
    )


@pytest.mark.parametrize("no_id", ["", "null", "undefined", "0", " ", NIL_ID])
def test_a_body_of_no_message_is_left_to_the_patient_reader(no_id: str) -> None:
    """Unknown fields, which the quick reader does not see, tell whether it is a report."""
    body = sms_callback(message_id=no_id)
    assert quickly(orjson.dumps(body), Policy()) is None
    plain = read_plain(envelope(body))
    if plain is not None:
        assert callback_of(plain.callbacks[0], _RECEIVED, Policy()) == read_callback(body, _RECEIVED, Policy())


@pytest.mark.parametrize(
    "fields",
    [
        b'"label":"a","label":"b"',
        b'"l\\u0061bel":"a"',
        b'"label":"\\u00e9\\ud83d\\ude00"',
        b'"latency":-0',
        b'"latency":1e2',
        b'"latency":2.50',
        b'"price":1E-3',
        b'"price":0.00600000',
        b'"part":1,"part":2',
        b' "part" : 2 ,\n"parts":2',
        b'"x":{"label":"no"},"label":"yes"',
        b'"messageId":"other-message"',
    ],
)
def test_json_in_any_spelling_is_read_alike(fields: bytes) -> None:
    raw = b'{"messageId":"message-01","status":{"name":"Sent","updatedDate":"2026-11-22T09:16:54Z"},' + fields + b"}"
    quick = quickly(raw, Policy())
    assert quick is not None
    assert quick == patiently(raw, Policy())


@pytest.mark.parametrize(
    "record",
    [
        {"received_at": NOW, "callbacks": [], "x": 1},
        {"received_at": NOW, "callbacks": [sms_callback() | {"x": 1}]},
        {"received_at": NOW, "callbacks": [sms_callback(), campaign_report()]},
        {"received_at": NOW, "callbacks": [sms_callback() | {"status": {"name": "Sent", "x": 1}}]},
        {"received_at": NOW, "callbacks": [sms_callback(reason={"x": []})]},
        {"received_at": NOW, "callbacks": [sms_callback() | {"part": "1"}]},
        {"received_at": NOW, "callbacks": [sms_callback()], "repaired": []},
    ],
)
def test_an_envelope_with_anything_else_in_it_is_not_read_in_one_step(record: dict[str, Any]) -> None:
    """An unknown field may be nested deeply, which only `open_envelope` tells."""
    assert read_plain(orjson.dumps(record)) is None


def test_an_envelope_is_read_in_one_step_as_its_bodies_are_one_by_one() -> None:
    bodies = [
        sms_callback(status, message_id=f"message-{number:02}", reason=reason, price=price)
        for number, (status, reason, price) in enumerate(
            product(("Sent", " odd "), (ABSENT, None, {"description": "d"}), (None, 1, 0.5))
        )
    ]
    plain = read_plain(envelope(*bodies))
    assert plain is not None
    read = [callback_of(sms, _RECEIVED, Policy()) for sms in plain.callbacks]
    assert read == [quickly(orjson.dumps(body), Policy()) for body in bodies]


def test_bytes_that_are_not_utf_8_are_left_to_the_patient_reader() -> None:
    body = b'{"messageId":"message-\xff1","status":{"name":"Sent"}}'
    assert quickly(body, Policy()) is None
    assert read_plain(b'{"received_at":"T","callbacks":[' + body + b"]}") is None
