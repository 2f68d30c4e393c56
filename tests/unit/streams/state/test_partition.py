"""Records applied to one partition, and its checkpoints."""

from collections.abc import Collection, Iterable, Iterator
from typing import ClassVar

from streams.contract.topics import CAMPAIGN_PROGRESS, SMS_STATUS
from streams.domain.stage import GENERATION_KEY, Ending, Output, Piece, Rows
from streams.state.rows import endings
from streams.state.rows.partition import Checkpoint, Origin, Partition
from streams.state.rows.position import Position
from streams.state.rows.reserved_keys import ENDING, HELD, POSITION, SOURCE
from streams.state.rows.throttle import Throttle

FORGET_SECONDS = 6 * 60 * 60.0


class LastValue:
    """
    A stage with one row, the last value. Each value is an output, and the last one is also the summary at a flush.

    The values of a record are separated by commas, and each is a piece.
    """

    summarized: ClassVar[tuple[bytes, ...]] = (b"last",)
    forgettable: ClassVar[bytes | None] = b"last"

    def __init__(self) -> None:
        self.ended: list[Ending | None] = []

    def apply(  # noqa: PLR0917 - as in Stage
        self, rows: Rows, partition: int, offset: int, value: bytes, begin: int = 0, ended: Ending | None = None
    ) -> Iterator[Piece]:
        self.ended.append(ended)
        values = value.split(b",")
        for number, one in enumerate(values[begin:], begin + 1):
            rows.put(b"last", [partition, offset, one.decode()])
            rows.put(b"aside", offset)
            yield Piece([Output(SMS_STATUS, b"last", one)], number if number < len(values) else None)

    def summarize(self, rows: Rows, _partition: int, changed: Collection[bytes]) -> list[Output]:
        return [Output(CAMPAIGN_PROGRESS, key, rows.get(key)[2].encode()) for key in changed if rows.get(key)]

    def forget(self, rows: Rows, keys: Iterable[bytes]) -> int:
        """Delete the rows of the value `old`."""
        over = [key for key in keys if rows.get(key)[2] == "old"]
        for key in over:
            rows.delete(key)
        return len(over)


def partition(
    stored: dict[bytes, bytes] | None = None,
    interval: float = 0.0,
    held: Collection[bytes] = (),
    origin: Origin = Origin("topic-id"),  # noqa: B008 - it cannot be changed
) -> Partition:
    """Return partition 7 over a store."""
    return Partition(7, LastValue(), (stored or {}).get, Throttle(interval, held), origin)


def take_in(mine: Partition, offset: int, value: bytes) -> int:
    """Apply all pieces of a record; return the unflushed bytes."""
    return [*mine.take_in(offset, value)][-1]


def stored(*checkpoints: Checkpoint) -> dict[bytes, bytes]:
    """Return a store that contains these checkpoints."""
    rows: dict[bytes, bytes | None] = {}
    for checkpoint in checkpoints:
        rows |= checkpoint.rows
    return {key: row for key, row in rows.items() if row is not None}


def test_a_new_partition_contains_nothing_and_needs_no_flush() -> None:
    assert partition().position is None
    assert not partition().needs_flush(now=0.0)


def test_the_position_is_found_again_in_the_store() -> None:
    assert partition({POSITION: b"41"}).position == Position(42)
    assert partition({POSITION: b"42:1500"}).position == Position(42, 1500)


def test_a_checkpoint_has_all_outputs_in_order_then_the_summaries() -> None:
    mine = partition()
    take_in(mine, 0, b"x")
    take_in(mine, 1, b"y")
    outputs = mine.seal(now=0.0).outputs
    assert [(output.topic, output.value) for output in outputs] == [
        (SMS_STATUS, b"x"),
        (SMS_STATUS, b"y"),
        (CAMPAIGN_PROGRESS, b"y"),
    ]


def test_a_checkpoint_has_the_rows_and_the_position_that_they_contain() -> None:
    mine = partition()
    take_in(mine, 4, b"x")
    checkpoint = mine.seal(now=0.0)
    assert checkpoint.rows == {
        GENERATION_KEY: b"0",
        b"last": b'[7,4,"x"]',
        b"aside": b"4",
        POSITION: b"4",
        SOURCE: b"topic-id",
    }
    assert (checkpoint.partition, checkpoint.position) == (7, Position(5))


