"""Folders of days go after their days, whole, and no position goes with them."""

import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from sinks import cli
from sinks.files import retention
from sinks.files.locks import Lock
from sinks.files.positions import noted_positions
from sinks.files.retention import care_again_and_again, expire
from sinks.files.sink import FileSink
from sinks.settings import SinksSettings
from sinks.source import Record, TopicPartition
from sinks.tables import FILE_TABLE_OF
from streams.contract.codec import encode
from streams.program.file_names import DAYS, parse_name
from tests.behaviour.sinks.records import sms

_TOPIC = "routee.sms.status"
_DAY_MS = 86_400_000
_FIRST = date(2025, 1, 1)
_FIRST_MS = int((_FIRST - date(1970, 1, 1)).days) * _DAY_MS
_TABLES = ["sms_status", "campaign_progress"]


def record(partition: int, offset: int, day: int) -> Record:
    return Record(_TOPIC, partition, offset, _FIRST_MS + day * _DAY_MS, encode(sms("key")))


def sink_of(root: Path, *partitions: int) -> tuple[FileSink, dict[TopicPartition, int | None]]:
    sink = FileSink(root, "ndjson", "routee.")
    return sink, sink.claim([TopicPartition(_TOPIC, number) for number in partitions])


def days_of(root: Path) -> list[str]:
    return sorted(day.name for day in (root / "sms_status").glob(DAYS))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Give a folder with files of partition 0 on three days, and of partition 1 on the first of them alone."""
    sink, _ = sink_of(tmp_path, 0, 1)
    sink.write("sms_status", [record(0, offset, offset) for offset in range(3)])
    sink.write("sms_status", [record(1, 7, 0)])
    sink.close()
    return tmp_path


def test_a_folder_goes_the_day_after_its_days(written: Path) -> None:
    assert expire(written, _TABLES, 400, _FIRST + timedelta(days=400)) == []
    (removed,) = expire(written, _TABLES, 400, _FIRST + timedelta(days=401))
    assert removed.name == "date=2025-01-01"
    assert days_of(written) == ["date=2025-01-02", "date=2025-01-03"]
    assert not [name for name in written.rglob("*") if "2025-01-01" in name.name]


def test_with_0_days_files_stay_for_ever(written: Path) -> None:
    assert expire(written, _TABLES, 0, date(2999, 1, 1)) == []


def test_positions_outlive_their_files(written: Path) -> None:
    expire(written, _TABLES, 1, date(2999, 1, 1))
    assert days_of(written) == []
    sink, begin = sink_of(written, 0, 1, 2)
    assert {partition.partition: position for partition, position in begin.items()} == {0: 3, 1: 8, 2: None}
    sink.write("sms_status", [record(1, 7, 0), record(1, 8, 9)])
    (file,) = [entry for entry in (written / "sms_status").glob(f"{DAYS}*") if parse_name(entry.name)]
    assert parse_name(file.name) == (1, 8, 8, "ndjson")


def test_a_later_file_counts_more_than_a_position_that_was_noted(written: Path) -> None:
    expire(written, _TABLES, 1, _FIRST + timedelta(days=3))
    assert noted_positions(written / "sms_status") == {0: 2, 1: 8}
    _, begin = sink_of(written, 0)
    assert begin == {TopicPartition(_TOPIC, 0): 3}


def test_a_removal_that_was_cut_off_is_finished(written: Path) -> None:
    folder = written / "sms_status"
    (folder / "date=2025-01-01").rename(folder / ".expired-date=2025-01-01")
    expire(written, _TABLES, 400, _FIRST)
    assert not (folder / ".expired-date=2025-01-01").exists()


def test_another_process_that_removes_is_left_to_it(written: Path) -> None:
    lock = Lock(written / "sms_status", "retention")
    assert lock.acquire()
    assert expire(written, _TABLES, 1, date(2999, 1, 1)) == []
    lock.release()
    assert len(expire(written, _TABLES, 1, date(2999, 1, 1))) == 3


def test_a_writer_whose_folder_goes_writes_again(written: Path) -> None:
    sink, _ = sink_of(written, 0)
    expire(written, _TABLES, 1, date(2999, 1, 1))
    sink.write("sms_status", [record(0, 3, 0)])
    assert days_of(written) == ["date=2025-01-01"]


@pytest.mark.parametrize("failing", ["write_manifests", "remove_rest"])
def test_days_end_also_on_a_full_disk(written: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", str(written))

    monkeypatch.setattr(retention, failing, fail)
    end = care_again_and_again(written, _TABLES, 1)
    deadline = time.monotonic() + 10
    while days_of(written) and time.monotonic() < deadline:
        time.sleep(0.01)
    end()
    assert days_of(written) == []


def test_other_folders_and_files_stay(written: Path) -> None:
    other = written / "sms_status" / "date=archive"
    other.mkdir()
    expire(written, _TABLES, 1, date(2999, 1, 1))
    assert other.is_dir()


def test_tables_that_are_chosen_no_more_end_too(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cared: list[str] = []
    monkeypatch.setattr(retention, "care_again_and_again", lambda _, tables, __: cared.extend(tables))
    monkeypatch.setattr(cli, "_require_of_machine", lambda *_: None)
    monkeypatch.setattr(cli, "_consume", lambda *_, **__: 0)
    cli.run_files(SinksSettings(sinks_files_root=written, sinks_tables="campaign_progress"))
    assert sorted(cared) == sorted(FILE_TABLE_OF.values())
