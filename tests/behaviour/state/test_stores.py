"""One suite for every store: rows, offsets, partitions, reopening."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from streams.state.store.rocks import RocksMemory, RocksStore
from streams.state.store.stores import MAX_AGE_SECONDS, MemoryStore, Store, StoreError
from streams.state.store.write_behind import WriteBehind
from tests.support.wait import eventually

STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(),
    "rocksdict": lambda folder: RocksStore(folder, RocksMemory()),
    "write-behind": lambda folder: WriteBehind(RocksStore(folder, RocksMemory())),
    "write-behind without room": lambda folder: WriteBehind(RocksStore(folder, RocksMemory()), budget_bytes=0),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Return an empty store with partitions 0 and 1 open."""
    store = STORES[request.param](tmp_path)
    for partition in (0, 1):
        store.open(partition)
    yield store
    for partition in (0, 1):
        store.close(partition)


def test_a_new_partition_has_no_rows_and_no_offset(store: Store) -> None:
    assert store.read(0, b"a") is None
    assert store.offset(0) is None
    assert list(store.scan(0, b"")) == []


def test_rows_and_offset_are_read_back(store: Store) -> None:
    store.write(0, {b"a": b"1", b"b": b"2"}, 7)
    assert (store.read(0, b"a"), store.read(0, b"b"), store.offset(0)) == (b"1", b"2", 7)


def test_a_later_write_wins_and_none_deletes(store: Store) -> None:
    store.write(0, {b"a": b"1", b"b": b"2"}, 1)
    store.write(0, {b"a": b"3", b"b": None, b"never": None}, 4)
    assert (store.read(0, b"a"), store.read(0, b"b"), store.offset(0)) == (b"3", None, 4)


def test_a_write_without_rows_moves_the_offset(store: Store) -> None:
    store.write(0, {b"a": b"1"}, 1)
    store.write(0, {}, 9)
    assert (store.read(0, b"a"), store.offset(0)) == (b"1", 9)


def test_rows_without_an_offset_leave_it_as_it_was(store: Store) -> None:
    store.write(0, {b"a": b"1"}, 7)
    store.write(0, {b"a": b"2"}, None)
    assert (store.read(0, b"a"), store.offset(0)) == (b"2", 7)


def test_loaded_rows_are_newer_than_written_ones_and_older_than_the_next(store: Store) -> None:
    store.write(0, {b"a": b"1", b"b": b"1", b"c": b"1", b"d": b"1"}, 3)
    store.load(0, {b"b": b"2", b"c": None, b"d": b"2", b"never": None}, 7)
    assert store.offset(0) == 7
    assert dict(store.scan(0, b"")) == {b"a": b"1", b"b": b"2", b"d": b"2"}
    store.write(0, {b"d": b"3"}, None)
    assert (store.read(0, b"b"), store.read(0, b"d"), store.offset(0)) == (b"2", b"3", 7)
    store.load(0, {b"e": b"4", b"b": b"4"}, 9)
    assert dict(store.scan(0, b"")) == {b"a": b"1", b"b": b"4", b"d": b"3", b"e": b"4"}
    assert store.offset(0) == 9


def test_partitions_do_not_see_each_other(store: Store) -> None:
    store.write(0, {b"a": b"1"}, 7)
    assert store.read(1, b"a") is None
    assert store.offset(1) is None


def test_a_scan_finds_the_keys_with_a_prefix_and_nothing_else(store: Store) -> None:
    store.write(0, {b"p:1": b"1", b"p:2": b"2", b"q:1": b"3", b"p": b"4"}, 7)
    assert dict(store.scan(0, b"p:")) == {b"p:1": b"1", b"p:2": b"2"}


def test_portions_have_every_row_with_a_prefix_once_in_the_order_of_the_keys(store: Store) -> None:
    rows = {b"p:%02d" % n: b"%d" % n for n in range(20)}
    store.write(0, {**rows, b"p": b"before", b"o:1": b"before", b"q:1": b"behind"}, 7)
    for most in (1, 3, 7, 20, 100):
        found: dict[bytes, bytes] = {}
        after: bytes | None = b""
        while after is not None:
            portion, after = store.portion(0, b"p:", after, most)
            assert not found.keys() & portion.keys()
            found |= portion
        assert list(found.items()) == list(rows.items())


def test_a_portion_has_the_rows_as_they_are_by_then(store: Store) -> None:
    store.write(0, {b"p:%d" % n: b"old" for n in range(6)}, 7)
    first, after = store.portion(0, b"p:", b"", 2)
    assert [*first] == [b"p:0", b"p:1"]
    assert after == b"p:1"
    store.write(0, {b"p:1": None, b"p:2": b"new", b"p:3": None, b"p:35": b"new"}, 8)
    later, after = store.portion(0, b"p:", b"p:1", 100)
    assert later == {b"p:2": b"new", b"p:35": b"new", b"p:4": b"old", b"p:5": b"old"}
    assert after is None


