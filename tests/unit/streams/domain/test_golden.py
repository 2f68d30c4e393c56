"""Rows and partial counts that an earlier version wrote, read by the rules of today."""

from collections.abc import Iterator
from itertools import chain, count
from typing import Any

import msgspec
import orjson
import pytest

from tests.support.golden import traffic, verdicts
from tests.support.golden.forms import FORMS, has_price_below_zero
from tests.support.golden.product import (
    CAMPAIGN_PREFIX,
    COUNTS_PREFIX,
    GENERATION_KEY,
    MESSAGE_PREFIX,
    POSITION,
    SMS_PREFIX,
    TALLY_KEY,
    CampaignStage,
    Policy,
    Position,
    Tallying,
    bucket_of,
    campaign_key,
    campaign_view,
    find_message,
    find_sms,
    forget_due,
    message_key,
    message_view,
    partition_of,
    read_message,
    read_tally,
    stream_time,
)
from tests.support.golden.rules import rules_of_then
from tests.support.golden.single import Single, placed, position_of, without_generation
from tests.support.golden.stored import TABLES, Golden, golden_sets
from tests.support.memory_rows import MemoryRows, outputs_of

RETENTION_MS = Policy().retention_ms
FIRST = golden_sets()[0]
"""That of 0.1.0, which left out dates in the future and took prices below zero."""


@pytest.fixture(params=golden_sets(), ids=lambda golden: golden.folder.name)
def golden(request: pytest.FixtureRequest) -> Golden:
    """Give each golden set."""
    found: Golden = request.param
    return found


def rows_of(golden: Golden, prefix: bytes) -> Iterator[tuple[MemoryRows, bytes, bytes]]:
    """Yield the SMS rows with this key prefix: all rows of the partition, key, bytes; fails when there are none."""
    found = [
        (rows, key, raw)
        for rows in golden.memory("sms").values()
        for key, raw in rows.written.items()
        if key.startswith(prefix)
    ]
    assert found
    yield from found


def agrees(answer: Any, given: Any) -> bool:  # noqa: ANN401 - JSON
    """Tell whether today's answer has all fields and values of the earlier one; it may have more fields."""
    if isinstance(answer, dict) and isinstance(given, dict):
        return all(name in given and agrees(value, given[name]) for name, value in answer.items())
    if isinstance(answer, list) and isinstance(given, list):
        return len(answer) == len(given) and all(map(agrees, answer, given))
    return bool(answer == given)


