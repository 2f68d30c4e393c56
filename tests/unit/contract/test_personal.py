"""Numbers, texts and one-time codes are taken out of any body that can be read, in any form."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract.personal import (
    ALL_PERSONAL,
    CODES_ONLY,
    Kept,
    Withholding,
    kept_body,
    may_hold_code,
    names_codes,
    without_numbers,
)
from tests.support.markdown import ROOT

_NUMBER = "+306900000001"
_TEXT = "I am ill"
_SAMPLES = ROOT / "tests" / "samples"


def kept(body: Any, withholding: Withholding = ALL_PERSONAL) -> Any:  # noqa: ANN401 - JSON is any
    return orjson.loads(kept_body(orjson.dumps(body), withholding).body)


@pytest.mark.parametrize(
    "body",
    [
        {"to": _NUMBER},
        {"TO": _NUMBER},
        {"recipient": _NUMBER},
        {"Recipient_Number": _NUMBER},
        {"phone-number": 306900000001},
        {"from": _NUMBER, "direction": "Inbound"},
        {"from": 306900000001},
        {"recipients": [_NUMBER, {"number": _NUMBER, "name": _NUMBER}]},
        {"a": [{"b": {"msisdn": "306900000001"}}]},
        {"to": {"home": "6900000001 3069"}},
        {"anything": _NUMBER},
        {"anything": "0030 690 000 0001"},
        {"label": "call 306900000001"},
        {"payload": orjson.dumps({"to": "306900000001"}).decode()},
        {_NUMBER: "Delivered"},
        [{"to": _NUMBER}],
        _NUMBER,
    ],
    ids=repr,
)
def test_a_number_is_found_by_its_field_or_its_form(body: object) -> None:
    found = kept_body(orjson.dumps(body), ALL_PERSONAL)
    assert b"69000000" not in found.body.replace(b" ", b"")
    assert found.redacted


@pytest.mark.parametrize(
    "body",
    [
        {"message": _TEXT},
        {"MESSAGE": _TEXT},
        {"message_text": _TEXT},
        {"body": {"text": _TEXT, "buttons": [{"word": _TEXT}]}},
        {"Messages": [{"SMS": _TEXT}]},
        {"data": [_TEXT]},
        {"outer": orjson.dumps({"text": _TEXT}).decode()},
        _TEXT,
    ],
    ids=repr,
)
def test_a_text_is_found_by_its_field(body: object) -> None:
    found = kept_body(orjson.dumps(body), Withholding(drops_texts=True))
    assert _TEXT.encode() not in found.body
    assert found.redacted


def test_what_tells_the_callback_and_its_fault_stays() -> None:
    told = {
        "messageId": "6900000001",
        "from": "Shop",
        "status": {"name": "Sent", "updatedDate": "2026-11-29T12:00:00Z", "reason": {"detailedStatus": "Sent"}},
        "parts": 1,
        "price": 0.04,
        "groups": ["vip"],
        "country": "GR",
    }
    body = orjson.dumps(told | {"to": _NUMBER})
    assert orjson.loads(kept_body(body, ALL_PERSONAL).body) == told | {"to": None}


@pytest.mark.parametrize("name", sorted(file.name for file in _SAMPLES.glob("*.json")))
def test_a_body_of_which_nothing_is_withheld_stays_byte_for_byte(name: str) -> None:
    body = (_SAMPLES / name).read_bytes()
    assert kept_body(body, CODES_ONLY) == Kept(body, redacted=False)


def test_a_body_without_personal_data_stays_byte_for_byte_under_every_setting() -> None:
    body = b' {"messageId" : "a",  "status":{"name":""}} '
    assert kept_body(body, ALL_PERSONAL) == Kept(body, redacted=False)


def test_an_id_by_chance_is_no_code() -> None:
    body = b'{"messageId":"a2fa0-12fa-pin0-hotpot-shipping"'
    assert kept_body(body, CODES_ONLY) == Kept(body, redacted=False)


@pytest.mark.parametrize("body", [b'{"to":"+306900000001"', b"\xff", b"to=306900000001", b"[" * 60 + b"]" * 60])
def test_of_a_body_that_cannot_be_read_nothing_is_kept_where_anything_is_withheld(body: bytes) -> None:
    assert kept_body(body, ALL_PERSONAL) == Kept(b"", redacted=True)
    assert kept_body(body, CODES_ONLY) == Kept(body, redacted=False)


@pytest.mark.parametrize(
    "body",
    [
        b'{"originatingService":"TwoStep","message":"482913"',
        b'{"originatingService":"\\u0054woStep","message":"482913"',
        b'{"otp":482913,',
        "originatingService=Two-Step&message=482913".encode("utf-16-le"),
    ],
)
def test_of_a_one_time_code_that_cannot_be_read_nothing_is_kept(body: bytes) -> None:
    assert kept_body(body, CODES_ONLY) == Kept(b"", redacted=True)


def test_two_fields_of_one_name_are_both_looked_at() -> None:
    body = b'{"originatingService":"TwoStep","originatingService":"Sms","message":"482913","message":""}'
    assert b"482913" not in kept_body(body, CODES_ONLY).body
    assert b"6900" not in kept_body(b'{"to":"+306900000001","to":null}', ALL_PERSONAL).body


@pytest.mark.parametrize("body", [b'{"to":"\\ud800 6900000001","n":123456789012345678901234567890}', b'{"to":1e400}'])
def test_numbers_and_characters_of_any_kind_cost_no_error(body: bytes) -> None:
    assert b"6900" not in kept_body(body, ALL_PERSONAL).body


@pytest.mark.parametrize("service", ["TwoStep", "two-step", "TWO STEP", "2Step", "2FA", "OTP", "Verify"])
def test_a_service_of_one_time_codes_is_known_in_any_spelling(service: str) -> None:
    assert names_codes(service)
    assert may_hold_code(orjson.dumps({"originatingService": service}))
    assert kept({"originatingService": service, "x": "482913"}, CODES_ONLY)["x"] is None


@pytest.mark.parametrize("service", ["Sms", "Viber", "Failover", "", None, 7])
def test_other_services_carry_no_codes(service: object) -> None:
    assert not names_codes(service)


_NAMES = st.sampled_from(["to", "From", "message", "x", "pin", "label", "type", "originatingService", "applicationId"])
_LEAVES = st.sampled_from([_NUMBER, "secret text", "TwoStep", "Sms", 1, None, True, 2.5, 306900000001])
_BODIES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=12
)


@given(_BODIES)
def test_a_body_that_was_redacted_is_not_redacted_again(body: object) -> None:
    once = kept_body(orjson.dumps(body), ALL_PERSONAL)
    assert _NUMBER.encode() not in once.body
    assert kept_body(once.body, ALL_PERSONAL) == Kept(once.body, redacted=False)


@given(
    st.recursive(
        st.sampled_from(["TwoStep", "Sms", "2FA", "otp", _NUMBER]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
        max_leaves=9,
    )
)
def test_all_that_tells_of_a_code_is_found_in_the_bytes(body: object) -> None:
    """So a body that is not parsed has no code."""
    text = orjson.dumps(body)
    withheld = kept_body(text, Withholding(number=str))
    assert may_hold_code(text) or not withheld.redacted


@pytest.mark.parametrize(
    "number",
    [
        "+306971234415",
        "0030 697 123 4415",
        "+30\u00a0697\u00a0123\u00a04415",
        "+30\u2011697\u2013123\u22124415",
        "+30\t697\n1234415",
        "0030 697 - 123 - 4415",
        "+30 697 \u2013 123 \u2013 4415",
        "\uff0b306971234\uff0d415",
    ],
)
def test_a_number_is_masked_in_a_text_with_any_gaps_between_its_digits(number: str) -> None:
    assert without_numbers(f"call {number}, please") == "call ***415, please"
    body = orjson.dumps({"note": f" {number} ", "service": "Sms"})
    assert orjson.loads(kept_body(body, Withholding(number=lambda _: "gone")).body)["note"] == "gone"
