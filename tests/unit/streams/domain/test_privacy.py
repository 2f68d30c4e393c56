import hashlib
import hmac
from itertools import permutations
from typing import Literal

import orjson
import pytest

from streams.domain.policy import Policy
from streams.domain.privacy import kept_recipient, shown_recipient
from streams.domain.sms_stage import SmsStage
from tests.builders import campaign_report, sms_callback
from tests.unit.streams.domain.pipeline import Pipeline

_NUMBER = "+306900000001"


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        (Policy(recipient="keep"), _NUMBER),
        (Policy(recipient="mask"), "***001"),
        (Policy(recipient="hmac", hmac_key="k"), hmac.new(b"k", _NUMBER.encode(), hashlib.sha256).hexdigest()),
        (Policy(recipient="drop"), None),
    ],
)
def test_recipients_are_shown_as_the_policy_says(policy: Policy, shown: str | None) -> None:
    pipeline = Pipeline(policy)
    pipeline.send(sms_callback(to=_NUMBER))
    assert pipeline.sms()["recipient"] == shown
    if policy.recipient != "keep":
        assert _NUMBER.encode() not in orjson.dumps(list(pipeline.sms_rows[0].rows.values()))


@pytest.mark.parametrize("later", [("Delivered", "2026-11-22T10:00:00Z"), ("Queued", "2026-11-22T08:00:00Z")])
@pytest.mark.parametrize(
    "policy",
    [
        Policy(recipient="mask", message_text="drop"),
        Policy(recipient="hmac", hmac_key="k", message_text="drop"),
        Policy(recipient="drop", message_text="drop"),
    ],
    ids=lambda policy: policy.recipient,
)
def test_data_kept_before_is_withheld_with_the_next_callback(policy: Policy, later: tuple[str, str]) -> None:
    pipeline = Pipeline(Policy())
    pipeline.send(sms_callback("Sent", "2026-11-22T09:00:00Z", to=_NUMBER, message="Top secret"))
    pipeline.sms_stage = SmsStage(policy)
    for _ in range(2):
        pipeline.send(sms_callback(*later, to=_NUMBER, message="Top secret"))
    assert pipeline.sms()["recipient"] == shown_recipient(_NUMBER, policy)
    rows = orjson.dumps(list(pipeline.sms_rows[0].rows.values()))
    assert _NUMBER.encode() not in rows
    assert b"Top secret" not in rows
    (revision,) = [record for record in pipeline.revisions if record["revision"] == 2]
    assert (revision["recipient"], revision["message"]) == (shown_recipient(_NUMBER, policy), None)
    assert len(pipeline.revisions) == 2


def test_a_repeated_callback_withholds_data_kept_before_without_a_revision() -> None:
    pipeline = Pipeline(Policy())
    callback = sms_callback(to=_NUMBER)
    pipeline.send(callback)
    pipeline.sms_stage = SmsStage(Policy(recipient="mask"))
    pipeline.send(callback)
    assert len(pipeline.revisions) == 1
    assert pipeline.sms()["recipient"] == "***001"


@pytest.mark.parametrize("now", ["mask", "hmac"])
def test_an_already_withheld_recipient_stays_as_it_is(now: Literal["mask", "hmac"]) -> None:
    policy = Policy(recipient=now, hmac_key="k")
    for kept in ("***001", "***", "0" * 64):
        assert kept_recipient(kept, policy) == kept
    assert kept_recipient("***001", Policy(recipient="drop")) is None


def test_a_short_number_is_masked_whole() -> None:
    assert shown_recipient("19019", Policy(recipient="mask")) == "***"


def test_hmac_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="hmac_key"):
        Policy(recipient="hmac")


def test_the_key_is_not_shown() -> None:
    assert "k-1" not in repr(Policy(recipient="hmac", hmac_key="k-1"))


def test_texts_are_dropped_from_records_and_rows_when_the_policy_says_so() -> None:
    pipeline = Pipeline(Policy(message_text="drop"))
    pipeline.send(sms_callback(message="Top secret"))
    assert pipeline.sms()["message"] is None
    assert b"Top secret" not in orjson.dumps(list(pipeline.sms_rows[0].rows.values()))


@pytest.mark.parametrize("service", ["TwoStep", "twostep", "Two-Step", " TWO_STEP "])
def test_one_time_codes_are_never_kept(service: str) -> None:
    pipeline = Pipeline(Policy(message_text="keep"))
    pipeline.send(sms_callback(message="Your code is 2622", originatingService=service))
    assert pipeline.sms()["message"] is None
    assert b"2622" not in orjson.dumps(list(pipeline.sms_rows[0].rows.values()))


def test_a_text_that_turns_out_to_be_a_one_time_code_is_forgotten() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", message="Your code is 2622", originatingService=None))
    pipeline.send(sms_callback("Delivered", message=None, originatingService="TwoStep"))
    assert pipeline.sms()["message"] is None
    assert b"2622" not in orjson.dumps(list(pipeline.sms_rows[0].rows.values()))


