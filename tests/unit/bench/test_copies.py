"""A worker writes the same rows as are generated, byte for byte."""

from collections.abc import Mapping
from itertools import islice

import pytest

from streams.contract.keys import partition_of
from streams.domain.message import MESSAGE_PREFIX, SMS_PREFIX
from streams.domain.policy import Policy
from streams.domain.sms_stage import PIECE_CALLBACKS, SmsStage
from streams.state.rows.partition import Origin, Partition
from streams.state.rows.reserved_keys import PARTITIONS
from streams.state.rows.throttle import Throttle
from tests.bench.copies import CopiedPartition, arrivals, ids

NUMBER, OF = 3, 8
NOW = 1_795_339_014_000
TOPIC_ID = "topic-id"

Rows = Mapping[bytes, bytes | None]


def put(stored: dict[bytes, bytes], rows: Rows) -> None:
    for key, row in rows.items():
        if row is None:
            stored.pop(key, None)
        else:
            stored[key] = row


def fed(count: int, flush_every: int) -> dict[bytes, bytes]:
    """Return the rows of a partition that took in an envelope of each record."""
    stored: dict[bytes, bytes] = {}
    partition = Partition(NUMBER, SmsStage(Policy()), stored.get, Throttle(0.0), Origin(TOPIC_ID))
    partition.rows.put(PARTITIONS, OF)
    for offset, arrived in enumerate(arrivals(NUMBER, OF, count, NOW)):
        assert [*partition.take_in(offset, arrived.envelope())]
        if offset % flush_every == 0:
            put(stored, partition.seal(0.0).rows)
    put(stored, partition.seal(0.0).rows)
    return stored


def copied(count: int, flush_every: int) -> dict[bytes, bytes]:
    stored: dict[bytes, bytes] = {}
    partition = CopiedPartition(NUMBER, OF, TOPIC_ID)
    for offset, arrived in enumerate(arrivals(NUMBER, OF, count, NOW)):
        assert partition.take_in(arrived) > 0
        if offset % flush_every == 0:
            put(stored, partition.seal())
    put(stored, partition.seal())
    return stored


@pytest.mark.parametrize(("count", "flush_every"), [(1, 1), (2_000, 3), (20_000, 7)])
def test_copied_rows_are_those_of_the_rules(count: int, flush_every: int) -> None:
    """Of 20,000 SMS in a day nine of ten are copies; the flushes need not be the same."""
    rows = copied(count, flush_every)
    assert rows == fed(count, flush_every + 1)
    assert sum(key.startswith(MESSAGE_PREFIX) for key in rows) == count
    assert sum(key.startswith(SMS_PREFIX) for key in rows) == count


def test_an_id_belongs_to_its_partition_and_comes_once() -> None:
    for partitions in (1, 3, 8, 64):
        for number in {0, partitions // 2, partitions - 1}:
            found = [*islice(ids(number, partitions), 500)]
            assert {partition_of(one, partitions) for one in found} == {number}
            assert len({*found}) == 500


def test_other_seeds_make_other_ids() -> None:
    assert not {*islice(ids(0, 8, seed=1), 100)} & {*islice(ids(0, 8, seed=2), 100)}


def test_a_record_is_one_piece_and_holds_all_sms() -> None:
    records = [*arrivals(NUMBER, OF, 100_000, NOW)]
    assert max(len(one.messages) for one in records) <= PIECE_CALLBACKS
    assert [one.first for one in records] == [sum(len(b.messages) for b in records[:at]) for at in range(len(records))]
    assert sum(len(one.messages) for one in records) == 100_000
    assert records[-1].received == NOW