def test_a_portion_keeps_nothing_open(store: Store) -> None:
    store.write(0, {b"p:%d" % n: b"" for n in range(6)}, 7)
    store.portion(0, b"p:", b"", 2)
    store.close(0)
    store.open(0)


def test_a_scan_of_everything_shows_rows_only(store: Store) -> None:
    store.write(0, {b"\0control": b"1", b"z": b"2"}, 7)
    assert dict(store.scan(0, b"")) == {b"\0control": b"1", b"z": b"2"}


def test_opening_an_open_partition_keeps_its_rows(store: Store) -> None:
    store.write(0, {b"a": b"1"}, 7)
    store.open(0)
    assert store.read(0, b"a") == b"1"


def test_a_cleared_partition_is_open_and_empty_and_the_others_are_not(store: Store) -> None:
    store.write(0, {b"a": b"1"}, 7)
    store.write(1, {b"b": b"2"}, 3)
    store.clear(0)
    assert (store.read(0, b"a"), store.offset(0)) == (None, None)
    assert (store.read(1, b"b"), store.offset(1)) == (b"2", 3)
    store.write(0, {b"c": b"3"}, 1)
    assert store.read(0, b"c") == b"3"


def test_a_closed_partition_is_opened_with_rows_and_offset_of_one_write(store: Store) -> None:
    """A store that keeps rows of a closed partition keeps their offset, too."""
    store.write(0, {b"a": b"1"}, 7)
    store.close(0)
    store.open(0)
    assert (store.read(0, b"a"), store.offset(0)) in {(b"1", 7), (None, None)}


def test_closing_a_closed_partition_does_nothing(store: Store) -> None:
    store.close(0)
    store.close(0)
    store.open(0)


def test_the_number_of_rows_is_about_right(store: Store) -> None:
    store.write(0, {b"%d" % number: b"x" for number in range(1000)}, 7)
    assert 1000 <= store.estimate_rows() <= 1010


