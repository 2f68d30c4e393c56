"""
`routee-sinks files` killed and shared under load, and on disks that are full or refuse: the files are the topic.
"""

import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from tests.behaviour.sinks.kafka_topics import Topics
from tests.faults.sinks_load import Load
from tests.integration.sinks.running import Running, Sink
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

READERS = {"parquet": ("parquet", "read_parquet"), "ndjson": ("ndjson.gz", "read_json")}
COLUMNS = (
    "sms_key, status, revision, operator, message, price::DECIMAL(18, 8) AS price, "
    "epoch_ms(received_at::TIMESTAMPTZ) AS received_at"
)


class Folder:
    """The files of `sms_status` as their readers see them: one table."""

    def __init__(self, root: Path, file_format: str) -> None:
        self._root = root
        self._suffix, self._reader = READERS[file_format]
        self.settings = {
            "SINKS_FILES_ROOT": str(root),
            "SINKS_FILES_FORMAT": file_format,
            "SINKS_BATCH_SECONDS": "0.05",
            "SINKS_BATCH_ROWS": "50",
            # So small that a batch cannot grow either while the store is at work.
            "SINKS_BATCH_BYTES": "80000",
        }

    def records(self) -> dict[tuple[int, int], dict[str, Any]]:
        """Return the compared fields of every row, by its position; no position is there twice."""
        source = f"{self._reader}('{self._root}/sms_status/date=*/*.{self._suffix}')"
        columns = f"topic_partition, topic_offset, {COLUMNS}"
        found = duckdb.connect().execute(f"SELECT {columns} FROM {source}")  # noqa: S608 - names of ours
        names = [column[0] for column in found.description or ()][2:]
        rows = found.fetchall()
        by_position = {(row[0], row[1]): dict(zip(names, row[2:], strict=True)) for row in rows}
        assert len(by_position) == len(rows), "a record is in two files"
        return by_position

    def names(self) -> list[tuple[int, int, int]]:
        """Return partition, first and last offset of every whole file."""
        files = self._root.glob(f"sms_status/date=*/[!.]*.{self._suffix}")
        return sorted(tuple(map(int, file.name.partition(".")[0].split("-"))) for file in files)  # type: ignore[misc]

    def rows(self) -> int:
        """Return how many rows the names promise: offsets have no gaps here."""
        return sum(last - first + 1 for _, first, last in self.names())

    def drafts(self) -> list[Path]:
        """Return the files that were begun and not finished."""
        return list(self._root.glob("*/date=*/.*.tmp"))


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """Give a folder of the format that the test asks for."""
    return Folder(tmp_path / "files", request.param)


def has_written(sink: Sink) -> bool:
    return sink.metric("routee_sinks_rows_total") > 0


def fields(value: bytes) -> dict[str, Any]:
    """Return the compared fields of a record, in the types of the files' columns."""
    record: dict[str, Any] = orjson.loads(value)
    record["price"] = Decimal(record["price"])
    record["received_at"] = round(datetime.fromisoformat(record["received_at"]).timestamp() * 1000)
    return record


def expect_topic(topics: Topics, folder: Folder) -> None:
    """Wait until the files hold as many rows as the topic records, and compare them one by one."""
    values = {position: fields(value or b"") for position, value in topics.everything("sms.status").items()}
    eventually(lambda: folder.rows() >= len(values), 90, every=0.2)
    found = folder.records()
    assert found.keys() == values.keys()
    assert [at for at, row in found.items() if row != {name: values[at][name] for name in row}] == []
    for before, after in pairwise(folder.names()):
        assert before[0] < after[0] or before[2] < after[1], "two files overlap"


