"""
Files on a real file system: whole or not at all, one writer, and a disk that is full.
"""

import errno
import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from sinks.errors import FatalError, PermanentError, RetryableError
from sinks.files.formats import ndjson, parquet, to_table
from sinks.files.sink import FileSink
from sinks.source import TopicPartition
from tests.unit.sinks.records import DAY_MS, TOPIC, record

ZERO = TopicPartition(TOPIC, 0)
ONE = TopicPartition(TOPIC, 1)


def sink(root: Path) -> FileSink:
    opened = FileSink(root, "parquet", "routee.")
    opened.claim([ZERO, ONE])
    return opened


def names(root: Path) -> list[str]:
    found = (root / "sms_status").glob("date=*/*")
    return sorted(f"{path.parent.name}/{path.name}" for path in found)


def test_each_partition_and_day_has_a_file_of_its_own(tmp_path: Path) -> None:
    rows = [record(0), record(1), record(2, timestamp=DAY_MS), record(7, partition=1)]
    sink(tmp_path).write("sms_status", rows)
    assert names(tmp_path) == [
        "date=1970-01-01/0-0-1.parquet",
        "date=1970-01-01/1-7-7.parquet",
        "date=1970-01-02/0-2-2.parquet",
    ]


def test_a_partition_has_one_writer_at_a_time(tmp_path: Path) -> None:
    first = sink(tmp_path)
    second = FileSink(tmp_path, "parquet", "routee.")
    first.write("sms_status", [record(0)])
    assert second.claim([ZERO, ONE]) == {}
    first.release([ZERO])
    assert second.claim([ZERO, ONE]) == {ZERO: 1}


def test_a_file_of_the_other_format_counts_as_written(tmp_path: Path) -> None:
    first = sink(tmp_path)
    first.write("sms_status", [record(0), record(4)])
    first.close()
    second = FileSink(tmp_path, "ndjson", "routee.")
    assert second.claim([ZERO]) == {ZERO: 5}


def test_only_drafts_of_its_own_partitions_are_removed(tmp_path: Path) -> None:
    day = tmp_path / "sms_status" / "date=1970-01-01"
    day.mkdir(parents=True)
    for name in (".0-5-6.parquet.tmp", ".1-5-6.parquet.tmp", "notes.txt"):
        (day / name).touch()
    FileSink(tmp_path, "parquet", "routee.").claim([ZERO])
    assert sorted(path.name for path in day.iterdir()) == [".1-5-6.parquet.tmp", "notes.txt"]


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    """A file where a folder is expected, names that are nearly names of its files."""
    table = tmp_path / "sms_status"
    day = table / "date=1970-01-01"
    day.mkdir(parents=True)
    strange = [tmp_path / "junk.parquet", table / "date=not-a-day", day / "notes.parquet", day / "0-5-x.parquet"]
    for file in strange:
        file.touch()
    opened = FileSink(tmp_path, "parquet", "routee.")
    assert opened.claim([ZERO]) == {ZERO: None}
    opened.write("sms_status", [record(0)])
    assert all(file.exists() for file in strange)


def test_a_file_where_a_day_has_to_be_is_named(tmp_path: Path) -> None:
    opened = sink(tmp_path)
    (tmp_path / "sms_status" / "date=1970-01-01").touch()
    with pytest.raises(RetryableError, match=r"sms_status/date=1970-01-01: File exists"):
        opened.write("sms_status", [record(0)])


def test_a_full_disk_is_waited_for_and_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = sink(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(RetryableError, match="No space left on device"):
            opened.write("sms_status", [record(0)])
    assert names(tmp_path) == []
    opened.write("sms_status", [record(0)])
    assert names(tmp_path) == ["date=1970-01-01/0-0-0.parquet"]


def test_after_a_failure_between_two_files_the_first_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = sink(tmp_path)
    rows = [record(0), record(1, timestamp=DAY_MS)]
    publish, calls = opened._publish, iter([None, OSError(errno.EIO, "broken")])

    def failing(folder: Path, name: str, content: bytes) -> None:
        error = next(calls, None)
        if error:
            raise error
        publish(folder, name, content)

    monkeypatch.setattr(opened, "_publish", failing)
    with pytest.raises(RetryableError):
        opened.write("sms_status", rows)
    opened.write("sms_status", [*rows, record(2, timestamp=DAY_MS)])
    assert names(tmp_path) == ["date=1970-01-01/0-0-0.parquet", "date=1970-01-02/0-1-2.parquet"]


def test_a_root_that_is_a_file_is_a_line_that_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    with pytest.raises(FatalError, match=r"SINKS_FILES_ROOT=.*: Not a directory"):
        FileSink(tmp_path / "root", "parquet", "routee.")


@pytest.mark.parametrize(
    "value",
    [
        b'{"sms_key":}',
        b'{"sms_key":"a"} {"sms_key":"b"}',
        b'{"sms_key":5}',
        b'{"sms_key":"\xff"}',
        b'{"received_at":"yesterday"}',
        b'{"price":"a lot"}',
        b'{"price":"12345678901.0"}',
        b'{"revision":"one"}',
        b'{"groups":"none"}',
        b'{"sms_key":"a","sms_key":"b"}',
    ],
)
def test_parquet_refuses_values_without_the_columns_types(value: bytes) -> None:
    with pytest.raises(PermanentError):
        parquet("sms_status", [record(0), record(1, value)])


def test_a_row_lies_in_a_file_where_its_record_does_and_not_where_it_says() -> None:
    rows = [
        record(17, b'{"sms_key":"a","topic_offset":"x","topic_partition":null}', partition=3),
        record(18, partition=3),
    ]
    for table in (to_table("sms_status", rows), pa.parquet.read_table(pa.BufferReader(parquet("sms_status", rows)))):
        assert table["topic_offset"].to_pylist() == [17, 18]
        assert table["topic_partition"].to_pylist() == [3, 3]


@pytest.mark.parametrize("value", [b'{"drift":5}', b'{"drift":{"Sent":"x"}}', b'{"drift":["Sent"]}'])
def test_parquet_refuses_counts_that_are_not_numbers(value: bytes) -> None:
    with pytest.raises(PermanentError):
        parquet("campaign_progress", [record(0, value)])


@pytest.mark.parametrize("value", [b'{"a":}', b'{"a":1} {"b":2}', b'{"a":"\xff"}'])
def test_ndjson_refuses_a_value_that_is_not_one_object(value: bytes) -> None:
    with pytest.raises(PermanentError):
        ndjson("sms_status", [record(0), record(1, value)])


def test_a_row_of_several_lines_is_one_row_in_both_formats() -> None:
    rows = [record(0, b'{"sms_key":\n"a",\n"message":"x\\ny"}'), record(1, b'{"sms_key":"b"}')]
    assert to_table("sms_status", rows)["sms_key"].to_pylist() == ["a", "b"]
    assert gzip.decompress(ndjson("sms_status", rows)).count(b"\n") == 2


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_the_lines_of_a_row_are_no_rows_where_a_block_ends_between_them(end: bytes) -> None:
    # Some of these end in each block that is read at once, and begin in the one before.
    rows = [record(number, b'{"message":"%b",%b"sms_key":"a"}' % (b"x" * 600_000, end)) for number in range(30)]
    assert to_table("sms_status", rows)["sms_key"].to_pylist() == ["a"] * 30


def test_a_row_may_be_larger_than_the_block_that_is_read_at_once() -> None:
    rows = [record(0, b'{"message":"%b"}' % (b"x" * (9 << 20))), record(1, b"{}")]
    assert to_table("sms_status", rows)["message"].to_pylist() == ["x" * (9 << 20), None]
