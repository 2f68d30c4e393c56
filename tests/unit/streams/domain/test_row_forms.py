"""
Rows outlive the version that wrote them: missing fields have a default, fields that a later version added stay.
"""

import itertools
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given

from streams.domain.details import Details
from streams.domain.lifecycle import Sms
from streams.domain.message import Message, find_message
from streams.domain.policy import Policy
from streams.domain.row_forms import LaterFields, ListRow, filled
from streams.domain.sms_stage import SmsStage
from streams.domain.stage import GENERATION_KEY
from tests.builders import campaign_report, envelope, sms_callback
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.pipeline import Pipeline, partials_in
from tests.unit.streams.domain.test_properties import MIXED, QUICK

LATER = ["of a later version", None, {"any": ["form"]}]
SMS_SIZE, DETAILS_SIZE, MESSAGE_SIZE = (len(kind.__struct_fields__) for kind in (Sms, Details, Message))
PARTS = Message.__struct_fields__.index("parts")
DETAILS = Sms.__struct_fields__.index("details")


class Inner(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """As a version knows it."""

    a: int
    b: int | None = None


class Outer(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The same."""

    name: str
    inner: Inner
    more: list[Inner]
    last: int = 7


def as_a_later_version_writes(rows: MemoryRows) -> None:
    """Add fields to every row that no field was added to yet."""
    for key, row in rows.rows.items():
        if key == GENERATION_KEY or isinstance(row, (str, int)) or key.count(b":") > 1:
            continue
        rows.put(key, with_later_fields(key, row))


def with_later_fields(key: bytes, row: Any) -> Any:  # noqa: ANN401
    if isinstance(row, dict):
        sources = {number: {"later": LATER, **source} for number, source in row.get("sources", {}).items()}
        return {"later": LATER, **row, **({"sources": sources} if sources else {})}
    if key.startswith(b"m:"):
        return message_with_later_fields(row)
    return row + LATER if key.startswith(b"x:") and len(row) == 2 else row


def message_with_later_fields(row: list[Any]) -> list[Any]:
    for sms in row[PARTS]:
        sms[DETAILS] += LATER if len(sms[DETAILS]) == DETAILS_SIZE else []
        sms.extend(LATER if len(sms) == SMS_SIZE else [])
    return row + LATER if len(row) == MESSAGE_SIZE else row


def without_later_fields(key: bytes, row: Any) -> Any:  # noqa: ANN401
    """Return a row as this version would have written it."""
    if isinstance(row, dict) and "later" in row:
        return {name: value for name, value in row.items() if name != "later"}
    if key.startswith(b"m:"):
        parts = [[*sms[:DETAILS], sms[DETAILS][:DETAILS_SIZE], *sms[DETAILS + 1 : SMS_SIZE]] for sms in row[PARTS]]
        return [*row[:PARTS], parts, *row[PARTS + 1 : MESSAGE_SIZE]]
    return row[:2] if key.startswith(b"x:") and key.count(b":") == 1 else row


def later_fields(rows: MemoryRows) -> dict[tuple[Any, ...], Any]:
    """Return the fields of a later version by the place where they stand; a part of a message keeps its place."""
    found: dict[tuple[Any, ...], Any] = {}
    for key, row in rows.rows.items():
        if isinstance(row, dict):
            found[key, "whole"] = row.get("later")
        elif key.startswith(b"m:"):
            found[key, "whole"] = row[MESSAGE_SIZE:]
            for at, sms in enumerate(row[PARTS]):
                found[key, at], found[key, at, "details"] = sms[SMS_SIZE:], sms[DETAILS][DETAILS_SIZE:]
        elif key.startswith(b"x:") and key.count(b":") == 1:
            found[key, "whole"] = row[2:]
    return found


def test_a_list_row_of_an_older_version_has_the_defaults() -> None:
    assert ListRow(Outer).read(b'["x",[1],[]]') == (Outer("x", Inner(1), []), None)


def test_values_that_a_later_version_added_to_a_list_row_are_handed_on_and_written_again() -> None:
    written = b'["x",[1,2,"new"],[[3,4],[5,6,{"a":1},2]],8,9,[0]]'
    row, later = ListRow(Outer).read(written)
    assert row == Outer("x", Inner(1, 2), [Inner(3, 4), Inner(5, 6)], 8)
    assert later is not None
    assert msgspec.json.encode(later.added_to(row)) == written
    row.more = [*row.more, Inner(7)]
    assert later.added_to(row)[2] == [[3, 4], [5, 6, {"a": 1}, 2], [7, None]]
    row.more = []
    assert later.added_to(row)[2] == [], "a list that is gone takes its fields along"


def test_a_list_row_that_is_wrong_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        ListRow(Outer).read(b'["x",["no number"],[]]')


def test_an_object_row_is_filled_with_defaults_and_keeps_its_own_values() -> None:
    defaults = {"a": 1, "b": 2}
    assert filled(defaults, {"b": 3, "later": 4}) == {"a": 1, "b": 3, "later": 4}
    whole = {"a": 0, "b": 0, "later": 4}
    assert filled(defaults, whole) is whole


def test_a_message_that_an_older_version_wrote_takes_further_callbacks() -> None:
    """Existing rows lack the field that was added last."""
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", "2026-11-22T09:00:00Z"))
    (key,) = pipeline.sms_rows[0].with_prefix(b"m:")
    row = pipeline.sms_rows[0].get(key)
    del row[PARTS][0][DETAILS][-1]
    pipeline.sms_rows[0].put(key, row)
    (record,) = pipeline.send(sms_callback("Delivered", "2026-11-22T09:00:05Z", price=0.5))
    assert (record["revision"], record["status"], record["price"]) == (2, "Delivered", "0.50000000")


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        (b"v:", ("verdicts", "oldest", "rejected", "notes")),
        (b"c:", ("price", "conflicts", "taken", "name")),
    ],
)
def test_an_object_row_of_an_older_version_lacks_any_field_and_is_taken_for_its_default(
    prefix: bytes, names: tuple[str, ...]
) -> None:
    for name in names:
        pipeline = Pipeline()
        pipeline.send(sms_callback("Sent", "2026-11-22T09:00:00Z"))
        (key,) = pipeline.sms_rows[0].with_prefix(prefix)
        row = pipeline.sms_rows[0].get(key)
        del row[name]
        pipeline.sms_rows[0].put(key, row)
        (record,) = pipeline.send(sms_callback("Delivered", "2026-11-22T09:00:05Z"))
        assert record["status"] == "Delivered"


@pytest.mark.parametrize("name", ["conflicts", "price", "parts", "name", "taken"])
def test_partial_counts_and_campaigns_of_an_older_version_lack_any_field(name: str) -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent"), campaign_report(counts={"Sent": 1}))
    pipeline.settle_campaigns()
    (key,) = pipeline.campaign_rows.with_prefix(b"t:")
    pipeline.sms_stage.summarize(pipeline.sms_rows[0], 0, pipeline.sms_rows[0].changed)
    (partial,) = partials_in(pipeline.sms_stage.summarize(pipeline.sms_rows[0], 0, pipeline.sms_rows[0].changed))
    line = orjson.loads(partial)
    del line["counts"][name]
    assert pipeline.take_partials(orjson.dumps(line)) == []
    row = pipeline.campaign_rows.get(key)
    for missing in ("stale_reports", "report_generation", "unordered_reports", "unit", "equal_counts"):
        pipeline.campaign_rows.put(key, {other: value for other, value in row.items() if other != missing})
        pipeline.send(sms_callback("Delivered", message_id=missing))
        assert pipeline.campaign()["messages"] >= 1
    assert pipeline.rejections == []


def test_a_report_of_an_older_version_lacks_any_field() -> None:
    for name in ("name", "strategy", "total_recipients", "counts", "campaign_status", "standings", "rivals"):
        pipeline = Pipeline()
        pipeline.send(campaign_report(counts={"Sent": 1}))
        pipeline.settle()
        (key,) = pipeline.campaign_rows.with_prefix(b"t:")
        row = pipeline.campaign_rows.get(key)
        del row["report"][name]
        pipeline.campaign_rows.put(key, row)
        pipeline.send(campaign_report(counts={"Sent": 2}))
        assert pipeline.campaign()["reported_by_status"] == {"Sent": 2}
        assert pipeline.rejections == []


@pytest.mark.parametrize("place", [(), (PARTS, 0), (PARTS, 0, DETAILS)], ids=["message", "SMS", "details"])
def test_a_field_of_a_later_version_stays_when_it_is_the_only_one(place: tuple[int, ...]) -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", "2026-11-22T09:00:00Z"))
    (key,) = pipeline.sms_rows[0].with_prefix(b"m:")
    row = pipeline.sms_rows[0].get(key)
    inner(row, place).append("later")
    pipeline.sms_rows[0].put(key, row)
    pipeline.send(sms_callback("Delivered", "2026-11-22T09:00:05Z"))
    assert inner(pipeline.sms_rows[0].get(key), place)[-1] == "later"


def inner(row: list[Any], place: tuple[int, ...]) -> list[Any]:
    for at in place:
        row = row[at]
    return row


@QUICK
@given(MIXED)
def test_fields_of_a_later_version_change_no_output_and_stay(envelopes: list[list[Any]]) -> None:
    """Workers of two versions take turns at the rows: after each envelope the later version writes them."""
    stage, plain, mixed = SmsStage(Policy()), MemoryRows(), MemoryRows()
    for offset, callbacks in enumerate(envelopes):
        value = envelope(*callbacks)
        expected, added = outputs_of(stage.apply(plain, 0, offset, value)), later_fields(mixed)
        assert outputs_of(stage.apply(mixed, 0, offset, value)) == expected
        left = later_fields(mixed)
        assert {place: left[place] for place in added if place in left} == {
            place: fields for place, fields in added.items() if place in left
        }
        assert {key: without_later_fields(key, row) for key, row in mixed.rows.items()} == plain.rows
        as_a_later_version_writes(mixed)


def test_views_and_forgetting_take_rows_of_a_later_version() -> None:
    pipeline = Pipeline(Policy(retention_hours=48))
    pipeline.send(sms_callback("Delivered", "2026-11-22T09:00:00Z"), campaign_report(counts={"Sent": 1}))
    before = pipeline.sms(), pipeline.campaign()
    as_a_later_version_writes(pipeline.sms_rows[0])
    as_a_later_version_writes(pipeline.campaign_rows)
    assert (pipeline.sms(), pipeline.campaign()) == before
    for day in range(23, 29):
        moment = f"2026-11-{day}T12:00:00Z"
        pipeline.send(sms_callback("Delivered", moment, message_id=f"m{day}", sms_id="s"), received_at=moment)
    assert find_message(pipeline.sms_rows[0], b"m:" + sms_callback()["messageId"].encode()) is None
    assert pipeline.campaign()["messages"] == 7


def test_campaign_rows_keep_fields_of_a_later_version_through_counts_and_reports() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent"), campaign_report(counts={"Sent": 1}))
    pipeline.settle()
    as_a_later_version_writes(pipeline.campaign_rows)
    (key,) = pipeline.campaign_rows.with_prefix(b"t:")
    row = pipeline.campaign_rows.get(key)
    row["report"]["later"] = LATER
    pipeline.campaign_rows.put(key, row)
    pipeline.send(sms_callback("Delivered"), campaign_report(counts={"Delivered": 1}))
    assert pipeline.campaign()["messages_delivered"] == 1
    row = pipeline.campaign_rows.get(key)
    assert row["later"] == row["report"]["later"] == LATER
    assert pipeline.rejections == []


def test_the_stamps_of_details_that_only_a_later_version_knows_stay() -> None:
    pipeline = Pipeline()
    pipeline.send(sms_callback("Sent", "2026-11-22T09:00:00Z"))
    (key,) = pipeline.sms_rows[0].with_prefix(b"m:")
    row = pipeline.sms_rows[0].get(key)
    stamps = Sms.__struct_fields__.index("stamps")
    unknown = [DETAILS_SIZE, "Queued", 1_795_338_000_000]
    row[PARTS][0][stamps].append(unknown)
    row[PARTS][0][DETAILS].append("later")
    pipeline.sms_rows[0].put(key, row)
    for word, label in (("Delivered", "x"), ("Queued", None), ("Delivered", "x")):
        pipeline.send(sms_callback(word, "2026-11-22T09:00:05Z", label=label))
        assert unknown in pipeline.sms_rows[0].get(key)[PARTS][0][stamps]


def test_later_fields_are_told_from_none() -> None:
    assert LaterFields.cut_from(["x", [1, 2], []], Outer).ends == {}
    assert [*itertools.chain(LaterFields.cut_from(["x", [1, 2, 3], []], Outer).ends)] == [(1,)]
