from typing import Any

import msgspec
import orjson
import pytest

from streams.contract.dates import NO_DATE, read_date
from streams.contract.records import Reason
from streams.domain.callback import Callback
from streams.domain.details import Details
from streams.domain.policy import Policy
from streams.domain.refusal import Refusal
from streams.domain.routee.sms import read_callback
from tests.builders import ABSENT, NOW, sms_callback

_RECEIVED = read_date(NOW) or 0


def read(body: dict[str, Any], policy: Policy | None = None) -> Callback:
    callback = read_callback(body, _RECEIVED, policy or Policy())
    assert isinstance(callback, Callback)
    return callback


def refused(body: dict[str, Any]) -> Refusal:
    refusal = read_callback(body, _RECEIVED, Policy())
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.INVALID_FIELD
    return refusal


def test_only_message_and_status_word_are_needed() -> None:
    callback = read({"messageId": "m-1", "status": {"name": "Sent"}})
    assert callback == Callback("m-1", "Sent", NO_DATE, Details(), [], 0)


@pytest.mark.parametrize("word", ["delivered", "DELIVERED", " Delivered "])
def test_known_words_are_written_in_routees_spelling(word: str) -> None:
    assert read(sms_callback(word)).status == "Delivered"


def test_unknown_words_are_kept_as_received_and_noted() -> None:
    callback = read(sms_callback("Network Error"))
    assert (callback.status, callback.notes) == ("Network Error", ["unknown-status"])


@pytest.mark.parametrize("message_id", [None, "", 7, [], {}, True, "x" * 257])
def test_a_message_id_that_cannot_be_one_refuses_the_callback(message_id: object) -> None:
    assert refused(sms_callback(message_id=message_id)).detail.startswith("messageId:")


@pytest.mark.parametrize("word", [None, "", "  ", 7, [], {}, True, "x" * 65])
def test_a_status_word_that_cannot_be_one_refuses_the_callback(word: object) -> None:
    assert refused(sms_callback() | {"status": {"name": word}}).detail.startswith("status.name:")


@pytest.mark.parametrize("status", [None, [], 7, True, "Verified", "Pending", ""])
def test_a_status_that_is_no_object_refuses_the_callback(status: object) -> None:
    assert refused(sms_callback() | {"status": status}).detail.startswith("status:")


@pytest.mark.parametrize("word", ["Delivered", " delivered ", "Failed", '"Delivered"'])
def test_a_plain_word_for_a_status_is_taken_and_noted(word: str) -> None:
    callback = read(sms_callback() | {"status": word})
    assert (callback.status, callback.date, callback.notes) == (word.strip(' "').title(), NO_DATE, ["status"])


@pytest.mark.parametrize("space", ["", " \n"])
def test_a_status_that_was_written_as_json_twice_is_taken_and_noted(space: str) -> None:
    body = sms_callback("Undelivered", reason={"detailedStatus": "Expired"})
    callback = read(body | {"status": space + orjson.dumps(body["status"]).decode() + space})
    assert callback.notes == ["status"]
    assert msgspec.structs.replace(callback, notes=[]) == read(body)


@pytest.mark.parametrize("text", ['{"name":', '"Other"', '["Delivered"]', "{}{}", "{'name': 'Delivered'}", "NaN"])
def test_a_text_that_holds_no_object_is_no_status(text: str) -> None:
    assert refused(sms_callback() | {"status": text}).detail.startswith("status:")


def test_a_plain_word_of_a_verification_refuses_the_callback() -> None:
    """`Failed` is a word of two-step verifications as well, and their bodies have an `applicationId`."""
    assert refused(sms_callback(applicationId="a") | {"status": "Failed"}).detail.startswith("status:")


