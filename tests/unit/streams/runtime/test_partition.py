"""What one partition has taken in, and the checkpoint that it becomes."""

from collections.abc import Collection
from typing import ClassVar

from streams.contract.topics import CAMPAIGN_PROGRESS, SMS_STATUS
from streams.domain.stage import GENERATION_KEY, Output, Rows
from streams.state.control import HELD, POSITION, SOURCE
from streams.state.partition import Origin, Partition
from streams.state.throttle import Throttle


class LastValue:
    """A stage: one row with the last value; each value is an output, and so is the last one at a flush."""

    summarized: ClassVar = b"last"

    def apply(self, rows: Rows, partition: int, offset: int, value: bytes) -> list[Output]:
        rows.put(b"last", [partition, offset, value.decode()])
        rows.put(b"aside", offset)
        return [Output(SMS_STATUS, b"last", value)]

    def summarize(self, rows: Rows, _partition: int, changed: Collection[bytes]) -> list[Output]:
        return [Output(CAMPAIGN_PROGRESS, key, rows.get(key)[2].encode()) for key in changed]


def partition(
    stored: dict[bytes, bytes] | None = None,
    interval: float = 0.0,
    held: Collection[bytes] = (),
    origin: Origin = Origin("topic-id"),  # noqa: B008 - it cannot be changed
) -> Partition:
    """Give partition 7 over a store."""
    return Partition(7, LastValue(), (stored or {}).get, Throttle(interval, held), origin)


def test_a_new_partition_has_applied_nothing_and_needs_no_flush() -> None:
    assert partition().applied is None
    assert not partition().needs_flush(now=0.0)


def test_the_position_is_found_again_in_the_store() -> None:
    assert partition({POSITION: b"41"}).applied == 41


def test_a_checkpoint_has_all_outputs_in_order_then_the_summaries() -> None:
    mine = partition()
    mine.take_in(0, b"x")
    mine.take_in(1, b"y")
    outputs = mine.seal(now=0.0).outputs
    assert [(output.topic, output.value) for output in outputs] == [
        (SMS_STATUS, b"x"),
        (SMS_STATUS, b"y"),
        (CAMPAIGN_PROGRESS, b"y"),
    ]


def test_a_checkpoint_has_the_rows_and_the_position_that_they_contain() -> None:
    mine = partition()
    mine.take_in(4, b"x")
    checkpoint = mine.seal(now=0.0)
    assert checkpoint.rows == {
        GENERATION_KEY: b"0",
        b"last": b'[7,4,"x"]',
        b"aside": b"4",
        POSITION: b"4",
        SOURCE: b"topic-id",
    }
    assert (checkpoint.partition, checkpoint.position) == (7, 4)


def test_the_topic_of_the_position_is_written_with_the_first_one_only() -> None:
    mine = partition()
    mine.take_in(0, b"x")
    assert SOURCE in mine.seal(now=0.0).rows
    mine.take_in(1, b"y")
    assert SOURCE not in mine.seal(now=0.0).rows
    again = partition({POSITION: b"1"})
    again.take_in(2, b"z")
    assert SOURCE not in again.seal(now=0.0).rows


def test_the_first_record_has_to_be_the_first_that_still_exists() -> None:
    assert partition().next == 0
    assert partition(origin=Origin("topic-id", begin=40)).next == 40


def test_the_next_record_is_the_one_after_the_last_unless_the_source_begins_later() -> None:
    assert partition({POSITION: b"41"}).next == 42
    assert partition({POSITION: b"41"}, origin=Origin("topic-id", begin=7)).next == 42
    assert partition({POSITION: b"41"}, origin=Origin("topic-id", begin=50)).next == 50


def test_a_generation_is_given_to_rows_that_begin_and_stays_with_them() -> None:
    mine = partition(origin=Origin("topic-id", generation=12))
    mine.take_in(0, b"x")
    assert mine.seal(now=0.0).rows[GENERATION_KEY] == b"12"
    again = partition({POSITION: b"0", GENERATION_KEY: b"12"}, origin=Origin("topic-id", generation=99))
    again.take_in(1, b"x")
    assert GENERATION_KEY not in again.seal(now=0.0).rows
    assert again.rows.get(GENERATION_KEY) == 12


def test_after_a_seal_nothing_is_left_to_flush() -> None:
    mine = partition()
    mine.take_in(0, b"x")
    before = (mine.unsealed, mine.needs_flush(now=0.0))
    mine.seal(now=0.0)
    assert before == (True, True)
    assert (mine.unsealed, mine.needs_flush(now=0.0)) == (False, False)


def test_a_key_that_is_held_back_leaves_a_mark_and_takes_it_away_when_it_goes() -> None:
    mine = partition(interval=1.0)
    mine.take_in(0, b"x")
    assert HELD + b"last" not in mine.seal(now=0.0).rows
    mine.take_in(1, b"y")
    held = mine.seal(now=0.5)
    assert held.rows[HELD + b"last"] == b"1"
    assert [output.topic for output in held.outputs] == [SMS_STATUS]
    mine.take_in(2, b"z")
    assert HELD + b"last" not in mine.seal(now=0.6).rows, "it is marked already"
    gone = mine.seal(now=1.0)
    assert gone.rows[HELD + b"last"] is None
    assert [output.value for output in gone.outputs] == [b"z"]


def test_what_was_held_back_before_a_crash_is_summarized_without_a_new_record() -> None:
    mine = partition({POSITION: b"4", b"last": b'[7,4,"x"]'}, interval=1.0, held=[b"last"])
    assert mine.needs_flush(now=0.0)
    checkpoint = mine.seal(now=0.0)
    assert [output.value for output in checkpoint.outputs] == [b"x"]
    assert checkpoint.rows == {HELD + b"last": None, POSITION: b"4"}


def test_only_summarized_keys_are_throttled_and_held() -> None:
    """What has no summary costs no record in the changelog beside its row."""
    busy = partition(interval=10.0)
    busy.take_in(0, b"a")
    busy.seal(now=0.0)
    busy.take_in(1, b"b")
    rows = busy.seal(now=1.0).rows
    assert HELD + b"last" in rows
    assert b"aside" in rows
    assert HELD + b"aside" not in rows


def test_what_waits_counts_outputs_as_well_as_rows() -> None:
    mine = partition()
    assert mine.take_in(0, b"x" * 100_000) > 200_000
    assert mine.take_in(1, b"y" * 100_000) > 300_000
    mine.seal(now=0.0)
    assert mine.take_in(2, b"") < 1_000