def test_the_topic_of_the_position_is_written_with_the_first_one_only() -> None:
    mine = partition()
    take_in(mine, 0, b"x")
    assert SOURCE in mine.seal(now=0.0).rows
    take_in(mine, 1, b"y")
    assert SOURCE not in mine.seal(now=0.0).rows
    again = partition({POSITION: b"1"})
    take_in(again, 2, b"z")
    assert SOURCE not in again.seal(now=0.0).rows


def test_a_new_partition_begins_at_the_first_record_that_still_exists() -> None:
    assert partition().next == 0
    assert partition(origin=Origin("topic-id", begin=40)).next == 40


def test_the_next_record_is_the_one_after_the_last_unless_the_source_begins_later() -> None:
    assert partition({POSITION: b"41"}).next == 42
    assert partition({POSITION: b"41"}, origin=Origin("topic-id", begin=7)).next == 42
    assert partition({POSITION: b"41"}, origin=Origin("topic-id", begin=50)).next == 50


def test_a_generation_is_given_to_rows_that_begin_and_stays_with_them() -> None:
    mine = partition(origin=Origin("topic-id", generation=12))
    take_in(mine, 0, b"x")
    assert mine.seal(now=0.0).rows[GENERATION_KEY] == b"12"
    again = partition({POSITION: b"0", GENERATION_KEY: b"12"}, origin=Origin("topic-id", generation=99))
    take_in(again, 1, b"x")
    assert GENERATION_KEY not in again.seal(now=0.0).rows
    assert again.rows.get(GENERATION_KEY) == 12


def test_after_a_seal_nothing_is_left_to_flush() -> None:
    mine = partition()
    take_in(mine, 0, b"x")
    before = (mine.unsealed, mine.needs_flush(now=0.0))
    mine.seal(now=0.0)
    assert before == (True, True)
    assert (mine.unsealed, mine.needs_flush(now=0.0)) == (False, False)


def test_a_key_that_is_held_back_leaves_a_mark_and_takes_it_away_when_it_goes() -> None:
    mine = partition(interval=1.0)
    take_in(mine, 0, b"x")
    assert HELD + b"last" not in mine.seal(now=0.0).rows
    take_in(mine, 1, b"y")
    held = mine.seal(now=0.5)
    assert held.rows[HELD + b"last"] == b"1"
    assert [output.topic for output in held.outputs] == [SMS_STATUS]
    take_in(mine, 2, b"z")
    assert HELD + b"last" not in mine.seal(now=0.6).rows, "it is marked already"
    gone = mine.seal(now=1.0)
    assert gone.rows[HELD + b"last"] is None
    assert [output.value for output in gone.outputs] == [b"z"]


def test_a_key_held_back_before_a_crash_is_summarized_without_a_new_record() -> None:
    mine = partition({POSITION: b"4", b"last": b'[7,4,"x"]'}, interval=1.0, held=[b"last"])
    assert mine.needs_flush(now=0.0)
    checkpoint = mine.seal(now=0.0)
    assert [output.value for output in checkpoint.outputs] == [b"x"]
    assert checkpoint.rows == {HELD + b"last": None, POSITION: b"4"}


def test_only_summarized_keys_are_throttled_and_held() -> None:
    """A row without a summary costs no further record in the changelog."""
    busy = partition(interval=10.0)
    take_in(busy, 0, b"a")
    busy.seal(now=0.0)
    take_in(busy, 1, b"b")
    rows = busy.seal(now=1.0).rows
    assert HELD + b"last" in rows
    assert b"aside" in rows
    assert HELD + b"aside" not in rows


def test_the_unflushed_bytes_count_outputs_and_rows() -> None:
    mine = partition()
    assert take_in(mine, 0, b"x" * 100_000) > 200_000
    assert take_in(mine, 1, b"y" * 100_000) > 300_000
    mine.seal(now=0.0)
    assert take_in(mine, 2, b"") < 1_000


def test_a_checkpoint_between_two_pieces_has_the_part_of_the_record_that_the_rows_contain() -> None:
    mine = partition()
    take_in(mine, 3, b"w")
    pieces = mine.take_in(4, b"x,y,z")
    next(pieces)
    checkpoint = mine.seal(now=0.0)
    assert checkpoint.rows[POSITION] == b"4:1"
    assert checkpoint.rows[b"last"] == b'[7,4,"x"]'
    assert (checkpoint.position, mine.next) == (Position(4, 1), 4), "a record contained in part must be read again"
    assert not mine.needs_flush(now=0.0)
    assert len([*pieces]) == 2
    assert mine.seal(now=0.0).rows[POSITION] == b"4"


