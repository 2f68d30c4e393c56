"""
When a batch is due, and which offsets may be committed after it.
"""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.batch import Batch, Limits
from sinks.source import TopicPartition
from tests.unit.sinks.records import TOPIC, record

LIMITS = Limits(rows=10, nbytes=5000, seconds=2.0)
ZERO = TopicPartition(TOPIC, 0)
ONE = TopicPartition(TOPIC, 1)


def test_an_empty_batch_is_never_due() -> None:
    batch = Batch(LIMITS)
    batch.add(ZERO, [], now=0)
    assert math.isinf(batch.due_in(now=1e9))


def test_it_is_due_when_it_is_old_enough_counted_from_its_first_record() -> None:
    batch = Batch(LIMITS)
    batch.add(ZERO, [record(0)], now=100.0)
    batch.add(ZERO, [record(1)], now=101.5)
    assert batch.due_in(now=101.5) == pytest.approx(0.5)
    assert batch.due_in(now=102.0) == 0


def test_it_is_due_at_once_when_it_has_all_its_rows() -> None:
    batch = Batch(LIMITS)
    batch.add(ZERO, [record(offset) for offset in range(9)], now=0)
    assert (batch.rows_until_due, batch.due_in(now=0)) == (1, 2.0)
    batch.add(ONE, [record(0)], now=0)
    assert (batch.rows_until_due, batch.due_in(now=0)) == (0, 0.0)


def test_a_due_batch_still_grows_until_it_has_all_its_bytes() -> None:
    batch = Batch(LIMITS)
    batch.add(ZERO, [record(offset) for offset in range(12)], now=0)
    assert (batch.rows_until_due, batch.is_full) == (0, False)
    batch.add(ZERO, [record(12, b"x" * 5000)], now=0)
    assert (len(batch), batch.is_full) == (13, True)


def test_it_is_due_at_once_when_it_has_all_its_bytes() -> None:
    batch = Batch(LIMITS)
    batch.add(ZERO, [record(0, b"x" * 5000)], now=0)
    assert (batch.rows_until_due, batch.is_full, batch.due_in(now=0)) == (0, True, 0.0)


def test_bytes_are_those_of_the_values_and_of_the_objects_around_them() -> None:
    batch, empty = Batch(LIMITS), Batch(LIMITS)
    batch.add(ZERO, [record(0, None), record(1, b"12345")], now=0)
    empty.add(ZERO, [record(0, None), record(1, None)], now=0)
    assert batch.nbytes == empty.nbytes + 5
    assert empty.nbytes >= 2 * sum(map(sys.getsizeof, (record(0), 1 << 40, 1 << 40, b"")))


def test_positions_are_after_the_last_record_of_each_partition() -> None:
    batch = Batch(LIMITS)
    batch.add(ZERO, [record(4), record(7)], now=0)
    batch.add(ONE, [record(0)], now=0)
    assert batch.positions == {ZERO: 8, ONE: 1}


def test_a_position_without_records_is_due_by_its_age_and_takes_no_room() -> None:
    batch = Batch(LIMITS)
    batch.pass_over(ZERO, 5, now=100.0)
    assert (len(batch), batch.nbytes, batch.positions, batch.due_in(now=101.5)) == (0, 0, {ZERO: 5}, 0.5)
    batch.add(ZERO, [record(7)], now=101.0)
    assert (batch.positions, batch.due_in(now=102.0)) == ({ZERO: 8}, 0)
    batch.pass_over(ZERO, 20, now=101.0)
    assert batch.positions == {ZERO: 20}


def test_a_position_is_dropped_with_its_partition() -> None:
    batch = Batch(LIMITS)
    batch.pass_over(ZERO, 5, now=0)
    assert batch.drop([ZERO]) == 0
    assert (batch.positions, batch.due_in(now=1e9)) == ({}, math.inf)


def test_dropped_records_are_neither_written_nor_committed() -> None:
    batch = Batch(LIMITS)
    batch.add(ZERO, [record(4, b"123")], now=0)
    batch.add(ONE, [record(0, b"4567")], now=0)
    assert batch.drop([ZERO]) == 1
    only = Batch(LIMITS)
    only.add(ONE, [record(0, b"4567")], now=0)
    assert (batch.positions, len(batch), batch.nbytes) == ({ONE: 1}, 1, only.nbytes)


def test_a_batch_is_empty_again_when_all_its_records_are_dropped() -> None:
    batch = Batch(LIMITS)
    batch.add(ZERO, [record(4)], now=0)
    batch.drop([ZERO, ONE])
    assert math.isinf(batch.due_in(now=1e9))
    batch.add(ONE, [record(1)], now=50.0)
    assert batch.due_in(now=50.0) == LIMITS.seconds


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.booleans()), max_size=30))
def test_rows_and_bytes_are_always_those_of_the_records_held(steps: list[tuple[int, int, bool]]) -> None:
    batch = Batch(Limits(rows=1_000, nbytes=10_000, seconds=1))
    for partition, count, drop in steps:
        if drop:
            batch.drop([TopicPartition(TOPIC, partition)])
        else:
            batch.add(TopicPartition(TOPIC, partition), [record(n, b"x" * n) for n in range(count)], now=0)
    held = [found for records in batch.records.values() for found in records]
    again = Batch(LIMITS)
    again.add(ZERO, held, now=0)
    assert (len(batch), batch.nbytes) == (len(held), again.nbytes)