class TestRocksStore:
    """Behaviour of the store on disk only."""

    def reopened(self, folder: Path, clock: Callable[[], float] = time.time) -> RocksStore:
        store = RocksStore(folder, RocksMemory(), clock)
        store.open(0)
        return store

    def test_rows_are_found_again(self, tmp_path: Path) -> None:
        first = self.reopened(tmp_path)
        first.write(0, {b"a": b"1"}, 7)
        first.close(0)
        second = self.reopened(tmp_path)
        assert (second.read(0, b"a"), second.offset(0)) == (b"1", 7)
        second.close(0)

    def test_rows_that_lay_unused_for_too_long_are_forgotten(self, tmp_path: Path) -> None:
        """Deletions in the meantime may not be in the changelog any more."""
        first = self.reopened(tmp_path, clock=lambda: 1000.0)
        first.write(0, {b"a": b"1"}, 7)
        first.close(0)
        second = self.reopened(tmp_path, clock=lambda: 1000.0 + MAX_AGE_SECONDS)
        assert second.offset(0) == 7
        second.close(0)
        third = self.reopened(tmp_path, clock=lambda: 1001.0 + MAX_AGE_SECONDS)
        assert (third.read(0, b"a"), third.offset(0)) == (None, None)
        third.close(0)

    def test_rows_without_an_offset_do_not_make_the_others_younger(self, tmp_path: Path) -> None:
        first = self.reopened(tmp_path, clock=lambda: 1000.0)
        first.write(0, {b"a": b"1"}, 7)
        first.close(0)
        second = self.reopened(tmp_path, clock=lambda: 1000.0 + MAX_AGE_SECONDS)
        second.write(0, {b"b": b"1"}, None)
        second.close(0)
        third = self.reopened(tmp_path, clock=lambda: 1001.0 + MAX_AGE_SECONDS)
        assert (third.read(0, b"b"), third.offset(0)) == (None, None)
        third.close(0)

    @pytest.mark.parametrize("kind", ["CURRENT", "MANIFEST-*", "*.sst"])
    def test_damaged_files_are_begun_anew(self, tmp_path: Path, kind: str) -> None:
        """Without them the changelog is restored; with them the worker could never start again."""
        first = self.reopened(tmp_path)
        first.write(0, {b"a": b"1"}, 7)
        first.close(0)
        (damaged,) = (tmp_path / "0").glob(kind)
        damaged.write_bytes(b"nonsense")
        second = self.reopened(tmp_path)
        assert (second.read(0, b"a"), second.offset(0)) == (None, None)
        second.write(0, {b"a": b"2"}, 8)
        second.close(0)
        third = self.reopened(tmp_path)
        assert (third.read(0, b"a"), third.offset(0)) == (b"2", 8)
        third.close(0)

    def test_files_of_a_load_are_merged_later_than_those_of_writes(self, tmp_path: Path) -> None:
        """A load writes each row as seldom as it can; from the next write on reads have few files to ask again."""
        store = RocksStore(tmp_path, RocksMemory())
        store.open(0)
        database = store._open[0]
        for offset in range(12):
            store.load(0, {b"%d" % offset: b"x", b"same": b"%d" % offset}, offset)
            database.flush()
        assert database.property_int_value("rocksdb.compaction-pending") == 0
        assert int(database.property_value("rocksdb.num-files-at-level0") or 0) == 12
        store.write(0, {b"same": b"last"}, 12)
        database.flush()
        eventually(lambda: int(database.property_value("rocksdb.num-files-at-level0") or 0) < 8)
        assert (store.read(0, b"same"), store.read(0, b"0"), store.offset(0)) == (b"last", b"x", 12)
        store.close(0)

    def test_no_write_waits_until_the_files_of_a_load_are_merged(self, tmp_path: Path) -> None:
        """It would hold up the event loop for seconds, after a load and in the midst of it."""
        store = RocksStore(tmp_path, RocksMemory())
        store.open(0)
        for offset in range(60):
            store.load(0, {b"%d" % offset: b"x"}, offset)
            store._open[0].flush()
        assert int(store._open[0].property_value("rocksdb.num-files-at-level0") or 0) == 60
        store.write(0, {b"last": b"x"}, 60)
        store.close(0)
        log = (tmp_path / "0" / "LOG").read_text()
        assert "Stopping writes" not in log
        assert "Stalling writes" not in log

    def test_a_database_that_is_opened_again_has_the_shared_cache_and_filters(self, tmp_path: Path) -> None:
        """Without filters a row that is not there is looked for in each file; a cache of its own is in no bound."""
        for offset in range(3):
            store = RocksStore(tmp_path, RocksMemory(cache_bytes=5 << 20))
            store.open(0)
            database = store._open[0]
            assert database.property_int_value("rocksdb.block-cache-capacity") == 5 << 20
            store.write(0, {b"%d" % offset: b"x"}, offset)
            database.flush()
            properties = database.property_value("rocksdb.aggregated-table-properties") or ""
            entries = dict(re.findall(r"(# entries(?: for filter)?)=(\d+)", properties))
            assert int(entries["# entries for filter"]) == int(entries["# entries"]) >= 3 * (offset + 1)
            store.close(0)

    def test_a_folder_that_cannot_be_used_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "0").write_text("a file")
        with pytest.raises(StoreError, match=re.escape(f"local state in {tmp_path / '0'}: ")):
            self.reopened(tmp_path)

    def test_a_folder_that_another_store_has_open_is_refused(self, tmp_path: Path) -> None:
        first = self.reopened(tmp_path)
        with pytest.raises(StoreError, match=r"lock|LOCK"):
            self.reopened(tmp_path)
        first.close(0)