def test_a_record_contained_in_part_goes_on_after_that_part() -> None:
    first = partition()
    next(first.take_in(0, b"x,y,z"))
    checkpoint = first.seal(now=0.0)
    again = partition(stored(checkpoint))
    take_in(again, 0, b"x,y,z")
    outputs = checkpoint.outputs + again.seal(now=0.0).outputs
    assert [output.value for output in outputs if output.topic is SMS_STATUS] == [b"x", b"y", b"z"]
    assert again.position == Position(1)


def test_after_a_partly_contained_record_expired_the_next_one_is_applied_from_its_beginning() -> None:
    mine = partition({POSITION: b"4:2"}, origin=Origin("topic-id", begin=9))
    assert mine.next == 9
    take_in(mine, 9, b"x,y,z")
    assert [output.value for output in mine.seal(now=0.0).outputs][:3] == [b"x", b"y", b"z"]


def test_a_position_is_read_as_it_is_written() -> None:
    for position in (Position(1), Position(42), Position(0, 7), Position(42, 1500)):
        assert Position.parse(position.written()) == position


def test_a_record_that_ended_three_workers_in_a_row_is_not_retried() -> None:
    mine, ended = partition(), []
    for _ in range(3):
        ended.append(mine.refused(5))
        mine = partition({ENDING: endings.written(mine.ending(5, 2))})
    assert ended == [None, None, None]
    assert mine.refused(5) == Ending(5, 2, 3)
    assert mine.refused(4) is None


def test_only_consecutive_endings_by_one_record_are_counted() -> None:
    mine = partition({ENDING: endings.written(Ending(5, None, 2))})
    assert mine.ending(6, None) == Ending(6, None, 1)
    assert mine.ending(5, 0) == Ending(5, 0, 3)


def test_an_ending_is_passed_to_the_stage_with_its_record_and_deleted_after_it() -> None:
    before = {ENDING: endings.written(Ending(0, None, 3))}
    stage = LastValue()
    mine = Partition(7, stage, before.get, Throttle(0.0), Origin("topic-id"))
    take_in(mine, 0, b"a,b")
    assert mine.seal(0.0).rows[ENDING] is None
    take_in(mine, 1, b"c")
    assert stage.ended == [Ending(0, None, 3), None]
    assert ENDING not in mine.seal(0.0).rows


def test_an_ending_survives_a_piece_of_its_record() -> None:
    mine = partition({ENDING: endings.written(Ending(0, 1, 1))})
    next(mine.take_in(0, b"a,b"))
    assert ENDING not in mine.seal(0.0).rows


def test_additions_of_a_later_version_to_a_position_or_an_ending_are_no_error() -> None:
    assert Position.parse(b"12:3:later") == Position(12, 3)
    assert endings.parse(b"12:3:1:later") == Ending(12, 3, 1)


def test_rows_that_are_over_are_deleted_with_the_next_checkpoint_and_make_no_output() -> None:
    first = partition()
    take_in(first, 0, b"old")
    rows = stored(first.seal(0.0))
    mine = partition(rows)
    assert mine.is_forgetting(0.0)
    mine.forget_slice(lambda prefix, _after: iter([(prefix, rows[prefix])]))
    assert not mine.is_forgetting(1.0)
    assert mine.unsealed
    checkpoint = mine.seal(1.0)
    assert (checkpoint.rows[b"last"], checkpoint.outputs) == (None, [])
    assert not mine.unsealed


def test_rows_are_looked_at_again_after_some_hours() -> None:
    mine = partition()
    take_in(mine, 0, b"young")
    assert mine.is_forgetting(0.0)
    mine.forget_slice(lambda _prefix, _after: iter([(b"last", b"")]))
    mine.seal(0.0)
    assert not mine.is_forgetting(FORGET_SECONDS - 1)
    assert mine.is_forgetting(FORGET_SECONDS)


def test_a_partition_without_any_record_has_nothing_to_forget() -> None:
    assert not partition().is_forgetting(0.0)
