"""Restoring: batches of a changelog go into a store in pieces, each with the offset that it reaches."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.state import turns
from streams.state.store.stores import MemoryStore
from streams.state.succession.restore import FAR_RECORDS, restore

TP = TopicPartition("changelog", 2)
Write = tuple[str, int, int | None]
"""How rows were written, how many, and the offset."""


class Watched(MemoryStore):
    """A store that notes each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[Write] = []
        self.third: asyncio.Event | None = None
        """Set after the third write."""
        self.open(TP.partition)

    def write(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Write rows and offset."""
        self.writes.append(("write", len(rows), offset))
        super().write(partition, rows, offset)

    def load(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int) -> None:
        """Write rows and offset."""
        self.writes.append(("load", len(rows), offset))
        if self.third is not None and len(self.writes) == 3:
            self.third.set()
        super().write(partition, rows, offset)


class Changelog:
    """A consumer of a partition that has a record at each offset, except for the gaps that compaction left."""

    def __init__(self, end: int, per_batch: int, gaps: Iterable[int] = ()) -> None:
        self._end = end
        self._per_batch = per_batch
        self._gaps = {*gaps}
        self._at = 0

    def assign(self, tps: list[TopicPartition]) -> None:
        """Take over the partition."""
        assert tps == [TP]

    async def seek_to_beginning(self, _: TopicPartition) -> None:
        """Go to the first record."""
        self._at = 0

    def seek(self, _: TopicPartition, offset: int) -> None:
        """Go to an offset."""
        self._at = offset

    async def position(self, _: TopicPartition) -> int:
        """Return the offset of the next record."""
        return self._at

    def pause(self, _: TopicPartition) -> None:
        """Read no more."""

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Iterator[Any]]]:  # noqa: ARG002
        """Return the next batches."""
        batches: list[Iterator[Any]] = []
        while self._at < self._end and len(batches) < max_records:
            end = min(self._at + self._per_batch, self._end)
            batches.append(iter([_record(at) for at in range(self._at, end) if at not in self._gaps]))
            self._at = end
        return {TP: batches}


def _record(offset: int) -> Any:  # noqa: ANN401 - as aiokafka's
    return SimpleNamespace(offset=offset, key=b"%d" % (offset % 7_000), value=None if offset % 10 else b"%d" % offset)


def rows_of(end: int, gaps: Iterable[int] = ()) -> dict[bytes, bytes]:
    last = {one.key: one.value for one in map(_record, range(end)) if one.offset not in {*gaps}}
    return {key: value for key, value in last.items() if value is not None}


def run(store: Watched, changelog: Changelog, end: int) -> int:
    return asyncio.run(restore(cast("AIOKafkaConsumer", changelog), {TP: (store, end - 1)}))


@pytest.mark.parametrize("per_batch", [1, 3, 499, 500, 501, 5_000, 30_000])
def test_all_records_come_in_pieces_with_the_offset_of_their_last(per_batch: int) -> None:
    store, end = Watched(), 12_345
    assert run(store, Changelog(end, per_batch), end) == end
    assert dict(store.scan(TP.partition, b"")) == rows_of(end)
    sizes = [size for how, size, _ in store.writes if how == "load"]
    assert max(sizes) <= 500
    offsets = [offset for _, _, offset in store.writes]
    assert offsets == sorted(offset for offset in offsets if offset is not None)
    assert store.offset(TP.partition) == end - 1


def test_pieces_are_not_as_small_as_the_batches_of_an_idle_worker() -> None:
    store = Watched()
    run(store, Changelog(20_000, per_batch=20), 20_000)
    assert len(store.writes) <= 20_000 // 500 + 1


def test_a_changelog_whose_last_records_were_compacted_is_restored_to_its_end() -> None:
    store, end, gaps = Watched(), 11_000, [3, *range(10_950, 11_000)]
    assert run(store, Changelog(end, 100, gaps), end) == end - len(gaps)
    assert dict(store.scan(TP.partition, b"")) == rows_of(end, gaps)
    assert store.offset(TP.partition) == end - 1


def test_few_records_stay_at_hand_and_many_are_loaded() -> None:
    store, near, far = Watched(), FAR_RECORDS, 2 * FAR_RECORDS + 1
    run(store, Changelog(near, 100), near)
    assert {how for how, _, _ in store.writes} == {"write"}
    store.writes.clear()
    run(store, Changelog(far, 100), far)
    assert {how for how, rows, _ in store.writes if rows} == {"load"}
    assert dict(store.scan(TP.partition, b"")) == rows_of(far)


def test_a_restore_that_is_cancelled_goes_on_behind_its_last_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the middle of a batch: each piece has its own offset."""
    monkeypatch.setattr(turns, "TURN_SECONDS", -1.0)  # each piece is a turn of its own
    store, end = Watched(), 40_000

    async def begin_and_cancel() -> None:
        third = store.third = asyncio.Event()
        changelog = Changelog(end, per_batch=30_000)
        task = asyncio.create_task(restore(cast("AIOKafkaConsumer", changelog), {TP: (store, end - 1)}))
        await third.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(begin_and_cancel())
    left_off = store.offset(TP.partition)
    assert left_off is not None
    assert left_off < 5_000
    assert dict(store.scan(TP.partition, b"")) == rows_of(left_off + 1)
    assert run(store, Changelog(end, per_batch=1_000), end) == end - left_off - 1
    assert dict(store.scan(TP.partition, b"")) == rows_of(end)
