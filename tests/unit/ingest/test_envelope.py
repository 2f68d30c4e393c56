"""The records for Kafka."""

from base64 import b64decode
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from ingest.callback.envelope import RECORD_BYTES, RawRecord, fitting, noted_bytes, reject, seal
from streams.contract.codec import decode
from streams.contract.records import Envelope, Reason, RefusedBy, Rejection, Repair, Source
from streams.contract.schemas import FOLDER

NOON_MS = 1_795_348_800_123
values = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(-(2**63), 2**63 - 1), lambda inner: st.lists(inner, max_size=3)
)
callbacks = st.dictionaries(st.text(), values, max_size=4)


@given(st.lists(callbacks, min_size=1, max_size=8))
def test_an_envelope_gives_its_callbacks_back_in_order(documents: list[dict[str, object]]) -> None:
    bodies = [orjson.dumps(document, option=orjson.OPT_INDENT_2) for document in documents]
    record = seal(bodies, ["k"] * len(bodies), NOON_MS)
    envelope = decode(record.value)
    assert envelope["callbacks"] == documents
    assert all(body in record.value for body in bodies)
    assert Envelope.model_validate(envelope).received_at == datetime.fromtimestamp(NOON_MS / 1000, UTC)


def test_an_envelope_of_one_callback_has_its_key() -> None:
    assert seal([b"{}"], ["Ab"], NOON_MS) == RawRecord(
        b"Ab", b'{"received_at":"2026-11-22T12:00:00.123Z","callbacks":[{}]}'
    )
    assert seal([b"{}", b"{}"], ["a", "b"], NOON_MS).key is None


def test_an_envelope_names_its_source_only_when_its_bodies_were_pulled() -> None:
    """The reader before this one passes the field over; envelopes of callbacks are the bytes that they were."""
    pulled = seal([b"{}"], ["a"], NOON_MS, source=Source.PULL).value
    assert Envelope.model_validate_json(pulled).source is Source.PULL
    assert seal([b"{}"], ["a"], NOON_MS, source=Source.CALLBACK) == seal([b"{}"], ["a"], NOON_MS)
    assert pulled == seal([b"{}"], ["a"], NOON_MS).value[:-1] + b',"source":"pull"}'


def test_an_envelope_has_the_notes_of_repaired_callbacks_by_their_place() -> None:
    notes = {1: b'{"repairs":["cut"],"original":"e30="}', 2: b'{"repairs":["value"],"original":null}'}
    value = seal([b"{}", b'{"a":1}', b"{}"], ["a", "b", "c"], NOON_MS, notes).value
    envelope = Envelope.model_validate(decode(value))
    assert [(note.index, note.repairs, note.original) for note in envelope.repaired] == [
        (1, [Repair.CUT], "e30="),
        (2, [Repair.VALUE], None),
    ]
    Draft202012Validator(orjson.loads((FOLDER / "callbacks.raw.json").read_bytes())).validate(decode(value))
    without = seal([b"{}", b'{"a":1}', b"{}"], ["a", "b", "c"], NOON_MS).value
    assert value.startswith(without[:-1])
    assert b"repaired" not in without


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=30),
    st.integers(1, 100),
    st.dictionaries(st.integers(0, 29), st.integers(1, 50)),
)
def test_notes_count_in_a_record_that_is_split(sizes: list[int], limit: int, noted: dict[int, int]) -> None:
    notes = {place: b"x" * size for place, size in noted.items()}
    count = fitting([b"x" * size for size in sizes], limit, notes)
    taken = sum(size + 1 + noted_bytes(notes.get(place)) for place, size in enumerate(sizes[:count]))
    assert count == 1 or taken <= limit
    assert count == len(sizes) or taken + sizes[count] + 1 + noted_bytes(notes.get(count)) > limit


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(1, 100))
def test_records_are_split_below_their_limit_and_lose_nothing(sizes: list[int], limit: int) -> None:
    left = [b"x" * size for size in sizes]
    taken = []
    while left:
        count = fitting(left, limit)
        assert count >= 1
        assert count == 1 or sum(len(body) + 1 for body in left[:count]) <= limit
        taken += left[:count]
        left = left[count:]
    assert [len(body) for body in taken] == sizes


def rejection(body: bytes) -> Rejection:
    value = reject(body, Reason.NOT_JSON, "why", NOON_MS)
    assert len(value) <= RECORD_BYTES
    return Rejection.model_validate(decode(value))


@given(st.binary(max_size=200))
def test_a_rejection_keeps_every_byte(body: bytes) -> None:
    kept = rejection(body)
    assert (kept.stage, kept.reason, kept.detail) == (RefusedBy.INGEST, Reason.NOT_JSON, "why")
    assert (kept.partition, kept.offset, kept.index) == (None, None, None)
    if kept.body is None:
        assert kept.body_base64 is not None
        assert b64decode(kept.body_base64) == body
    else:
        assert kept.body_base64 is None
        assert kept.body.encode() == body


def test_a_text_stays_a_text() -> None:
    assert rejection("Καλημέρα, {".encode()).body == "Καλημέρα, {"


@pytest.mark.parametrize("body", [b"\x00" * 600_000, b'"' * 600_000, b"\xff" * 600_000])
def test_the_longest_body_fits_with_any_bytes(body: bytes) -> None:
    kept = rejection(body)
    assert (kept.body or "").encode() == body or b64decode(kept.body_base64 or "") == body
