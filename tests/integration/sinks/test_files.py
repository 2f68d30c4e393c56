"""
`routee-sinks files` as a process: the files have each record of the topic once, through every fault of the process.
"""

import signal
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

import duckdb
import orjson
import pyarrow.dataset
import pytest

from sinks.files.archive import records_in
from streams.contract.codec import encode
from streams.contract.topics import CALLBACKS_RAW
from tests.behaviour.sinks.kafka_topics import Topics
from tests.behaviour.sinks.records import START, campaign, rejection, sms
from tests.integration.sinks.conftest import PARTITIONS
from tests.integration.sinks.running import Running, Sink
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

FORMATS = {"parquet": ("parquet", "read_parquet"), "ndjson": ("ndjson.gz", "read_json")}


def statuses(count: int, start: int = 0) -> list[tuple[int, bytes]]:
    return [(number % PARTITIONS, encode(sms(f"sms-{number:06d}"))) for number in range(start, start + count)]


class Folder:
    """Reads the files as their users do: all of a table's files as one table, by DuckDB."""

    def __init__(self, root: Path, file_format: str) -> None:
        self._root = root
        self._suffix, self._reader = FORMATS[file_format]

    def files(self, table: str = "sms_status") -> list[Path]:
        return sorted((self._root / table).glob(f"date=*/*.{self._suffix}"))

    def query(self, columns: str, table: str = "sms_status") -> list[tuple[object, ...]]:
        if not self.files(table):
            return []
        source = f"{self._reader}('{self._root}/{table}/date=*/*.{self._suffix}', hive_partitioning = true)"
        return duckdb.connect().execute(f"SELECT {columns} FROM {source}").fetchall()  # noqa: S608 - words of ours

    def positions(self, table: str = "sms_status") -> list[tuple[object, ...]]:
        return self.query("topic_partition, topic_offset", table)

    def ranges(self, table: str = "sms_status") -> dict[int, list[tuple[int, int]]]:
        """Return the offsets that the names promise, per partition, in order."""
        found: dict[int, list[tuple[int, int]]] = {}
        for file in self.files(table):
            partition, first, last = (int(part) for part in file.name.partition(".")[0].split("-"))
            found.setdefault(partition, []).append((first, last))
        return {partition: sorted(ranges) for partition, ranges in found.items()}


@pytest.fixture(params=FORMATS)
def file_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path, file_format: str) -> Folder:
    return Folder(tmp_path / "files", file_format)


def expect_topic(folder: Folder, topics: Topics) -> None:
    """Wait until the files hold the topic's records, each once, and their names tell the offsets in them."""
    records = topics.everything("sms.status")
    wait_for_rows(folder, len(records))
    assert sorted(folder.positions()) == sorted(records)
    keys = {
        (partition, offset): key for partition, offset, key in folder.query("topic_partition, topic_offset, sms_key")
    }
    assert keys == {position: orjson.loads(value or b"")["sms_key"] for position, value in records.items()}
    for ranges in folder.ranges().values():
        assert all(before[1] < after[0] for before, after in pairwise(ranges))


def wait_until_ready(sink: Sink) -> None:
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)


def wait_for_rows(folder: Folder, rows: int) -> None:
    eventually(lambda: len(folder.positions()) >= rows, 60, every=0.1)


def test_a_commit_that_was_lost_doubles_nothing(
    folder: Folder, file_format: str, topics: Topics, running: Running
) -> None:
    settings = {"SINKS_FILES_FORMAT": file_format}
    topics.produce("sms.status", statuses(60))
    first = running.start("files", **settings)
    wait_for_rows(folder, 60)
    first.stop()
    topics.forget_commits("sinks-files")
    topics.produce("sms.status", statuses(30, 60))
    running.start("files", **settings)
    expect_topic(folder, topics)