def without_later_fields(row: Any, before: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a row without the values at the ends of its lists that an earlier version did not write."""
    if isinstance(row, list) and isinstance(before, list):
        return [without_later_fields(*both) for both in zip(row, before, strict=False)]
    return row


def of_sms(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without the state of its message, which may have moved on since with another SMS."""
    return {name: value for name, value in record.items() if name == "message_id" or not name.startswith("message_")}


def as_json(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the answer as its reader decodes it."""
    return orjson.loads(orjson.dumps(value))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_stored_state_is_in_a_golden_set(form: str) -> None:
    assert any(FORMS[form](golden) for golden in golden_sets())


def test_a_price_below_zero_that_the_first_version_took_is_in_its_set() -> None:
    assert has_price_below_zero(FIRST)


def test_messages_and_their_sms_give_the_answers_of_then(golden: Golden) -> None:
    told = {status["sms_key"]: status for status in golden.answers("sms.status")}
    memory, answers = golden.memory("sms"), golden.answers("messages")
    for answer in answers:
        key = answer.pop("row").encode()
        given = as_json(message_view(memory[answer.pop("partition")], key))
        answer["sms"] = [told[sms] if isinstance(sms, str) else sms for sms in answer["sms"]]
        assert agrees(answer, given), key
    assert len(answers) == len([*rows_of(golden, MESSAGE_PREFIX)])


def test_every_sms_is_found_by_its_key(golden: Golden) -> None:
    told = {status["sms_key"]: status for status in golden.answers("sms.status")}
    for rows, key, _ in rows_of(golden, MESSAGE_PREFIX):
        message = find_message(rows, key)
        assert message is not None
        for sms in message.parts:
            assert agrees(of_sms(told[sms.key]), as_json(find_sms(rows, sms.key.upper())))


def test_every_row_of_the_index_names_a_message(golden: Golden) -> None:
    for rows, key, _ in rows_of(golden, SMS_PREFIX):
        assert (find_sms(rows, key[len(SMS_PREFIX) :].decode()) or {})["message_id"] == rows.get(key)


def test_totals_are_those_of_then(golden: Golden) -> None:
    memory = golden.memory("sms")
    for answer in golden.answers("tallies"):
        assert agrees(answer, {"partition": answer["partition"], **read_tally(memory[answer["partition"]])})


def test_campaigns_give_the_answers_of_then(golden: Golden) -> None:
    memory = golden.memory("campaigns").values()
    for answer in golden.answers("campaigns"):
        views = [campaign_view(rows, campaign_key(answer["campaign_tracking_id"])) for rows in memory]
        (given,) = [view for view in views if view]
        assert agrees(verdicts.of_stored_rows(golden, answer), as_json(given))
    assert len(golden.answers("campaigns")) == sum(len(rows.with_prefix(CAMPAIGN_PREFIX)) for rows in memory)


def test_a_row_that_nothing_changed_is_written_as_it_was(golden: Golden) -> None:
    for _, key, raw in rows_of(golden, MESSAGE_PREFIX):
        written = msgspec.to_builtins(read_message(raw)[0])
        assert msgspec.json.encode(without_later_fields(written, orjson.loads(raw))) == raw, key
    for _, key, raw in rows_of(golden, COUNTS_PREFIX):
        assert msgspec.json.encode(Tallying(orjson.loads(raw)).row()) == raw, key
    for rows in chain(*(golden.memory(table).values() for table in TABLES)):
        for key in [key for key in rows.written if key[:1] != b"\0" or key == GENERATION_KEY]:
            before = rows.written[key]
            rows.put(key, rows.get(key))
            assert rows.written[key] == before


def test_positions_are_read_and_written_as_they_were(golden: Golden) -> None:
    written = [rows[POSITION] for table in TABLES for rows in golden.rows(table).values() if POSITION in rows]
    assert [Position.parse(position).written() for position in written] == written
    for number, committed in golden.meta["committed"]["callbacks.raw"].items():
        assert position_of(golden, "sms", int(number)).offset >= committed


def test_every_message_is_listed_to_be_forgotten(golden: Golden) -> None:
    """Buckets, chunks and leaps are read: in the far future no row of messages, index or buckets is left."""
    for rows in golden.memory("sms").values():
        tally = read_tally(rows)
        end = stream_time(tally) + 10 * RETENTION_MS
        oldest, last = tally["oldest"], bucket_of(end - RETENTION_MS)
        for _ in range(100):
            oldest = forget_due(rows, oldest, end, RETENTION_MS, 1_000)
        assert oldest == last
        left = [key for key in rows.written if key[:2] in {MESSAGE_PREFIX, SMS_PREFIX, b"x:"}]
        assert left == []


def test_buckets_that_time_leapt_over_are_skipped_as_one(golden: Golden) -> None:
    leaps = [(rows, leap) for rows, _, raw in rows_of(golden, b"l:") for leap in orjson.loads(raw)]
    for rows, (first, end) in leaps:
        clock = stream_time(read_tally(rows)) + 10 * RETENTION_MS
        assert end - first > 100
        assert forget_due(rows, first - 1, clock, RETENTION_MS, 1) == end


def test_partial_counts_and_reports_lead_to_the_rows_of_then(golden: Golden) -> None:
    """The lines of the internal topic, taken in from the beginning, and a second time."""
    for number, stored in golden.memory("campaigns").items():
        rows, end = MemoryRows(), position_of(golden, "campaigns", number).offset
        records = [one for one in golden.records("campaign.partials") if one.partition == number and one.offset < end]
        for record in records + records:
            taken = CampaignStage().apply(rows, number, record.offset, record.value or b"")
            assert outputs_of(taken) == [], "no rejection"
        for key in stored.with_prefix(CAMPAIGN_PREFIX):
            answer = campaign_view(stored, key)
            assert answer
            # These rows begin in another generation.
            view = {**(campaign_view(rows, key) or {}), "generation": answer.get("generation")}
            assert agrees(verdicts.of_all_reports(golden, answer), view)
        assert rows.with_prefix(TALLY_KEY) == stored.with_prefix(TALLY_KEY)


def test_further_records_lead_to_the_same_as_if_one_version_had_taken_in_everything(golden: Golden) -> None:
    """Compares rows, counts, revisions and public records, also of records held back or left in the middle."""
    with rules_of_then(golden):
        whole = Single(golden).take_in(placed(golden, traffic.later()))
    on = Single.on_from(golden).take_in(placed(golden, traffic.later()))
    assert on.state == whole.state
    assert "bug" not in {rejection["reason"] for rejection in whole.rejected + on.rejected}
    for number, told in on.told.items():
        assert told
        assert without_generation(told) == without_generation(whole.told[number][-len(told) :])


def test_a_message_that_begins_later_has_a_higher_generation(golden: Golden) -> None:
    single, at = Single.on_from(golden), traffic.LEAP + 48
    names = (f"today-{number}" for number in count())
    name = next(name for name in names if partition_of(name, golden.partitions) == traffic.GENERAL)
    single.take_in(placed(golden, [traffic.raw(traffic.GENERAL, at, traffic.plain(name, "Sent", at))]))
    _, value = single.told[traffic.GENERAL][-1]
    rows = golden.rows("sms")[traffic.GENERAL]
    stored = [read_message(raw)[0].generation for key, raw in rows.items() if key.startswith(MESSAGE_PREFIX)]
    record = orjson.loads(value or b"")
    assert record["message_id"] == name
    assert record["generation"] > max(stored)


def test_a_status_whose_future_date_was_left_out_takes_it_with_the_next_copy() -> None:
    golden = FIRST
    single, key = Single.on_from(golden), message_key(traffic.FUTURE)
    rows, dated = single.sms[traffic.GENERAL], traffic.at(traffic.LEAP + 48)
    assert dated != (message_view(rows, key) or {})["sms"][0]["status_updated_at"]
    copy = traffic.plain(traffic.FUTURE, "Sent", traffic.LEAP + 48)
    single.take_in(placed(golden, [traffic.raw(traffic.GENERAL, traffic.LEAP + 2, copy, copy)]))
    (sms,) = (message_view(rows, key) or {})["sms"]
    assert (sms["status_updated_at"], sms["revision"], sms["conflicts"]) == (dated, 2, 0)