class TestWriteBehind:
    """Behaviour of the write-behind store only."""

    ROW = b"x" * 1000

    @pytest.fixture
    def behind(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def store(self, behind: MemoryStore) -> WriteBehind:
        store = WriteBehind(behind, budget_bytes=100_000)
        store.open(0)
        return store

    def rows(self, first: int, count: int) -> dict[bytes, bytes | None]:
        return {b"%d" % number: self.ROW for number in range(first, first + count)}

    def test_the_last_writes_are_not_in_the_store_behind_yet(self, store: WriteBehind, behind: MemoryStore) -> None:
        store.write(0, {b"a": b"1"}, 7)
        assert (behind.read(0, b"a"), behind.offset(0)) == (None, None)

    def test_the_first_write_after_a_load_ends_it_in_the_store_behind(
        self, store: WriteBehind, behind: MemoryStore
    ) -> None:
        """Until then its files are not merged, however long the next flush takes to come."""
        store.load(0, {b"a": b"1"}, 7)
        store.write(0, {b"b": b"2"}, 9)
        assert (behind.read(0, b"b"), behind.offset(0)) == (b"2", 9)
        store.write(0, {b"c": b"3"}, 10)
        assert (behind.read(0, b"c"), behind.offset(0)) == (None, 9)
        assert [store.read(0, key) for key in (b"a", b"b", b"c")] == [b"1", b"2", b"3"]
        assert store.offset(0) == 10

    def test_a_deleted_row_is_gone_although_the_store_behind_still_has_it(
        self, store: WriteBehind, behind: MemoryStore
    ) -> None:
        behind.write(0, {b"a": b"1"}, 7)
        store.write(0, {b"a": None}, 8)
        assert store.read(0, b"a") is None
        assert list(store.scan(0, b"")) == []

    def test_too_many_rows_are_flushed_with_the_offset_that_they_reach(
        self, store: WriteBehind, behind: MemoryStore
    ) -> None:
        for at in range(0, 200, 10):
            store.write(0, self.rows(at, 10), at + 9)
            offset = behind.offset(0)
            assert behind.estimate_rows() == (0 if offset is None else offset + 1)
            assert at + 9 - (offset or 0) < 100, "more than the budget is in memory only"
        assert behind.offset(0)

    def test_all_partitions_share_the_budget(self, store: WriteBehind, behind: MemoryStore) -> None:
        for partition in range(10):
            store.open(partition)
            store.write(partition, self.rows(0, 10), 9)
        for partition in range(1, 10):
            store.write(partition, self.rows(10, 1), 10)
        assert behind.estimate_rows() > 50

    def test_rows_that_are_rewritten_take_their_room_once(self, store: WriteBehind, behind: MemoryStore) -> None:
        for offset in range(200):
            store.write(0, self.rows(0, 10), offset)
        assert behind.offset(0) is None

    def test_a_row_that_is_rewritten_for_ever_is_flushed_now_and_then(
        self, store: WriteBehind, behind: MemoryStore
    ) -> None:
        """A restore after a kill would read every one of these writes again."""
        for offset in range(31_000):
            store.write(0, {b"a": b"%d" % offset}, offset)
        assert (behind.offset(0) or 0) > 1_000

    def test_no_write_flushes_many_rows_at_once(
        self, store: WriteBehind, behind: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A write blocks the worker's event loop; rows being flushed stay readable."""
        behind.write(0, {}, 0)
        pieces: list[tuple[int, int | None]] = []
        write = behind.write

        def noted(partition: int, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
            pieces.append((len(rows), offset))
            write(partition, rows, offset)

        monkeypatch.setattr(behind, "write", noted)
        for offset in range(1, 3000):
            store.write(0, {b"%d" % offset: b"x", b"last": b"%d" % offset, b"%d" % (offset - 1): None}, offset)
            assert store.read(0, b"last") == b"%d" % offset
            assert store.read(0, b"%d" % (offset - 1)) is None
            assert store.offset(0) == offset
        assert len(pieces) > 5
        assert max(count for count, _ in pieces) <= 2 * 3 + 300
        assert [offset is None for _, offset in pieces].count(False) > 2
        assert dict(store.scan(0, b"")) == {b"2999": b"x", b"last": b"2999"}

    def test_rows_are_flushed_as_fast_as_they_are_written(
        self, behind: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Otherwise the rest is flushed at once now and then, which blocks the worker's event loop."""
        store = WriteBehind(behind)
        store.open(0)
        behind.write(0, {}, 0)
        counts: list[int] = []
        monkeypatch.setattr(behind, "write", lambda _, rows, __: counts.append(len(rows)))
        for first in range(0, 200_000, 1000):
            store.write(0, {b"%d" % number: b"x" * 50 for number in range(first, first + 1000)}, first)
        assert len(counts) > 50
        assert max(counts) <= 2 * 1000 + 300

    def test_the_store_behind_gets_an_offset_only_with_all_rows_up_to_it(
        self, store: WriteBehind, behind: MemoryStore
    ) -> None:
        behind.write(0, {}, -1)
        for offset in range(5000):
            store.write(0, {b"%05d" % offset: b""}, offset)
            reached = behind.offset(0) or -1
            assert all(behind.read(0, b"%05d" % row) is not None for row in range(max(0, reached - 500), reached + 1))
        assert reached > 1000

    def test_clearing_drops_rows_that_are_being_flushed(self, store: WriteBehind, behind: MemoryStore) -> None:
        behind.write(0, {}, 0)
        store.write(0, self.rows(0, 90), 1)
        assert behind.estimate_rows() == 0
        store.clear(0)
        assert (store.read(0, b"1"), store.offset(0)) == (None, None)

    def test_rows_whose_flush_failed_are_flushed_later(
        self, store: WriteBehind, behind: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk that is full for a moment must not leave an offset over rows that are missing."""
        behind.write(0, {}, -1)
        write, calls = behind.write, count()

        def failing(partition: int, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
            if next(calls) % 2 == 0:
                raise OSError("no space left")
            write(partition, rows, offset)

        monkeypatch.setattr(behind, "write", failing)
        for at in range(0, 3000, 10):
            with suppress(OSError):
                store.write(0, {b"%05d" % row: b"" for row in range(at, at + 10)}, at + 9)
        assert next(calls) > 5
        monkeypatch.setattr(behind, "write", write)
        monkeypatch.setattr(behind, "close", lambda _: None)
        store.close(0)
        assert behind.offset(0) == 2999
        assert [row for row in range(3000) if behind.read(0, b"%05d" % row) is None] == []

    def test_rows_beyond_the_budget_are_flushed_at_once(self, behind: MemoryStore) -> None:
        """A restore writes whole fetches of all partitions: in memory they would be many times the budget."""
        store = WriteBehind(behind, budget_bytes=1_000_000)
        for partition in range(64):
            store.open(partition)
            behind.write(partition, {}, 0)
        for offset in (1, 2):
            for partition in range(64):
                store.write(partition, self.rows(offset * 500, 500), offset)
                assert behind.offset(partition) == offset

    def test_closing_does_not_renew_the_age_of_a_partition_written_too_long_ago(self, tmp_path: Path) -> None:
        """Deletions in the meantime may not be in the changelog any more."""
        now = [1000.0]
        clock = lambda: now[0]  # noqa: E731
        store = WriteBehind(RocksStore(tmp_path, RocksMemory(), clock), clock=clock)
        for age, kept in ((MAX_AGE_SECONDS, 7), (MAX_AGE_SECONDS + 1, None)):
            store.open(0)
            store.write(0, {b"a": b"1"}, 7)
            now[0] += age
            store.close(0)
            store.open(0)
            assert store.offset(0) == kept
            store.close(0)

    def test_a_load_makes_a_partition_young(self, tmp_path: Path) -> None:
        now = 0.0
        store = WriteBehind(RocksStore(tmp_path, RocksMemory(), lambda: now), clock=lambda: now)
        store.open(0)
        store.write(0, {b"a": b"1"}, 7)
        now = MAX_AGE_SECONDS + 1.0
        store.load(0, {b"b": b"2"}, 8)
        store.close(0)
        store.open(0)
        assert (dict(store.scan(0, b"")), store.offset(0)) == ({b"a": b"1", b"b": b"2"}, 8)

    def test_closing_flushes(self, store: WriteBehind, behind: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(behind, "close", lambda _: None)
        store.write(0, {b"a": b"1"}, 7)
        store.close(0)
        assert (behind.read(0, b"a"), behind.offset(0)) == (b"1", 7)

    def test_nothing_is_flushed_when_nothing_was_written(self, store: WriteBehind, behind: MemoryStore) -> None:
        behind.write(0, {b"a": b"1"}, 7)
        assert dict(store.scan(0, b"")) == {b"a": b"1"}
        assert (store.offset(0), behind.offset(0)) == (7, 7)


_WRITE_AND_DIE = """
import os, sys
from pathlib import Path
from streams.state.store.rocks import RocksMemory, RocksStore
from streams.state.store.write_behind import WriteBehind

store = WriteBehind(RocksStore(Path(sys.argv[1]), RocksMemory(write_buffer_bytes=1 << 20)), 200_000)
for partition in (0, 1):
    store.open(partition)
for offset in range(12000):
    for partition in (0, 1):
        row = b"%d " % offset + os.urandom(500)
        store.write(partition, {b"k%d" % offset: row, b"last": row, b"k%d" % (offset - 1): None}, offset)
os._exit(9)
"""


def test_after_a_kill_the_changelog_from_the_offset_on_makes_all_rows_right(tmp_path: Path) -> None:
    """The changelog is the only log, so the store is older than the last write, but no row is older than its offset."""
    died = subprocess.run([sys.executable, "-c", _WRITE_AND_DIE, str(tmp_path)], check=False, timeout=60)
    assert died.returncode == 9
    store = RocksStore(tmp_path, RocksMemory())
    for partition in (0, 1):
        store.open(partition)
        offset = store.offset(partition)
        assert offset is not None
        assert 0 < offset < 12_000
        assert int((store.read(partition, b"last") or b"").split()[0]) >= offset
        for missed in range(offset + 1, 12_000):
            store.write(partition, {b"k%d" % missed: b"", b"last": b"%d" % missed, b"k%d" % (missed - 1): None}, missed)
        assert store.read(partition, b"last") == b"11999"
        assert [key for key, _ in store.scan(partition, b"k")] == [b"k11999"]
        store.close(partition)