def test_every_table_has_its_folder_and_typed_columns(tmp_path: Path, topics: Topics, running: Running) -> None:
    folder = Folder(tmp_path / "files", "parquet")
    topics.produce("sms.status", [(0, encode(sms("a", queued_at=None)))])
    topics.produce(
        "campaign.progress", [(0, encode(campaign("one"))), (0, encode(campaign("two", reported_by_status=None)))]
    )
    topics.produce("callbacks.rejected", [(1, encode(rejection()))])
    running.start("files")
    eventually(lambda: folder.files() and folder.files("campaign_progress") and folder.files("rejected_callbacks"), 60)
    assert folder.query("typeof(price), typeof(received_at), typeof(groups)") == [
        ("DECIMAL(18,8)", "TIMESTAMP WITH TIME ZONE", "VARCHAR[]")
    ]
    assert folder.query("sms_key, price::VARCHAR, epoch_ms(received_at), queued_at, groups, message") == [
        ("a", "0.00600000", int(START.timestamp() * 1000), None, ["customers"], sms("a").message)
    ]
    eventually(lambda: len(folder.query("1", "campaign_progress")) == 2, 60)
    assert folder.query("campaign_tracking_id, drift, reported_by_status", "campaign_progress") == [
        ("one", {"Delivered": -1, "Failed": 1}, {"Queued": 0, "Delivered": 5}),
        ("two", {"Delivered": -1, "Failed": 1}, None),
    ]
    assert folder.query('reason, body, "partition"', "rejected_callbacks") == [
        ("invalid-field", '{"messageId":"1"}', 3)
    ]


def test_clickhouse_and_arrow_read_all_files_as_one_table(
    folder: Folder, file_format: str, topics: Topics, running: Running
) -> None:
    topics.produce("sms.status", statuses(90))
    running.start("files", SINKS_FILES_FORMAT=file_format)
    expect_topic(folder, topics)
    kind = {"parquet": "Parquet", "ndjson": "JSONEachRow"}[file_format]
    files = f"file('{folder.files()[0].parents[1]}/date=*/*', {kind})"
    figures = "count(), uniqExact(topic_partition, topic_offset), sum(toDecimal64(toString(price), 8))"
    sql = f"SELECT {figures} FROM {files}"  # noqa: S608 - words of ours
    # The sandbox's ClickHouse reads no files, the engine in a process of its own does.
    command = [sys.executable, "-c", "import chdb, sys; print(chdb.query(sys.argv[1], 'TSV'))", sql]
    assert subprocess.check_output(command).split() == [b"90", b"90", b"0.54"]
    if file_format == "parquet":
        table = pyarrow.dataset.dataset(folder.files()[0].parents[1], format="parquet").to_table()
        assert (table.num_rows, str(table.schema.field("price").type)) == (90, "decimal128(18, 8)")


def test_a_record_lies_in_the_folder_of_the_day_of_its_kafka_timestamp(
    folder: Folder, file_format: str, topics: Topics, running: Running
) -> None:
    midnight = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1000)
    for number, timestamp in enumerate([midnight - 1, midnight, midnight - 2, midnight + 1]):
        topics.produce("sms.status", [(0, encode(sms(f"sms-{number}")))], timestamp=timestamp)
    running.start("files", SINKS_FILES_FORMAT=file_format)
    expect_topic(folder, topics)
    days = folder.query("topic_offset, date::VARCHAR")
    assert sorted(days, key=str) == [(0, "2026-11-21"), (1, "2026-11-22"), (2, "2026-11-21"), (3, "2026-11-22")]


def test_a_bad_row_is_left_out_of_the_files_and_kept_in_the_rejections(
    folder: Folder, file_format: str, topics: Topics, running: Running
) -> None:
    bad = [
        b"not json",
        b'{"sms_key":}',
        encode(sms("x")).replace(b'"received_at":"2026', b'"received_at":"the year of 2026'),
    ]
    if file_format == "ndjson":
        bad.pop()  # types are not checked where none are written
    topics.produce("sms.status", [*statuses(20), *[(0, value) for value in bad], (0, None), *statuses(20, 20)])
    sink = running.start("files", SINKS_FILES_FORMAT=file_format)
    wait_for_rows(folder, 40)
    eventually(lambda: sink.metric("routee_sinks_lag_records") == 0, 60)
    assert len(folder.positions()) == 40
    rejected = topics.everything("sinks.rejected").values()
    assert sorted(orjson.loads(value or b"")["value"].encode() for value in rejected) == sorted(bad)


