"""A latency, a price, a part and a count are taken when they can be one, in any form of the number."""

import math
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract.dates import read_date
from streams.domain.callback import Callback
from streams.domain.money import MOST_UNITS
from streams.domain.policy import Policy
from streams.domain.routee import coercion
from streams.domain.routee.sms import callback_of, read_callback
from streams.domain.routee.wire import read_wire
from tests.builders import NOW, campaign_report, sms_callback
from tests.unit.streams.domain.pipeline import Pipeline

RECEIVED = read_date(NOW) or 0
MONTH = 30 * 24 * 3600
FIELDS = {"latency": "latency_seconds", "price": "price", "part": "part", "parts": "parts"}

# Numbers as they may stand in a body, and values that are none.
LITERALS = st.one_of(
    st.integers(-(10**25), 10**25).map(str),
    st.integers(-300, 300).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        [
            "-0",
            "-0.0",
            "0e0",
            "1e2",
            "1E-3",
            "2.50",
            "1.0",
            "255",
            "256",
            "255.0",
            "2592000",
            "2592000.1",
            "2592001",
            "1000000",
            "1000000.00000001",
            "1e6",
            "1e308",
            "9" * 40,
            "true",
            "false",
            "[]",
            "{}",
            "[3]",
        ]
    ),
    st.sampled_from(
        [
            "3",
            " 3 ",
            "3.0",
            "+3",
            ".5",
            "1.",
            "-3",
            "-0",
            "1e1",
            "1e999",
            "NaN",
            "inf",
            "-Infinity",
            "1_000",
            "3 s",
            "3,5",
            "1,234",
            "٣",
            "0x1F",
            "3%",
            "€3",
            "9" * 50,
            "9" * 5000,
            " ",
            "true",
            "2592001",
            "1000001",
            "256",
        ]
    ).map(lambda text: orjson.dumps(text).decode()),
)


def body(field: str, literal: str) -> bytes:
    """Return a callback in which the JSON `literal` stands for a field."""
    return orjson.dumps(sms_callback() | {field: "\0"}).replace(b'"\\u0000"', literal.encode())


def patiently(raw: bytes) -> Callback:
    found = read_callback(orjson.loads(raw), RECEIVED, Policy())
    assert isinstance(found, Callback)
    return found


def read(raw: bytes) -> Callback:
    """Read a callback as streams does: quickly if it can be, else patiently."""
    sms = read_wire(msgspec.Raw(raw))
    found = patiently(raw) if sms is None else callback_of(sms, RECEIVED, Policy())
    assert isinstance(found, Callback)
    return found


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(sorted(FIELDS)), LITERALS)
def test_both_readers_take_the_same_measures_and_only_possible_ones(field: str, literal: str) -> None:
    raw = body(field, literal)
    callback = read(raw)
    assert callback == patiently(raw)
    value = getattr(callback.details, FIELDS[field])
    assert (value is None) == (callback.notes.count(field) == 1)
    if value is not None:
        low, high = {"latency": (0, MONTH), "price": (0, MOST_UNITS)}.get(field, (1, 255))
        assert low <= value <= high
        assert math.isfinite(value)


@pytest.mark.parametrize(
    ("field", "literal", "value"),
    [
        ("latency", "0", 0),
        ("latency", "-0", 0),
        ("latency", "-0.0", 0),
        ("latency", "2.50", 2.5),
        ("latency", "1e2", 100),
        ("latency", '" +3 "', 3),
        ("latency", '".5"', 0.5),
        ("latency", '"1e1"', 10),
        ("latency", "2592000", MONTH),
        ("price", "0", 0),
        ("price", "-0.0", 0),
        ("price", "0.00600000", 600_000),
        ("price", '"0.0432"', 4_320_000),
        ("price", '"1e-8"', 1),
        ("price", "9999999999.99", 999_999_999_999_000_000),
        ("part", "1.0", 1),
        ("part", '"007"', 7),
        ("part", "255", 255),
        ("parts", "2.55e2", 255),
    ],
)
def test_a_measure_is_taken_in_every_form(field: str, literal: str, value: float) -> None:
    callback = read(body(field, literal))
    assert (getattr(callback.details, FIELDS[field]), callback.notes) == (value, [])


