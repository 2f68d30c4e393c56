"""
`routee-sinks files compact` of a bucket killed at random moments, while readers read by the manifests and by glob.
"""

import os
import random
import subprocess
import sys
import threading

import pytest

from sinks.files.archive import records_in
from sinks.files.formats import FORMATS
from sinks.files.manifest import read_manifest, write_manifests
from sinks.files.object_compaction import clear
from sinks.files.objects import open_root
from sinks.files.verify import verify
from sinks.source import Record
from sinks.tables import RAW_CALLBACKS_TABLE
from streams.program.file_names import is_of_rows
from streams.program.objects import ObjectPath
from tests.faults.random_kills import run_and_kill
from tests.support.s3.bucket import Bucket
from tests.support.wait import eventually
from tests.unit.sinks.test_object_compaction import NOW

ROWS = 120
ALL = [*range(ROWS)]
DAY_MS = 86_400_000


@pytest.fixture
def root(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> ObjectPath:
    """Give an archive of two days, each in twenty objects, with their manifests."""
    for name, value in bucket.settings.items():
        monkeypatch.setenv(name, value)
    made = open_root(bucket.root)
    assert isinstance(made, ObjectPath)
    for first in range(0, ROWS, 3):
        day = first // (ROWS // 2)
        rows = [Record("t", 0, offset, day * DAY_MS, b"%d" % offset) for offset in range(first, first + 3)]
        file = made / RAW_CALLBACKS_TABLE / f"date=1970-01-0{day + 1}" / f"0-{first}.parquet"
        file.write_bytes(FORMATS["parquet"](RAW_CALLBACKS_TABLE, rows))
    write_manifests(made, [RAW_CALLBACKS_TABLE], NOW)
    return made


class Reader(threading.Thread):
    """Reads all rows by the manifests, and by glob, again and again, and keeps what was wrong."""

    def __init__(self, root: ObjectPath) -> None:
        super().__init__(daemon=True)
        self._folder = root / RAW_CALLBACKS_TABLE
        self.ended = threading.Event()
        self.whole = self.torn = self.doubled = 0
        self.wrong: list[list[int]] = []

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                found = self._by_manifest()
                seen = self._by_glob()
            except FileNotFoundError:
                self.torn += 1  # it was deleted since it was told: the manifest is read again
                continue
            self.whole += 1
            self.doubled += len(seen) > ROWS
            if found != ALL or {*seen} != {*ALL}:
                self.wrong.append(found)

    def _by_manifest(self) -> list[int]:
        files = []
        for day in self._folder.glob("date=*/"):
            manifest = read_manifest(day)
            assert manifest is not None
            files += [day / file.name for file in manifest.files]
        return self._rows(files)

    def _by_glob(self) -> list[int]:
        return self._rows([file for file in self._folder.below_from("date=") if is_of_rows(file.name)])

    @staticmethod
    def _rows(files: list[ObjectPath]) -> list[int]:
        return sorted(row.offset for file in files for row in records_in(file.read_bytes(), "parquet"))


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(2, marks=pytest.mark.timeout(300)),
        pytest.param(20, marks=[pytest.mark.full, pytest.mark.timeout(1_200)]),
    ],
)
def test_killed_at_random_moments_a_reader_by_manifest_finds_each_row_once(root: ObjectPath, kills: int) -> None:
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    reader = Reader(root)
    reader.start()
    command = [sys.executable, "-m", "sinks", "files", "compact"]
    marks = root / RAW_CALLBACKS_TABLE
    for _ in range(kills):
        # A moment of its own for each kill: joined objects, manifest, removal.
        run_and_kill(
            command, os.environ, lambda: any(marks.glob(".compacting-*")), chance, within_seconds=0.4, every=0.005
        )
        assert [found.problems for found in verify(root, [RAW_CALLBACKS_TABLE])] == [[]]
        # As a quarter of an hour later.
        clear(root, [RAW_CALLBACKS_TABLE], dead_seconds=-1)
    subprocess.run(command, env={**os.environ}, check=True, stdout=subprocess.DEVNULL)
    seen = reader.whole
    eventually(lambda: reader.whole > seen + 1, 60)
    reader.ended.set()
    reader.join()
    assert reader.wrong == []
    assert [(found.files, found.rows, found.problems) for found in verify(root, [RAW_CALLBACKS_TABLE])] == [
        (2, ROWS, [])
    ]
    assert not any((root / RAW_CALLBACKS_TABLE).glob(".compacting-*"))
