"""
Large records: each piece fits in a checkpoint, and another worker may go on after it.
"""

import itertools
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain import campaign_stage, sms_stage
from streams.domain.campaign_stage import CampaignStage
from streams.domain.listing import CHUNK_KEYS
from streams.domain.policy import Policy
from streams.domain.sms_stage import PIECE_CALLBACKS, SmsStage
from streams.domain.stage import PIECE_BYTES, Output, Stage
from streams.domain.tally import read_tally
from streams.runtime.table import HARD_LIMIT_BYTES
from streams.state.changelog.batches import MAX_BATCH_BYTES
from streams.state.rows.overlay import Overlay
from tests.builders import NOW, envelope, sms_callback
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.pipeline import partials_in
from tests.unit.streams.domain.test_properties import MIXED, QUICK

LARGE_PARTS = 50
A_MONTH_LATER = "2026-12-22T12:00:00.000Z"
LARGE_TEXT = "x" * 4096


class Stored:
    """The rows of a partition over those of all checkpoints before; `flush` gives the size of the next one."""

    def __init__(self) -> None:
        self.store: dict[bytes, bytes] = {}
        self.rows = Overlay(self.store.get)

    def flush(self) -> int:
        size = self.rows.size
        for key, raw in self.rows.seal().items():
            if raw is None:
                self.store.pop(key, None)
            else:
                self.store[key] = raw
        return size


def large_message(number: int, word: str = "Queued", when: str = NOW) -> list[dict[str, Any]]:
    """Return the callbacks of a message whose row is over 200 KB long."""
    return [
        sms_callback(word, when, message_id=f"m{number}", sms_id=f"m{number}-{part}", message=LARGE_TEXT)
        for part in range(LARGE_PARTS)
    ]


def checkpoints(stage: Stage, stored: Stored, offset: int, value: bytes) -> list[int]:
    """Take in a record with a flush after each piece; return the size of each flush."""
    return [stored.flush() for _ in stage.apply(stored.rows, 0, offset, value)]


def test_an_envelope_of_a_usual_size_is_one_piece() -> None:
    value = envelope(*(sms_callback(message_id=f"m{n}") for n in range(PIECE_CALLBACKS)))
    (piece,) = SmsStage(Policy()).apply(MemoryRows(), 0, 0, value)
    assert (len(piece.outputs), piece.next) == (PIECE_CALLBACKS, None)
    (empty,) = SmsStage(Policy()).apply(MemoryRows(), 0, 0, envelope())
    assert empty == ([], None)


def test_a_large_envelope_is_several_pieces_one_after_the_other() -> None:
    value = envelope(*(sms_callback(message_id=f"m{n}") for n in range(2 * PIECE_CALLBACKS + 1)))
    pieces = [*SmsStage(Policy()).apply(MemoryRows(), 0, 0, value)]
    assert [piece.next for piece in pieces] == [PIECE_CALLBACKS, 2 * PIECE_CALLBACKS, None]
    places = [orjson.loads(output.value)["index"] for piece in pieces for output in piece.outputs]
    assert places == [*range(2 * PIECE_CALLBACKS + 1)]


def test_many_callbacks_of_messages_with_large_rows_are_pieces_that_fit_in_a_checkpoint() -> None:
    stage, stored = SmsStage(Policy()), Stored()
    messages = 100
    for number in range(messages):
        checkpoints(stage, stored, number, envelope(*large_message(number)))
    rows = sum(len(raw) for key, raw in stored.store.items() if key.startswith(b"m:"))
    assert rows > MAX_BATCH_BYTES, "in one piece they would not fit"
    tiny = [sms_callback("Delivered", message_id=f"m{n}", sms_id=f"m{n}-0") for n in range(messages)]
    sizes = checkpoints(stage, stored, messages, envelope(*tiny))
    assert len(sizes) > rows / PIECE_BYTES / 2
    assert HARD_LIMIT_BYTES + max(sizes) < MAX_BATCH_BYTES / 2
    assert read_tally(stored.rows)["verdicts"] == {"applied": messages * (LARGE_PARTS + 1)}


def test_messages_with_large_rows_are_forgotten_in_pieces_that_fit_in_a_checkpoint() -> None:
    """One index row lists a hundred of them, so one envelope may find them all due."""
    stage, stored = SmsStage(Policy(retention_hours=48)), Stored()
    for number in range(CHUNK_KEYS):
        checkpoints(stage, stored, number, envelope(*large_message(number, "Delivered")))
    sizes, rows = [], []
    for offset in range(CHUNK_KEYS, CHUNK_KEYS + 40):
        callbacks = [sms_callback(at=A_MONTH_LATER, message_id="late") for _ in range(PIECE_CALLBACKS)]
        sizes += checkpoints(stage, stored, offset, envelope(*callbacks, received_at=A_MONTH_LATER))
        rows.append(sum(key.startswith(b"m:") for key in stored.store))
    assert max(before - after for before, after in itertools.pairwise(rows)) < CHUNK_KEYS / 5
    assert rows[-1] == 1
    assert not [key for key in stored.store if key.startswith(b"s:m")]