@pytest.mark.parametrize(
    ("field", "literal"),
    [
        ("latency", "-7200"),
        ("latency", "-0.001"),
        ("latency", '"-1"'),
        ("latency", "2592001"),
        ("latency", "1e308"),
        ("latency", "9" * 40),
        ("latency", '"NaN"'),
        ("latency", '"Infinity"'),
        ("latency", '"1_000"'),
        ("latency", '"3 s"'),
        ("latency", '"3,5"'),
        ("latency", '"٣"'),
        ("latency", "true"),
        ("latency", "[3]"),
        ("price", "-0.0432"),
        ("price", '"-1"'),
        ("price", "10000000000"),
        ("price", '"0,0432"'),
        ("price", '"€1"'),
        ("price", "false"),
        ("part", "0"),
        ("part", "256"),
        ("part", "1.5"),
        ("part", '"-1"'),
        ("parts", "65535"),
        ("parts", "true"),
    ],
)
def test_a_value_that_cannot_be_the_measure_is_left_out_and_noted(field: str, literal: str) -> None:
    callback = read(body(field, literal))
    assert (getattr(callback.details, FIELDS[field]), callback.notes) == (None, [field])


@pytest.mark.parametrize("value", [-1, 1.5, True, "many", "1_000", 2**53 + 2, float(2**60), [], {}])
def test_a_count_that_cannot_be_one_is_left_out_and_noted(value: object) -> None:
    notes: list[str] = []
    assert coercion.count(value, "totalRecipients", notes) is None
    assert notes == ["totalRecipients"]
    pipeline = Pipeline()
    pipeline.send(campaign_report(counts={"Sent": value, "Queued": 3}))
    pipeline.settle()
    assert pipeline.campaign()["reported_by_status"] == {"Queued": 3}
    assert pipeline.tally()["notes"] == {"messageStatuses": 1}


@pytest.mark.parametrize(("value", "count"), [(0, 0), (7.0, 7), ("7", 7), (" 007 ", 7), (2**53, 2**53), (None, None)])
def test_a_count_is_taken_in_every_form(value: Any, count: int | None) -> None:  # noqa: ANN401
    notes: list[str] = []
    assert (coercion.count(value, "totalRecipients", notes), notes) == (count, [])


def test_a_negative_latency_moves_no_record() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback(latency=-7200))
    (record,) = pipeline.revisions
    assert (record["status"], record["latency_seconds"]) == ("Delivered", None)


def test_an_id_of_more_digits_than_a_number_keeps_is_left_out_and_noted() -> None:
    """Two ids that differ in their last digits would become the same."""
    callback = read(body("smsId", "123456789012345678901234567890"))
    assert (callback.details.sms_id, callback.notes) == (None, ["smsId"])
    assert read(body("smsId", "1234567890123456789")).details.sms_id == "1234567890123456789"


@pytest.mark.parametrize("literal", ["-1e-9", '"-1e-9"', '"-0.000000001"', "-5e-324"])
def test_a_negative_price_is_none_however_small(literal: str) -> None:
    found = read(body("price", literal))
    assert (found.details.price, found.notes) == (None, ["price"])


@pytest.mark.parametrize("literal", [2**53 + 1, 2**53 + 3, 10**39])
def test_a_count_in_text_loses_no_digits(literal: int) -> None:
    for value in (literal, str(literal), f" +{literal} "):
        notes: list[str] = []
        assert (coercion.count(value, "Sent", notes), notes) == (None, ["Sent"])
    assert coercion.count(str(2**53), "Sent", []) == 2**53
