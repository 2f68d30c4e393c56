"""
`routee-sinks files compact` killed at random moments, while readers list and read the files by glob.
"""

import os
import random
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sinks.files.archive import records_in
from sinks.files.compaction import ASIDE
from sinks.files.sink import FileSink
from sinks.files.verify import verify
from sinks.source import Record, TopicPartition
from sinks.tables import FILE_TABLE_OF, RAW_CALLBACKS_TABLE
from tests.faults.random_kills import run_and_kill
from tests.support.wait import eventually

RAW = TopicPartition("routee.callbacks.raw", 0)
DAY = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
ROWS = 120
ALL = list(range(ROWS))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give an archive of two days, each in twenty files."""
    sink = FileSink(tmp_path / "files", "parquet", "routee.", FILE_TABLE_OF)
    sink.claim([RAW])
    for first in range(0, ROWS, 3):
        rows = [
            Record(*RAW, offset, DAY + offset // (ROWS // 2) * 86_400_000, b"%d" % offset)
            for offset in range(first, first + 3)
        ]
        sink.write(RAW_CALLBACKS_TABLE, rows)
    sink.close()
    return tmp_path / "files"


class Reader(threading.Thread):
    """Reads all files by glob, again and again, and keeps what was wrong."""

    def __init__(self, root: Path) -> None:
        super().__init__(daemon=True)
        self._root = root
        self.ended = threading.Event()
        self.whole = self.torn = 0
        self.wrong: list[list[int]] = []

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                files = [*self._root.glob(f"{RAW_CALLBACKS_TABLE}/**/*.parquet")]
                found = sorted(row.offset for file in files for row in records_in(file.read_bytes(), "parquet"))
            except FileNotFoundError:
                self.torn += 1  # it listed before the exchange: it is told, and reads again
                continue
            self.whole += 1
            if found != ALL:
                self.wrong.append(found)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.full)])
def test_killed_at_random_moments_a_reader_finds_each_row_once_or_a_file_missing(root: Path, kills: int) -> None:
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    reader = Reader(root)
    reader.start()
    environment = {**os.environ, "SINKS_FILES_ROOT": str(root)}
    command = [sys.executable, "-m", "sinks", "files", "compact"]
    for _ in range(kills):
        # A moment of its own for each kill: drafts, manifest, exchange, removal.
        run_and_kill(command, environment, (root / ASIDE).exists, chance, within_seconds=0.1, every=0.001)
        assert [found.problems for found in verify(root, [RAW_CALLBACKS_TABLE])] == [[]]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    seen = reader.whole
    eventually(lambda: reader.whole > seen + 1, 60)
    reader.ended.set()
    reader.join()
    assert reader.wrong == []
    assert [(found.files, found.rows, found.problems) for found in verify(root, [RAW_CALLBACKS_TABLE])] == [
        (2, ROWS, [])
    ]
    assert not (root / ASIDE).exists()
