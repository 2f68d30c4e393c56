"""
Rows on disk: one RocksDB per partition, all within one memory limit.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompactionStyle,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from streams.state.store.stores import MAX_AGE_SECONDS, Portion, StoreError

logger = logging.getLogger(__name__)

# Beside the rows, never in the changelog; no row's key begins with two zero bytes.
_LOCAL: Final = b"\0\0"
_OFFSET: Final = _LOCAL + b"offset"
_WRITTEN_AT: Final = _LOCAL + b"written_at"

_COLUMN_FAMILY: Final = "default"
"""All rows are in the one that every database has."""

_MIB: Final = 1 << 20

_FILE_BYTES: Final = 8 * _MIB
"""
RocksDB reads the index and the filter of a file as one block each. In much larger files these blocks fit in none of
the 64 shards of the block cache and would be read from the file again for every row.
"""

_BLOCK_BYTES: Final = 16 << 10
"""
Rows that are read and compressed together. The index has an entry for each block: with the usual 4 KiB the indexes of
20 million SMS are larger than the block cache, and are read from the files again and again.
"""

_SORTED_RUNS: Final = 8
"""
The number of sorted runs that may contain a key before some are merged, about. Universal compaction rewrites a row a
few times in its life; leveled compaction, which merges each level into one ten times as large, twice as often. A read
asks the filter of each run.
"""

_LOADED_SORTED_RUNS: Final = 160
"""
The same number while a partition is loaded. Nothing is read meanwhile, so up to three million SMS are not merged: that
takes longer than reading half of them from Kafka. The callbacks that come after it go on beside the merging, and ask
the filters of all these runs until its end.
"""

_SLOW_RUNS: Final = 2 * _LOADED_SORTED_RUNS
_MOST_RUNS: Final = 2 * _LOADED_SORTED_RUNS + _SORTED_RUNS
"""
New files from which on RocksDB slows writes down, and stops them. A write that waits holds up the event loop. So both
are more than a load brings while the files before them are merged, and hold for the callbacks after it as well.
"""

_FILTER_SHARE: Final = 0.05
"""The share of a write buffer for its bloom filter."""


def _unlogged() -> WriteOptions:
    options = WriteOptions()
    options.disable_wal = True  # type: ignore[method-assign, assignment]  # its stub is wrong: it is a property
    return options


class RocksMemory:
    """The memory that all databases of one process share: a block cache and a budget for unwritten rows."""

    def __init__(self, cache_bytes: int = 64 * _MIB, write_buffer_bytes: int = 64 * _MIB) -> None:
        self._cache = Cache(cache_bytes)
        self._buffers = WriteBufferManager(write_buffer_bytes, False)  # noqa: FBT003 - rocksdict takes it by position

    def options(self) -> Options:
        """Return the options of one database within these bounds."""
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self._cache)
        blocks.set_cache_index_and_filter_blocks(True)
        blocks.set_block_size(_BLOCK_BYTES)
        blocks.set_bloom_filter(10, False)  # noqa: FBT003 - most reads of a new SMS find nothing
        options = Options(raw_mode=True)
        options.create_if_missing(True)  # noqa: FBT003
        options.set_block_based_table_factory(blocks)
        options.set_write_buffer_manager(self._buffers)
        options.set_write_buffer_size(16 * _MIB)
        options.set_target_file_size_base(_FILE_BYTES)
        options.set_compaction_style(DBCompactionStyle.universal())
        options.set_level_zero_file_num_compaction_trigger(_SORTED_RUNS)
        options.set_level_zero_slowdown_writes_trigger(_SLOW_RUNS)
        options.set_level_zero_stop_writes_trigger(_MOST_RUNS)
        options.set_compression_type(DBCompressionType.lz4())
        # All files stay open. A limit is divided among 64 shards, and a file of a full one is opened for every read.
        options.set_max_open_files(-1)
        options.set_keep_log_file_num(2)
        options.set_allow_concurrent_memtable_write(False)
        options.set_memtable_whole_key_filtering(True)
        options.set_memtable_prefix_bloom_ratio(_FILTER_SHARE)
        return options


class RocksStore:
    """
    Implements `streams.state.store.stores.Store` on disk.

    Rows and offset are written in one write batch, to memory first and without RocksDB's write-ahead log: the changelog
    is that log. After a kill or a power cut a partition may be older, but its rows and its offset fit together. The
    missing rows, at most one write buffer, are restored from the changelog.
    """

    def __init__(self, folder: Path, memory: RocksMemory, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._memory = memory
        self._clock = clock
        self._open: dict[int, Rdict] = {}
        self._loading: set[int] = set()
        """The partitions that were written by `load` last; they have other options until the next write."""
        self._unlogged = _unlogged()

    def kept(self) -> set[int]:
        """Return the partitions that have a database."""
        return {int(path.name) for path in self._folder.glob("*") if path.name.isdecimal()}

    def open(self, partition: int) -> None:
        """Open the partition's database; clear it when its last write is too long ago. Raises StoreError."""
        if partition in self._open:
            return
        with self._named(partition):
            self._folder.mkdir(parents=True, exist_ok=True)
            written_at = self._begin(partition)
        if written_at is not None and self._clock() - int(written_at) > MAX_AGE_SECONDS:
            self.clear(partition)

    def _begin(self, partition: int) -> bytes | None:
        """Open a database, empty if it was damaged: the changelog has its rows. Return the time of its last write."""
        path = self._path(partition)
        try:
            return self._written_at(partition)
        except Exception as error:  # rocksdict has no other
            if not str(error).startswith("Corruption"):
                raise
            logger.warning(
                "local state is damaged and read anew from Kafka", extra={"folder": path, "error": str(error)}
            )
        self.close(partition)
        shutil.rmtree(path)
        return self._written_at(partition)

    def _written_at(self, partition: int) -> bytes | None:
        options = self._memory.options()
        # By the options alone rocksdict would open only a new database. For one that is there it takes the options that
        # RocksDB noted beside the rows, in which neither the block cache nor the bloom filters can be noted.
        by_name = {_COLUMN_FAMILY: options}
        database = self._open[partition] = Rdict(str(self._path(partition)), options, by_name)
        raw: bytes | None = database.get(_WRITTEN_AT)
        return raw

    def close(self, partition: int) -> None:
        """Close the partition's database; its files stay. Raises StoreError, for example when the disk is full."""
        database = self._open.pop(partition, None)
        self._loading.discard(partition)
        if database is not None:
            with self._named(partition):
                database.close()

    def clear(self, partition: int) -> None:
        """Delete the partition's files and open an empty database."""
        self.close(partition)
        Rdict.destroy(str(self._path(partition)), self._memory.options())
        self.open(partition)

    def offset(self, partition: int) -> int | None:
        """Return the changelog offset of the last write."""
        raw = self._open[partition].get(_OFFSET)
        return None if raw is None else int(raw)

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return a row, None when there is none."""
        raw: bytes | None = self._open[partition].get(key)
        return raw

    def write(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Write rows and offset in one batch. Raises StoreError, for example when the disk is full."""
        if partition in self._loading:
            self._loading.remove(partition)
            self._merge_beyond(partition, _SORTED_RUNS)
        self._write(partition, rows, offset)

    def load(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int) -> None:
        """Write rows and offset in one batch; files are merged later than usual until `write`. Raises StoreError."""
        if partition not in self._loading:
            self._loading.add(partition)
            self._merge_beyond(partition, _LOADED_SORTED_RUNS)
        self._write(partition, rows, offset)

    def _merge_beyond(self, partition: int, runs: int) -> None:
        with self._named(partition):
            self._open[partition].set_options({"level0_file_num_compaction_trigger": f"{runs}"})

    def _write(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        batch = WriteBatch(raw_mode=True)
        for key in sorted(rows):  # sorted keys go into a write buffer faster
            value = rows[key]
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if offset is not None:
            batch.put(_OFFSET, b"%d" % offset)
            batch.put(_WRITTEN_AT, b"%d" % self._clock())
        with self._named(partition):
            self._open[partition].write(batch, self._unlogged)

    def portion(self, partition: int, prefix: bytes, after: bytes, count: int) -> Portion:
        """Return the next rows. The cursor does not outlive the call: it would keep the database locked."""
        return Portion.cut(islice(self.scan(partition, prefix, after), count), count)

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose keys begin with `prefix` and come after `after`, in the order of the keys."""
        cursor = self._open[partition].iter()
        cursor.seek(max(prefix, after + b"\0") if after else prefix)
        while cursor.valid() and (key := cursor.key()).startswith(prefix):
            if not key.startswith(_LOCAL):
                yield key, cursor.value()
            cursor.next()
        # A damaged block ends the cursor like the end of the rows.
        with self._named(partition):
            cursor.status()

    def estimate_rows(self) -> int:
        """Return RocksDB's own estimate; a rewritten row counts more than once until compaction."""
        return sum(database.property_int_value("rocksdb.estimate-num-keys") or 0 for database in self._open.values())

    @contextmanager
    def _named(self, partition: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # rocksdict has no other
            raise StoreError(f"local state in {self._path(partition)}: {error}") from error

    def _path(self, partition: int) -> Path:
        return self._folder / f"{partition}"