@pytest.mark.parametrize(
    "date",
    [
        "2026-11-22T09:16:54",
        "12/11/2026",
        "soon",
        "x" * 10_000,
        [],
        ["2026-11-22T09:16:54Z"],
        {},
        True,
        False,
        -1,
        1e300,
    ],
)
def test_a_date_that_names_no_moment_costs_the_date_and_not_the_status(date: object) -> None:
    callback = read(sms_callback(at=date))
    assert callback.notes == ["status.updatedDate"]
    assert msgspec.structs.replace(callback, notes=[]) == read(sms_callback(at=None))


@pytest.mark.parametrize("date", [None, "", ABSENT])
def test_a_missing_date_is_no_error(date: object) -> None:
    assert read(sms_callback(at=date)).date == NO_DATE


@pytest.mark.parametrize("date", ["2026-11-22T12:05:01Z", "2099-01-01T00:00:00Z", "2106-02-07T06:28:15.999Z"])
def test_a_date_beyond_minutes_in_the_future_is_kept_and_noted(date: str) -> None:
    callback = read(sms_callback(at=date))
    assert (callback.date, callback.notes) == (read_date(date), ["future-date"])


def test_a_date_minutes_in_the_future_is_not_noted() -> None:
    assert read(sms_callback(at="2026-11-22T12:05:00Z")).notes == []


@pytest.mark.parametrize(
    ("field", "value", "detail", "read_as"),
    [
        ("part", "2", "part", 2),
        ("part", 2.0, "part", 2),
        ("parts", "3", "parts", 3),
        ("latency", "3", "latency_seconds", 3.0),
        ("latency", 2.5, "latency_seconds", 2.5),
        ("latency", 0, "latency_seconds", 0),
        ("price", "0.00600000", "price", 600_000),
        ("price", 0, "price", 0),
        ("label", 12, "label", "12"),
        ("groups", "vip", "groups", ["vip"]),
        ("groups", ["a", 1, None, ""], "groups", ["a", "1"]),
        ("groups", [], "groups", None),
        ("message", "x" * 4096, "message", "x" * 4096),
    ],
)
def test_fields_are_read_leniently(field: str, value: object, detail: str, read_as: object) -> None:
    callback = read(sms_callback() | {field: value})
    assert getattr(callback.details, detail) == read_as
    assert callback.notes == []


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize("field", ["smsId", "label", "to", "part", "latency", "price", "groups", "message"])
def test_null_and_empty_mean_absent(field: str, empty: object) -> None:
    absent = {name: value for name, value in sms_callback().items() if name != field}
    assert read(sms_callback() | {field: empty}) == read(absent)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", ["x"]), ("label", True), ("to", {"n": 1}), ("smsId", "x" * 257), ("campaignTrackingId", "x" * 257),
        ("part", 0), ("part", -1), ("part", "one"), ("part", 1.5), ("part", True), ("parts", 10**6), ("parts", []),
        ("latency", "fast"), ("latency", "nan"), ("latency", "1e999"), ("latency", {}), ("latency", False),
        ("price", "free"), ("price", []), ("price", 1e20), ("price", True), ("groups", [["x"]]), ("groups", {}),
        ("groups", ["g"] * 65), ("groups", ["x" * 257]), ("label", "x" * 257), ("message", "x" * 4097),
    ],
)  # fmt: skip
def test_a_field_not_understood_is_left_out_and_noted_but_the_status_is_taken(field: str, value: object) -> None:
    callback = read(sms_callback() | {field: value})
    assert callback.notes == [field]
    assert msgspec.structs.replace(callback, notes=[]) == read(sms_callback() | {field: None})


def test_the_reason_is_read() -> None:
    reason = {"detailedStatus": "Expired", "description": "TTL validity period expired."}
    details = read(sms_callback("Undelivered", reason=reason)).details
    assert (details.detailed_status, details.status_description) == ("Expired", "TTL validity period expired.")


@pytest.mark.parametrize("reason", ["Expired", ["Expired"], 5])
def test_a_reason_of_another_form_is_left_out_and_noted(reason: object) -> None:
    callback = read(sms_callback("Undelivered", reason=reason))
    assert (callback.details.detailed_status, callback.details.status_description) == (None, None)
    assert callback.notes == ["status.reason"]
