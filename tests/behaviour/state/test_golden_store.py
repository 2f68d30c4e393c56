"""Local state that an earlier version wrote: its rows are read, unless they are too old to be believed."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from tests.support.golden.loading import require_rows
from tests.support.golden.product import MAX_AGE_SECONDS, RocksMemory, RocksStore, WriteBehind, changelog
from tests.support.golden.stored import TABLES, Golden, golden_sets

ID = "7f6d3f0e-0000-4000-8000-000000000001"
"""Of another Kafka's changelog: a table's folder is named by it."""


@pytest.fixture(params=golden_sets(), ids=lambda golden: golden.folder.name)
def golden(request: pytest.FixtureRequest) -> Golden:
    """Give each golden set."""
    found: Golden = request.param
    return found


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest) -> str:
    """Give the name of each table."""
    return str(request.param)


@pytest.fixture
def folder(golden: Golden, table: str, tmp_path: Path) -> Path:
    """Give a copy of the local state of a table."""
    return Path(copytree(golden.store(table), tmp_path / f"{table}-{ID}"))


@pytest.fixture
def store(golden: Golden, folder: Path) -> Iterator[RocksStore]:
    """Give a store whose clock is that of the last write, and an hour."""
    store = RocksStore(folder, RocksMemory(), lambda: golden.written_at + 3600)
    yield store
    for number in range(golden.partitions):
        store.close(number)


def test_all_rows_and_the_offset_are_read(golden: Golden, table: str, store: RocksStore) -> None:
    assert store.kept() == set(range(golden.partitions))
    for number in range(golden.partitions):
        require_rows(store, golden, table, number)


def test_a_row_is_read_by_its_key_behind_the_rows_written_last(golden: Golden, table: str, store: RocksStore) -> None:
    before = WriteBehind(store, clock=lambda: golden.written_at + 3600)
    for number, rows in golden.rows(table).items():
        before.open(number)
        assert {key: before.read(number, key) for key in rows} == rows


def test_rows_are_written_on_and_found_again(golden: Golden, table: str, folder: Path, store: RocksStore) -> None:
    for number, rows in golden.rows(table).items():
        store.open(number)
        end = store.offset(number)
        assert end is not None
        store.write(number, {b"m:new": b"[]", min(rows): None}, end + 1)
        store.close(number)
        again = RocksStore(folder, RocksMemory(), lambda: golden.written_at + 7200)
        again.open(number)
        expected = {key: value for key, value in rows.items() if key != min(rows)} | {b"m:new": b"[]"}
        assert dict(again.scan(number, b"")) == expected
        assert again.offset(number) == end + 1
        again.close(number)


def test_what_lay_unused_for_too_long_is_forgotten(golden: Golden, folder: Path) -> None:
    old = RocksStore(folder, RocksMemory(), lambda: golden.written_at + MAX_AGE_SECONDS + 1)
    for number in range(golden.partitions):
        old.open(number)
        assert (old.offset(number), dict(old.scan(number, b""))) == (None, {})
        old.close(number)


def test_every_partition_has_a_changelog_to_be_compared_with(golden: Golden, table: str) -> None:
    records = golden.records(changelog(table).suffix)
    assert {record.partition for record in records} == set(range(golden.partitions))
