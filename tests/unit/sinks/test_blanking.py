"""
Records that an erasure covers lose the fields of the person, and nothing else; all others stay byte for byte.
"""

from base64 import b64encode
from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sinks.blanking import BODIES, PERSONAL, blanked
from sinks.source import Record
from sinks.tables import DELIVERY_WINDOWS_TABLE, RAW_CALLBACKS_TABLE, TABLE_OF
from streams.contract.codec import encode
from streams.contract.erasures import BLANKED, MOMENTS, Erasures
from streams.contract.records import PUBLIC_RECORDS
from tests.behaviour.sinks.records import START, at, campaign, rejection, sms
from tests.support.erasures import MARKS, erasure
from tests.unit.sinks.records import record

NUMBER = "+306900000001"
OTHER = "+306900000002"
ERASED_AT = at(1_000)


def erasures(*recipients: str) -> Erasures:
    known = Erasures(MARKS)
    for recipient in recipients:
        known.add(erasure(recipient, ERASED_AT))
    return known


def after(value: bytes, table: str = "sms_status", known: Erasures | None = None) -> bytes | None:
    (found,) = blanked(table, [record(0, value)], erasures(NUMBER) if known is None else known)
    return found.value


def test_a_covered_sms_loses_recipient_text_and_label_and_nothing_else() -> None:
    before = encode(sms("a", label="order 7", recipient="0030 690 000 0001"))
    assert orjson.loads(after(before) or b"") == orjson.loads(before) | dict.fromkeys(BLANKED)


def test_without_erasures_the_records_are_not_even_copied() -> None:
    records = [record(0), record(1, b"no JSON")]
    assert blanked("sms_status", records, Erasures(MARKS)) is records


def test_every_field_with_data_of_people_is_erased_in_every_table() -> None:
    """A table of a new topic with such a field has to be listed. A cell counts SMS of many people."""
    named = {
        table: tuple(name for name in (*BLANKED, *BODIES) if name in PUBLIC_RECORDS[topic.suffix].model_fields)
        for topic, table in TABLE_OF.items()
    } | {RAW_CALLBACKS_TABLE: ("value",)}
    assert named.pop(DELIVERY_WINDOWS_TABLE) == ("label",)
    assert {table: names for table, names in named.items() if names}.items() <= PERSONAL.items()


def test_a_record_that_was_made_with_these_very_erasures_is_not_looked_at_again() -> None:
    value = encode(sms("a", recipient=NUMBER))
    known = erasures(NUMBER)
    (kept,) = blanked("sms_status", [replace(record(0, value), erasures=known.digest)], known)
    assert kept.value == value


@pytest.mark.parametrize("told", [None, b"", erasures(OTHER).digest, Erasures(MARKS).digest])
def test_a_record_that_was_made_with_other_erasures_or_none_is_compared(told: bytes | None) -> None:
    (kept,) = blanked(
        "sms_status", [replace(record(0, encode(sms("a", recipient=NUMBER))), erasures=told)], erasures(NUMBER)
    )
    assert orjson.loads(kept.value or b"")["recipient"] is None


@pytest.mark.parametrize("moment", MOMENTS)
def test_one_moment_before_the_erasure_is_enough(moment: str) -> None:
    late = dict.fromkeys(MOMENTS, at(2_000))
    young = encode(sms("a", **late))
    assert after(young) == young
    assert orjson.loads(after(encode(sms("a", **late | {moment: at(999)}))) or b"")["recipient"] is None


@given(moments=st.lists(st.integers(-3_000, 3_000), min_size=5, max_size=5), recipient=st.sampled_from([NUMBER, OTHER]))
def test_a_record_is_blanked_exactly_when_the_contract_says_so(moments: list[int], recipient: str) -> None:
    told = {name: ERASED_AT + timedelta(milliseconds=ms) for name, ms in zip(MOMENTS, moments, strict=True)}
    value = encode(sms("a", recipient=recipient, **told))
    is_covered = erasures(NUMBER).covers(recipient, *told.values())
    assert (after(value) != value) is is_covered is (recipient == NUMBER and min(moments) < 0)


@pytest.mark.parametrize(
    "value",
    [
        b'{"status_updated_at":"2026-11-22T09:00:00Z", "recipient" : "+306900000001","first_received_at":"x"}',
        b' {"recipient":"+306900000001","first_received_at":"2026-11-22T10:00:00.000+01:00"}',
        b'{"first_received_at":"2026-11-22T09:00:00.123456Z","recipient":"+306900000001","status_updated_at":7}',
    ],
)
def test_another_writers_json_is_read_too(value: bytes) -> None:
    assert orjson.loads(after(value) or b"")["recipient"] is None


@pytest.mark.parametrize("value", [b"[]", b"{", b'"+306900000001"', b"", b'{"recipient":7}', b'{"recipient":null}'])
def test_a_value_that_is_no_sms_stays_as_it_is(value: bytes) -> None:
    assert after(value) == value


def test_tombstones_and_other_tables_stay_as_they_are() -> None:
    tombstone = Record("routee.sms.status", 0, 0, 0, None)
    assert blanked("sms_status", [tombstone], erasures(NUMBER)) == [tombstone]
    value = encode(campaign("c"))
    assert after(value, "campaign_progress") == value


@pytest.mark.parametrize(
    "fields",
    [
        {"body": '{"to":"+306900000001","message":"x"}'},
        {"body": '{"to":"00306900000001", broken'},
        {"body": None, "body_base64": b64encode(b'\xff{"to":"+306900000001"}').decode()},
    ],
)
def test_a_refused_body_goes_when_its_recipient_is_erased(fields: dict[str, str | None]) -> None:
    before = encode(rejection(**fields))
    assert orjson.loads(after(before, "rejected_callbacks") or b"") == orjson.loads(before) | {
        "body": None,
        "body_base64": None,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"body": '{"to":"+306900000002","message":"x"}'},
        {"body": None, "body_base64": "no base64"},
        {"body": '{"to":"+306900000001"}', "received_at": at(1_001)},
    ],
)
def test_refused_bodies_of_others_and_later_ones_stay(fields: dict[str, object]) -> None:
    value = encode(rejection(**fields))
    assert after(value, "rejected_callbacks") == value


def test_masked_and_dropped_recipients_are_never_compared() -> None:
    for recipient in ("***001", None):
        value = encode(sms("a", recipient=recipient, first_received_at=START))
        assert after(value) == value