def test_leftovers_of_a_process_that_was_killed_are_removed(tmp_path: Path, topics: Topics, running: Running) -> None:
    folder = Folder(tmp_path / "files", "parquet")
    topics.produce("sms.status", statuses(9))
    running.start("files").stop()
    day = tmp_path / "files" / "sms_status" / "date=2026-11-22"
    day.mkdir(parents=True, exist_ok=True)
    draft = day / ".1-9-12.parquet.tmp"
    draft.write_bytes(b"half a file")
    running.start("files")
    wait_for_rows(folder, 9)
    eventually(lambda: not draft.exists())


def test_two_processes_share_a_folder_and_hand_partitions_over(
    folder: Folder, file_format: str, topics: Topics, running: Running
) -> None:
    settings = {"SINKS_FILES_FORMAT": file_format, "SINKS_BATCH_SECONDS": "0.1"}
    first = running.start("files", **settings)
    wait_until_ready(first)
    topics.produce("sms.status", statuses(300))
    second = running.start("files", **settings)
    topics.produce("sms.status", statuses(300, 300))
    wait_until_ready(second)
    topics.produce("sms.status", statuses(300, 600))
    first.stop()
    topics.produce("sms.status", statuses(300, 900))
    expect_topic(folder, topics)


def test_files_that_reach_further_than_the_topic_end_it_with_a_line_that_says_so(
    tmp_path: Path, topics: Topics, running: Running
) -> None:
    topics.produce("sms.status", statuses(9))
    day = tmp_path / "files" / "sms_status" / "date=2026-11-22"
    day.mkdir(parents=True)
    (day / "1-0-99.parquet").touch()
    sink = running.start("files")
    assert sink.process.wait(60) == 1
    assert "partition 1: written up to offset 100, but the topic ends at 3" in sink.messages[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop_it_writes_what_it_has(
    tmp_path: Path, topics: Topics, running: Running, number: signal.Signals
) -> None:
    folder = Folder(tmp_path / "files", "parquet")
    sink = running.start("files", SINKS_BATCH_SECONDS="600")
    wait_until_ready(sink)
    topics.produce("sms.status", statuses(40))
    eventually(lambda: sink.metric("routee_sinks_lag_records") == 40, 60)
    assert folder.files() == []
    code, seconds = sink.stop(number)
    assert (code, seconds < 10) == (0, True)
    assert len(folder.positions()) == 40
    assert len(folder.files()) == PARTITIONS


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, topics: Topics, running: Running) -> None:
    del topics
    root = tmp_path / "in-the-way"
    root.write_text("a file")
    sink = running.start("files", SINKS_FILES_ROOT=str(root))
    assert sink.process.wait(60) == 1
    assert sink.messages[-1] == f"SINKS_FILES_ROOT={root}: {root} is not a folder"


def test_the_archive_has_every_raw_record_as_kafka_has_it_through_a_kill(
    folder: Folder, file_format: str, topics: Topics, running: Running, tmp_path: Path
) -> None:
    """The values are no rows of any table: an archive takes every byte."""
    topics.add(CALLBACKS_RAW, PARTITIONS)
    values = [b'{"received_at":"2026-11-22T09:00:00.000Z","callbacks":[{"n":%d}]}' % at for at in range(120)]
    values[7:10] = [b"no json \xff", b'{"a":1}{"b":2}', b""]
    topics.produce("callbacks.raw", [(number % PARTITIONS, value) for number, value in enumerate(values[:60])])
    topics.produce("sms.status", statuses(4))
    settings = {"SINKS_FILES_FORMAT": file_format, "SINKS_TABLES": "raw_callbacks"}
    first = running.start("files", **settings)
    wait_for_archive(folder, 60)
    first.kill()
    topics.produce("callbacks.raw", [(number % PARTITIONS, value) for number, value in enumerate(values[60:])])
    running.start("files", **settings)
    wait_for_archive(folder, 120)
    found = [
        row
        for file in folder.files("raw_callbacks")
        for row in records_in(file.read_bytes(), file_format, topics.prefix + "callbacks.raw")
    ]
    place = attrgetter("partition", "offset")
    assert sorted(found, key=place) == sorted(topics.whole("callbacks.raw"), key=place)
    assert {row.key for row in found} == {b"key"}
    assert not (tmp_path / "files" / "sms_status").exists(), "a table that is not chosen"


def wait_for_archive(folder: Folder, rows: int) -> None:
    eventually(lambda: len(folder.positions("raw_callbacks")) >= rows, 60, every=0.1)