@QUICK
@given(MIXED, st.data())
def test_after_any_piece_another_worker_may_go_on(envelopes: list[list[Any]], data: st.DataObject) -> None:
    value = envelope(*itertools.chain(*envelopes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sms_stage, "PIECE_CALLBACKS", 3)
        whole = MemoryRows()
        outputs = outputs_of(SmsStage(Policy()).apply(whole, 0, 0, value))
        rows, told = MemoryRows(), list[Output]()
        begin: int | None = 0
        while begin is not None:
            for piece in SmsStage(Policy()).apply(rows, 0, 0, value, begin):
                told += piece.outputs
                begin = piece.next
                if data.draw(st.booleans()):
                    break
            rows = rows.reloaded()
    assert told == outputs
    assert rows.rows == whole.rows


@QUICK
@given(MIXED)
def test_where_pieces_end_changes_no_verdict_no_revision_and_no_count(envelopes: list[list[Any]]) -> None:
    value = envelope(*itertools.chain(*envelopes))
    whole, cut = MemoryRows(), MemoryRows()
    outputs = outputs_of(SmsStage(Policy()).apply(whole, 0, 0, value))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sms_stage, "PIECE_CALLBACKS", 2)
        assert outputs_of(SmsStage(Policy()).apply(cut, 0, 0, value)) == outputs
    assert _counts(cut) == _counts(whole)
    tally, expected = read_tally(cut), read_tally(whole)
    assert (tally["accepted"], tally["verdicts"]) == (expected["accepted"], expected["verdicts"])


@QUICK
@given(MIXED, st.data())
def test_when_rows_are_flushed_changes_no_byte_of_them(envelopes: list[list[Any]], data: st.DataObject) -> None:
    _require_the_same(envelopes, lambda: data.draw(st.booleans()))


def test_when_rows_are_flushed_changes_no_count_of_words_that_come_and_go() -> None:
    coming = [[sms_callback(f"word {n}", message_id=f"m{n}")] for n in range(20)]
    going = [[sms_callback("Delivered", message_id=f"m{n}")] for n in range(20)]
    others = [[sms_callback(f"other word {n}", message_id=f"other {n}")] for n in range(20)]
    _require_the_same([*coming, *going, *others], lambda: True)


def _require_the_same(envelopes: list[list[Any]], is_flushed: Callable[[], bool]) -> None:
    """Require the same rows and outputs whether rows are flushed after some envelopes or only in the end."""
    often, once, stage = Stored(), Stored(), SmsStage(Policy())
    for offset, callbacks in enumerate(envelopes):
        value = envelope(*callbacks)
        outputs = outputs_of(stage.apply(once.rows, 0, offset, value))
        assert outputs_of(stage.apply(often.rows, 0, offset, value)) == outputs
        if is_flushed():
            often.flush()
    often.flush()
    once.flush()
    assert often.store == once.store


def _counts(rows: MemoryRows) -> dict[bytes, Any]:
    return {key: {**counts, "taken": 0, "touched": []} for key, counts in rows.with_prefix(b"c:").items()}


def test_of_the_counts_after_two_pieces_of_an_envelope_the_later_stay_in_any_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sms_stage, "PIECE_CALLBACKS", 2)
    stage, rows = SmsStage(Policy()), MemoryRows()
    partials = list[bytes]()
    for _ in stage.apply(rows, 0, 0, envelope(*(sms_callback(message_id=f"m{n}") for n in range(5)))):
        partials += partials_in(stage.summarize(rows, 0, rows.changed))
    for order in itertools.permutations(partials):
        assert _messages(order) == 5
    old = orjson.loads(partials[-1])
    del old["counts"]["taken"]
    old["counts"]["messages"] = {"Queued": 4}
    assert _messages([orjson.dumps(old), partials[-1]]) == 5, "counts of an older version have no `taken`"


def _messages(partials: Any) -> int:  # noqa: ANN401
    rows = MemoryRows()
    for offset, value in enumerate(partials):
        outputs_of(CampaignStage().apply(rows, 0, offset, value))
    (campaign,) = rows.with_prefix(b"t:").values()
    (counts,) = campaign["sources"].values()
    return sum(counts["messages"].values())


def test_partials_of_campaigns_with_large_rows_are_pieces_after_each_of_which_another_worker_may_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, rows = SmsStage(Policy()), MemoryRows()
    callbacks = [sms_callback(message_id=f"m{n}", campaign=f"c{n}") for n in range(20)]
    outputs_of(stage.apply(rows, 0, 0, envelope(*callbacks)))
    value = b"\n".join(partials_in(stage.summarize(rows, 0, rows.changed)))
    whole = MemoryRows()
    (piece,) = CampaignStage().apply(whole, 0, 7, value)
    monkeypatch.setattr(campaign_stage, "PIECE_BYTES", 2000)
    mine, pieces = MemoryRows(), 0
    begin: int | None = 0
    while begin is not None:
        piece = next(CampaignStage().apply(mine, 0, 7, value, begin))
        begin, pieces, mine = piece.next, pieces + 1, mine.reloaded()
    assert pieces > 3
    assert mine.rows == whole.rows


def test_the_rows_a_piece_may_touch_leave_room_in_a_checkpoint() -> None:
    """Rows taken in and rows forgotten, on top of waiting ones; a message's row is at most 256 KB longer."""
    assert HARD_LIMIT_BYTES + 2 * (PIECE_BYTES + 256 * 1024) < MAX_BATCH_BYTES / 2