@pytest.mark.parametrize(
    ("folder", "kills"),
    [
        pytest.param("parquet", 1, id="parquet, 1", marks=pytest.mark.timeout(240)),
        *[
            pytest.param(name, 10, id=f"{name}, 10", marks=[pytest.mark.full, pytest.mark.timeout(600)])
            for name in READERS
        ],
    ],
    indirect=["folder"],
)
def test_killed_at_random_moments_under_load_the_files_together_are_the_topic(
    folder: Folder, topics: Topics, running: Running, kills: int
) -> None:
    chance = random.Random(11)  # noqa: S311 - moments, not secrets
    # It goes on until the last kill, so that every kill meets the sink at work.
    with Load(topics, 300_000, per_second=500) as load:
        for _ in range(kills):
            sink = running.start("files", **folder.settings)
            eventually(lambda sink=sink: has_written(sink), 60)  # type: ignore[misc]
            time.sleep(chance.uniform(0, 1))
            sink.kill()
        running.start("files", **folder.settings)
        load.end()
        expect_topic(topics, folder)


@pytest.mark.full
@pytest.mark.timeout(240)
def test_members_that_join_leave_and_die_under_load_lose_and_double_no_row(
    tmp_path: Path, topics: Topics, running: Running
) -> None:
    folder = Folder(tmp_path / "files", "parquet")
    # Batches may grow here: a file is synced for each partition of a batch, and on a busy disk 50 rows at a time would
    # be slower than the load.
    settings = {**folder.settings, "SINKS_BATCH_BYTES": "10000000"}
    with Load(topics, 300_000, per_second=500) as load:
        first = running.start("files", **settings)
        eventually(lambda: has_written(first), 60)
        second = running.start("files", **settings)
        eventually(lambda: has_written(second), 60)
        assert first.stop()[0] == 0
        third = running.start("files", **settings)
        eventually(lambda: has_written(third), 60)
        second.kill()
        load.end()
        expect_topic(topics, folder)


def mount(*arguments: object) -> bool:
    """Run `mount`, and return whether that was allowed."""
    try:
        return subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", disk):
        pytest.skip(
            "needs the right to mount a small tmpfs: run it as root, outside of a container or in a privileged one"
        )
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Refuse new files in a folder; open files stay open."""
    assert mount("--bind", folder, folder)
    try:
        # Refused while a file in it is being written.
        eventually(lambda: mount("-o", "remount,ro,bind", folder))
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_is_full_is_waited_for_and_every_row_is_there_in_the_end(
    small_disk: Path, topics: Topics, running: Running
) -> None:
    folder = Folder(small_disk / "files", "parquet")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_200_000))
    sink = running.start("files", **folder.settings)
    with Load(topics, 6_000, per_second=2_000) as load:
        eventually(lambda: "No space left on device" in sink.get("/readyz")[1], 60)
        assert sink.get("/readyz")[0] == 503
        load.finish()
        # There is one while the sink tries again; it must not stay.
        eventually(lambda: folder.drafts() == [], every=0.001)
        assert 0 < folder.rows() < 6_000
        ballast.unlink()
        assert mount("-o", "remount,size=20m", small_disk)
        expect_topic(topics, folder)
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)


def test_a_folder_that_becomes_read_only_is_waited_for(small_disk: Path, topics: Topics, running: Running) -> None:
    folder = Folder(small_disk / "files", "ndjson")
    sink = running.start("files", **folder.settings)
    with Load(topics, 500, per_second=500):
        eventually(lambda: has_written(sink), 60)
    with read_only(small_disk / "files" / "sms_status"):
        # Only now, so that a record is left to write even if the sink was done with all others.
        with Load(topics, 500, per_second=500, seed=6) as load:
            load.finish()
        eventually(lambda: "Read-only file system" in sink.get("/readyz")[1], 60)
    expect_topic(topics, folder)


def test_a_folder_that_is_not_writable_at_the_start_is_one_line(
    small_disk: Path, topics: Topics, running: Running
) -> None:
    del topics
    assert mount("-o", "remount,ro", small_disk)
    sink = running.start("files", SINKS_FILES_ROOT=str(small_disk / "files"))
    assert sink.process.wait(60) == 1
    root = small_disk / "files"
    assert sink.messages[-1] == f"SINKS_FILES_ROOT={root}: {small_disk} cannot be written to: Read-only file system"
