"""Rows that a worker has at hand before it joins its group."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.errors import KafkaUnreachableError
from streams.state.store.stores import MemoryStore
from streams.state.succession.shares import Shares
from streams.state.succession.warm_up import AT_HAND_RECORDS, WarmUp

if TYPE_CHECKING:
    from streams.runtime.table import CheckpointedTable

PARTITIONS = 4


class Kept(MemoryStore):
    """A store with rows of an earlier run: a changelog offset of each partition."""

    def __init__(self, offsets: Mapping[int, int]) -> None:
        super().__init__()
        for partition, offset in offsets.items():
            self.open(partition)
            self.write(partition, {}, offset)


class Ends:
    """A reader that has the end offsets of changelogs, and no records."""

    def __init__(self, end: int) -> None:
        self._end = end

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the same end for all partitions."""
        return dict.fromkeys(tps, self._end)


def at_hand(kept: Mapping[int, int], held: Shares | Exception, end: int = 50_000) -> set[int]:
    """Return the partitions at hand of a worker, given the offsets of its rows and the shares of the other workers."""
    store = Kept(kept)
    table: Any = SimpleNamespace(
        store=store, open_store=store.open, checkpointer=SimpleNamespace(changelog="changelog")
    )

    def shares() -> Shares:
        if isinstance(held, Exception):
            raise held
        return held

    warm_up = WarmUp([cast("CheckpointedTable", table)], shares)
    return asyncio.run(warm_up.run(cast("AIOKafkaConsumer", Ends(end)), PARTITIONS))


def test_rows_of_an_earlier_run_are_at_hand_while_they_lack_few_records() -> None:
    lacking = {0: 49_999, 1: 49_999 - AT_HAND_RECORDS, 2: 49_998 - AT_HAND_RECORDS}
    assert at_hand(lacking, held={"other": {0, 1, 2, 3}}) == {0, 1}


def test_rows_that_reach_further_than_the_changelog_are_not_at_hand() -> None:
    assert at_hand({0: 60_000}, held={}) == set()


def test_the_first_worker_of_a_group_has_nothing_to_wait_for() -> None:
    assert at_hand({}, held={}) == set()


def test_a_worker_that_joins_others_has_its_share_of_an_almost_empty_state_at_hand() -> None:
    assert at_hand({}, held={"other": {0, 1, 2, 3}}, end=10) == {2, 3}


def test_a_worker_that_cannot_see_the_others_joins_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    assert at_hand({}, held=KafkaUnreachableError("no broker")) == set()
    assert "cannot see who has which partitions: no broker" in caplog.text