def test_a_service_of_one_time_codes_stands_in_every_order_and_the_text_never_comes_back() -> None:
    callbacks = [
        sms_callback("Queued", "2026-11-22T09:16:53Z", message="Your code is 2622", originatingService=None),
        sms_callback("Sent", "2026-11-22T09:16:54Z", message=None, originatingService="TwoStep"),
        sms_callback("Delivered", "2026-11-22T09:16:55Z", message=None, originatingService="Sms"),
        sms_callback("Delivered", "2026-11-22T09:16:55Z", message="Your code is 2622", originatingService=None),
    ]
    for order in permutations(callbacks):
        pipeline = Pipeline()
        pipeline.send(*order)
        assert (pipeline.sms()["originating_service"], pipeline.sms()["message"]) == ("TwoStep", None)
        assert b"2622" not in orjson.dumps(list(pipeline.sms_rows[0].rows.values()))


_STRICT = Policy(recipient="drop", message_text="drop")
_CODE = "Your code is 482913"


def test_a_body_that_calls_itself_of_two_steps_has_a_text_that_never_comes_back() -> None:
    pipeline = Pipeline()
    pipeline.send({"trackingId": "t", "type": "twoStep", "messageId": "m", "status": "Sent", "message": _CODE})
    pipeline.send({"messageId": "m", "status": {"name": "Delivered"}, "message": _CODE, "parts": 1})
    assert b"482913" not in orjson.dumps([*pipeline.sms_rows[0].rows.values(), pipeline.revisions])


@pytest.mark.parametrize(
    ("policy", "number", "text"),
    [
        (Policy(), _NUMBER, "Hello"),
        (Policy(recipient="mask"), "***001", "Hello"),
        (_STRICT, None, None),
        (Policy(mask_texts=True), _NUMBER, "Hello"),
    ],
)
def test_a_refused_body_is_kept_as_the_policy_says(policy: Policy, number: str | None, text: str | None) -> None:
    pipeline = Pipeline(policy)
    body = sms_callback(message="Hello", to=_NUMBER) | {"status": {"name": ""}}
    (rejection,) = pipeline.send(body)
    assert orjson.loads(rejection["body"]) == body | {"to": number, "message": text}
    assert rejection["redacted"] is (number != _NUMBER)
    assert _NUMBER not in rejection["detail"]


_REFUSED = {
    "expired": sms_callback("Sent", "2020-01-01T00:00:00Z", message=_CODE, to=_NUMBER, originatingService="TwoStep"),
    "invalid": sms_callback(message=_CODE, to=_NUMBER, originatingService="two_step") | {"status": {}},
    "two steps": {"applicationId": "a", "recipient": _NUMBER, "status": "Verified", "message": _CODE},
    "inbound": {"messageId": "m", "from": _NUMBER, "message": _CODE, "direction": "Inbound", "type": "twostep"},
    "viber": {"trackingId": "v", "to": _NUMBER, "status": {}, "body": {"text": _CODE}, "service": "TwoStep"},
    "failover": {"messages": [{"TO": _NUMBER, "Text": _CODE, "OriginatingService": "TwoStep"}]},
}


@pytest.mark.parametrize("policy", [Policy(), _STRICT], ids=["keep", "drop"])
@pytest.mark.parametrize("kind", _REFUSED)
def test_a_refused_one_time_code_is_nowhere(kind: str, policy: Policy) -> None:
    pipeline = Pipeline(policy)
    pipeline.send(sms_callback("Sent", "2026-11-22T09:00:00Z", message_id="first"))  # tells the time
    pipeline.send(_REFUSED[kind])
    if kind == "expired":
        assert pipeline.rejections[0]["reason"] == "expired"
    (rejection,) = pipeline.rejections
    assert "482913" not in rejection["body"]
    assert rejection["redacted"]
    assert (_NUMBER in rejection["body"]) is (policy.recipient == "keep")


def test_a_refused_callback_of_a_known_one_time_code_has_no_text_either() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", message_id="m", sms_id="1", originatingService="TwoStep", parts=2, part=1))
    parts = [sms_callback("Sent", message_id="m", sms_id=str(n), parts=255, part=2) for n in range(2, 256)]
    pipeline.send(*parts)
    pipeline.send(sms_callback("Sent", message_id="m", sms_id="x", message=_CODE, originatingService=None))
    assert [(one["reason"], "482913" in one["body"]) for one in pipeline.rejections] == [("invalid-field", False)]


def test_numbers_in_free_texts_are_masked_when_the_policy_says_so() -> None:
    pipeline = Pipeline(Policy())
    callback = sms_callback("Sent", message="call 690 000 0001", label=_NUMBER, campaignName="for 6900000001")
    pipeline.send(callback)
    pipeline.sms_stage = SmsStage(Policy(mask_texts=True))
    pipeline.send(callback | {"status": {"name": "Delivered"}})
    sms = pipeline.sms()
    assert [sms[name] for name in ("message", "label", "campaign_name")] == ["call ***001", "***001", "for ***001"]
    assert sms["recipient"] == callback["to"]
    pipeline.send(campaign_report(name="Sale 6900000002"))
    pipeline.settle()
    assert b"6900000002" not in orjson.dumps(pipeline.of("campaign.progress"))
