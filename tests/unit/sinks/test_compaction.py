"""
Manifests, `files verify`, `files compact`: every gap, overlap and damage is named, and no step loses or doubles a row.
"""

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sinks.cli import main
from sinks.erasing import Erasing
from sinks.errors import FatalError, RetryableError
from sinks.files import compaction, erasure, manifest
from sinks.files.archive import records_in
from sinks.files.compaction import compact, remove_rest
from sinks.files.erasure import FileErasure
from sinks.files.exchange import exchange
from sinks.files.locks import Lock, days
from sinks.files.manifest import read_manifest, write_manifests
from sinks.files.personal_rows import FileRows
from sinks.files.proof import files_of
from sinks.files.retention import expire
from sinks.files.sink import FileSink
from sinks.files.verify import verify
from sinks.source import Record, TopicPartition
from sinks.tables import FILE_TABLE_OF, RAW_CALLBACKS_TABLE, tables_by_topic
from streams.contract.codec import encode
from streams.program.file_names import MANIFEST
from tests.behaviour.sinks.records import sms
from tests.support.erasures import MARKS
from tests.support.erasures import erasure as an_erasure

RAW = "routee.callbacks.raw"
SMS = "routee.sms.status"
TABLES = [RAW_CALLBACKS_TABLE, "sms_status"]
FIRST = datetime(2026, 11, 20, tzinfo=UTC)
FIRST_MS = int(FIRST.timestamp() * 1000)
DAY_MS = 86_400_000
NOW = FIRST + timedelta(days=2, hours=2)
ERASED = "+306900000001"
FORMATS = {"parquet": "read_parquet", "ndjson": "read_json"}


def envelope(number: int) -> bytes:
    to = ERASED if number % 5 == 0 else "+306900000002"
    return b'{"received_at":"2026-11-20T09:00:00.000Z","callbacks":[{"messageId":"%d","to":"%s"}]}' % (
        number,
        to.encode(),
    )


class Files:
    """Files of two days of an archive with two partitions, and of SMS, in many files; the third day is not over."""

    def __init__(self, root: Path, file_format: str) -> None:
        self.root = root
        self.format = file_format
        self.open()
        self.records = {
            (partition, offset): Record(
                RAW, partition, offset, FIRST_MS + offset // 12 * DAY_MS, envelope(offset), b"key", [("type", b"x")]
            )
            for partition in (0, 1)
            for offset in range(30)
        }
        for partition, offset in self.records:
            if offset % 3 == 0:
                rows = [self.records[partition, offset + number] for number in range(3)]
                self.sink.write(RAW_CALLBACKS_TABLE, rows)
        for offset in range(0, 24, 2):
            row = Record(
                SMS, 0, offset, FIRST_MS + offset // 12 * DAY_MS, encode(sms(f"sms-{offset}", recipient=ERASED))
            )
            self.sink.write("sms_status", [row])

    def open(self) -> None:
        self.sink = FileSink(self.root, self.format, "routee.", FILE_TABLE_OF)
        self.claimed = self.sink.claim([TopicPartition(RAW, 0), TopicPartition(RAW, 1), TopicPartition(SMS, 0)])

    def day(self, number: int, table: str = RAW_CALLBACKS_TABLE) -> Path:
        return self.root / table / f"date=2026-11-{20 + number}"

    def names(self, number: int, table: str = RAW_CALLBACKS_TABLE) -> list[str]:
        return sorted(file.name for file in self.day(number, table).iterdir() if not file.name.startswith("."))

    def compact(self) -> list[compaction.Compacted]:
        return [*compact(self.root, TABLES, NOW, grace_seconds=0)]

    def manifests(self) -> list[Path]:
        return write_manifests(self.root, TABLES, NOW)

    def problems(self) -> list[str]:
        return [problem for found in verify(self.root, TABLES) for problem in found.problems]

    def found(self) -> dict[tuple[int, int], Record]:
        """Return the records of the archive by their positions; none is there twice."""
        rows = [
            row
            for file in files_of(self.root / RAW_CALLBACKS_TABLE)
            for row in records_in(file.read_bytes(), self.format, RAW)
        ]
        found = {(row.partition, row.offset): row for row in rows}
        assert len(found) == len(rows), "a record is in two files"
        return found

    def erase(self) -> int:
        known = Erasing(MARKS)
        known.add([an_erasure(ERASED, FIRST + timedelta(days=30))])
        tables = tables_by_topic("routee.", FILE_TABLE_OF)
        return FileErasure(self.root, tables, lambda: self.sink.holding, self.sink.held).erase(known.known)

    def glob(self, pattern: str = "date=*/*") -> list[tuple[int, int]]:
        """Return the positions that DuckDB finds by a pattern, each as often as it does."""
        suffix = {"parquet": "parquet", "ndjson": "ndjson.gz"}[self.format]
        files = f"{FORMATS[self.format]}('{self.root}/{RAW_CALLBACKS_TABLE}/{pattern}.{suffix}')"
        rows = duckdb.connect().execute(f"SELECT topic_partition, topic_offset FROM {files}").fetchall()  # noqa: S608 - ours
        return sorted(rows)


@pytest.fixture(params=FORMATS)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return Files(tmp_path, request.param)


@pytest.fixture
def parquet(tmp_path: Path) -> Files:
    return Files(tmp_path, "parquet")


def test_a_manifest_tells_the_files_of_a_day_that_is_over_and_is_written_once(files: Files) -> None:
    written = {*files.manifests()}
    assert written == {files.day(number, table) for number in (0, 1) for table in TABLES}
    assert files.manifests() == []
    told = read_manifest(files.day(0))
    assert told is not None
    assert {number: (one.first, one.last, one.count) for number, one in told.partitions.items()} == {
        0: (0, 11, 12),
        1: (0, 11, 12),
    }
    assert [file.name for file in told.files] == [
        f"{p}-{at}-{at + 2}.{_suffix(files)}" for p in (0, 1) for at in (0, 3, 6, 9)
    ]
    assert files.problems() == []


def _suffix(files: Files) -> str:
    return {"parquet": "parquet", "ndjson": "ndjson.gz"}[files.format]


def test_a_day_that_did_not_change_is_not_read_again(parquet: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet.manifests()
    for table in TABLES:
        for number in (0, 1):
            os.utime(parquet.day(number, table), (1, 1))
    read: list[Path] = []

    def listing(day: Path) -> manifest.Listing:
        read.append(day)
        return {}

    monkeypatch.setattr(manifest, "listed_files", listing)
    looked: dict[Path, int] = {}
    write_manifests(parquet.root, TABLES, NOW, looked)
    assert len(read) == 4
    write_manifests(parquet.root, TABLES, NOW, looked)
    assert len(read) == 4
    parquet.sink.write(RAW_CALLBACKS_TABLE, [Record(RAW, 0, 30, FIRST_MS, envelope(30))])
    for _ in range(2):  # a change of this moment may not be the last one of it
        write_manifests(parquet.root, TABLES, NOW, looked)
    assert read[4:] == [parquet.day(0), parquet.day(0)]


def test_a_day_is_over_an_hour_after_its_end(parquet: Files) -> None:
    assert write_manifests(parquet.root, TABLES, FIRST + timedelta(days=1, minutes=59)) == []
    assert len(write_manifests(parquet.root, TABLES, FIRST + timedelta(days=1, minutes=61))) == 2


def test_files_that_came_later_are_added_and_one_that_went_away_stays_named(parquet: Files) -> None:
    parquet.manifests()
    gone = parquet.day(0) / "1-3-5.parquet"
    gone.unlink()
    late = Record(RAW, 1, 30, FIRST_MS, envelope(30))
    parquet.sink.write(RAW_CALLBACKS_TABLE, [late])
    assert parquet.manifests() == [parquet.day(0)]
    told = read_manifest(parquet.day(0))
    assert told is not None
    assert {"1-3-5.parquet", "1-30-30.parquet"} <= {file.name for file in told.files}
    assert (
        f"{RAW_CALLBACKS_TABLE}/{parquet.day(0).name}/1-3-5.parquet: is missing: the manifest has it with 3 rows"
        in (parquet.problems())
    )


def damage_by_a_bit(files: Files) -> str:
    file = files.day(0) / files.names(0)[1]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return f"{file.name}: is damaged"


def cut(files: Files) -> str:
    file = files.day(1) / files.names(1)[0]
    file.write_bytes(file.read_bytes()[:-9])
    return f"{file.name}: is damaged"


def take_away(files: Files) -> str:
    (files.day(0) / files.names(0)[1]).unlink()
    return "partition 0: a gap: offsets 3 to 5 are in no file"


def take_a_day_away(files: Files) -> str:
    shutil.rmtree(files.day(1))
    return "partition 1: a gap: offsets 12 to 23 are in no file"


def double(files: Files) -> str:
    (files.day(1) / files.names(0)[0]).write_bytes((files.day(0) / files.names(0)[0]).read_bytes())
    return "overlap"


def overlap(files: Files) -> str:
    rows = [files.records[0, offset] for offset in (1, 2, 3)]
    other = FileSink(files.root / "other", files.format, "routee.", FILE_TABLE_OF)
    other.claim([TopicPartition(RAW, 0)])
    other.write(RAW_CALLBACKS_TABLE, rows)
    (made,) = files_of(files.root / "other" / RAW_CALLBACKS_TABLE)
    shutil.copy(made, files.day(0))
    return "overlap"


def rename(files: Files) -> str:
    name = files.names(0)[0]
    (files.day(0) / name).rename(files.day(0) / name.replace("0-0-2", "0-0-4"))
    return "its rows do not fit its name"


def take_a_row_out(files: Files) -> str:
    shutil.rmtree(files.root / RAW_CALLBACKS_TABLE)
    files.open()
    files.sink.write(RAW_CALLBACKS_TABLE, [files.records[0, offset] for offset in (0, 2, 3)])
    return "has a gap: 3 rows for 4 offsets"


DAMAGES: tuple[Callable[[Files], str], ...] = (
    damage_by_a_bit,
    cut,
    take_away,
    take_a_day_away,
    double,
    overlap,
    rename,
    take_a_row_out,
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_gap_overlap_and_damage_is_named_also_without_a_manifest(
    files: Files, damage: Callable[[Files], str]
) -> None:
    expected = damage(files)
    if damage is damage_by_a_bit and files.format == "parquet":
        return  # a bit in a page of values is known by the checksum of the manifest alone
    assert [problem for problem in files.problems() if expected in problem]


@pytest.mark.parametrize("damage", DAMAGES[:4])
def test_with_a_manifest_every_bit_is_known(parquet: Files, damage: Callable[[Files], str]) -> None:
    parquet.manifests()
    expected = damage(parquet)
    assert [problem for problem in parquet.problems() if expected in problem]


def test_a_missing_file_of_a_table_with_gaps_is_known_by_the_manifest(parquet: Files) -> None:
    parquet.manifests()
    name = parquet.names(0, "sms_status")[2]
    (parquet.day(0, "sms_status") / name).unlink()
    (problem,) = parquet.problems()
    assert name in problem
    assert "is missing" in problem


def test_a_damaged_manifest_is_named_and_not_written_over(parquet: Files) -> None:
    parquet.manifests()
    (parquet.day(0) / MANIFEST).write_text("{")
    (problem,) = parquet.problems()
    assert "is damaged" in problem
    parquet.sink.write(RAW_CALLBACKS_TABLE, [Record(RAW, 0, 30, FIRST_MS, envelope(30))])
    assert parquet.manifests() == []
    assert [done.problem for done in parquet.compact() if done.day == parquet.day(0)] == [problem]


def test_an_erasure_is_no_damage_also_when_it_was_killed_before_the_rename(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.manifests()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(erasure, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            files.erase()
    assert files.problems() == []
    assert files.erase() > 0
    assert files.problems() == []
    assert ERASED not in str([row.value for row in files.found().values()])


def test_two_erasures_that_were_killed_before_the_rename_are_no_damage_and_a_changed_file_is_one(
    files: Files,
) -> None:
    files.manifests()
    day, name = files.day(0), files.names(0)[0]
    now = (day / name).read_bytes()
    for attempt in (b"first", b"second"):
        manifest.note_change(day, 0, name, now, attempt)
    assert files.problems() == []
    (day / name).write_bytes(b"first")
    assert any("its checksum is not the manifest's" in problem for problem in files.problems())


def test_a_day_becomes_one_file_a_partition_with_the_same_rows_and_a_manifest(files: Files) -> None:
    before = files.found()
    assert before == files.records
    done = files.compact()
    assert [(one.before, one.after, one.problem) for one in done] == [
        (8, 2, None),
        (8, 2, None),
        (6, 1, None),
        (6, 1, None),
    ]
    assert files.names(0) == [f"0-0-11.{_suffix(files)}", f"1-0-11.{_suffix(files)}"]
    assert len(files.names(2)) == 4, "a day that is not over"
    assert files.found() == before
    assert files.glob() == files.glob("**/*") == sorted(before)
    assert files.problems() == []
    told = read_manifest(files.day(0))
    assert told is not None
    assert [file.name for file in told.files] == files.names(0)
    assert files.compact() == []
    assert not (files.root / compaction.ASIDE).exists()


@pytest.mark.parametrize("file_format", FORMATS)
def test_files_of_two_partitions_are_never_joined(tmp_path: Path, file_format: str) -> None:
    sink = FileSink(tmp_path, file_format, "routee.", FILE_TABLE_OF)
    sink.claim([TopicPartition(SMS, number) for number in range(3)])
    written = [(0, 0, 4), (0, 5, 9), (1, 0, 4), (1, 5, 6), (2, 3, 3)]
    for partition, first, last in written:
        rows = [Record(SMS, partition, at, FIRST_MS, encode(sms(f"sms-{at}"))) for at in range(first, last + 1)]
        sink.write("sms_status", rows)
    [*compact(tmp_path, TABLES, NOW, grace_seconds=0)]
    names = sorted(file.name.split(".")[0] for file in files_of(tmp_path / "sms_status"))
    assert names == ["0-0-9", "1-0-6", "2-3-3"]
    assert [one.problems for one in verify(tmp_path, ["sms_status"])] == [[]]


def test_a_file_with_rows_of_another_partition_is_not_joined(parquet: Files) -> None:
    shutil.copy(parquet.day(0) / "1-3-5.parquet", parquet.day(0) / "0-3-5.parquet")
    (done,) = [one for one in parquet.compact() if one.day == parquet.day(0)]
    assert done.problem is not None
    assert len(parquet.names(0)) == 8


def test_files_are_joined_up_to_a_size(parquet: Files) -> None:
    most = 2 * max(file.stat().st_size for file in files_of(parquet.root / RAW_CALLBACKS_TABLE)) + 1
    done = [*compact(parquet.root, [RAW_CALLBACKS_TABLE], NOW, most, 0)]
    assert [(one.before, one.after) for one in done] == [(8, 4), (8, 4)]
    assert parquet.found() == parquet.records


def test_a_joined_file_is_small_enough_for_an_erasure_which_has_all_its_rows_in_memory() -> None:
    assert compaction.MOST_BYTES <= 4 << 20


def test_the_sink_goes_on_after_the_furthest_file_of_a_compacted_day(files: Files) -> None:
    shutil.rmtree(files.day(2))
    files.compact()
    files.sink.close()
    files.open()
    assert files.claimed[TopicPartition(RAW, 0)] == 24
    files.sink.write(RAW_CALLBACKS_TABLE, [Record(RAW, 0, 24, FIRST_MS, envelope(24))])
    assert files.problems() == []
    assert files.compact() == [], "files of another day lie between these"


def test_a_day_whose_files_are_damaged_stays_as_it_is_and_the_others_are_compacted(files: Files) -> None:
    damaged = files.day(0) / files.names(0)[1]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    before = files.names(0)
    done = {one.day: one for one in files.compact()}
    assert done[files.day(0)].problem is not None
    assert files.names(0) == before
    assert done[files.day(1)].after == 2


def test_a_damage_that_only_the_checksum_tells_is_not_hidden_by_a_compaction(parquet: Files) -> None:
    parquet.manifests()
    damage_by_a_bit(parquet)
    (done,) = [one for one in parquet.compact() if one.day == parquet.day(0)]
    assert done.problem == f"{parquet.names(0)[1]} is damaged: see `routee-sinks files verify`"


def test_a_file_that_the_manifest_misses_is_not_hidden_by_a_compaction(parquet: Files) -> None:
    parquet.manifests()
    (parquet.day(0) / "1-3-5.parquet").unlink()
    (done,) = [one for one in parquet.compact() if one.day == parquet.day(0)]
    assert "is missing" in (done.problem or "")


class Killed(BaseException):
    """The process ends here."""


def steps(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Have the process end after so many steps on the disk."""
    count = 0

    def then_die(real: Any) -> Any:  # noqa: ANN401 - any function of the operating system
        def step(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            nonlocal count
            found = real(*given, **named)
            count += 1
            if count == at:
                raise Killed
            return found

        return step

    monkeypatch.setattr(os, "fsync", then_die(os.fsync))
    monkeypatch.setattr(os, "unlink", then_die(os.unlink))
    monkeypatch.setattr(Path, "mkdir", then_die(Path.mkdir))
    monkeypatch.setattr(Path, "rename", then_die(Path.rename))
    monkeypatch.setattr(compaction, "exchange", then_die(exchange))


def test_killed_after_any_step_a_reader_has_each_row_once_and_the_next_run_does_the_rest(
    parquet: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash, is_killed = 0, True
    while is_killed:
        crash += 1
        root = parquet.root / f"crash-{crash}"
        shutil.copytree(parquet.day(0), root / RAW_CALLBACKS_TABLE / parquet.day(0).name)
        with monkeypatch.context() as patched:
            steps(patched, crash)
            is_killed = _is_killed(root)
        expected = sorted(position for position in parquet.records if position[1] < 12)
        found = [
            (row.partition, row.offset)
            for file in root.glob(f"{RAW_CALLBACKS_TABLE}/**/*.parquet")
            for row in records_in(file.read_bytes(), "parquet")
        ]
        assert sorted(found) == expected, f"after step {crash}"
        assert [one.problems for one in verify(root, TABLES)] == [[]]
        [*compact(root, TABLES, NOW, grace_seconds=0)]
        assert sorted(file.name for file in files_of(root / RAW_CALLBACKS_TABLE)) == [
            "0-0-11.parquet",
            "1-0-11.parquet",
        ]
        assert [one.problems for one in verify(root, TABLES)] == [[]]
        assert not (root / compaction.ASIDE).exists()
    assert crash > 20, "the steps are not those of a compaction"


def _is_killed(root: Path) -> bool:
    try:
        [*compact(root, TABLES, NOW, grace_seconds=0)]
    except Killed:
        return True
    return False


def test_the_rest_of_a_killed_compaction_is_removed_unless_one_runs(parquet: Files) -> None:
    rest = parquet.root / compaction.ASIDE / "x"
    rest.mkdir(parents=True)
    running = Lock(parquet.root, "compaction")
    assert running.acquire()
    remove_rest(parquet.root)
    assert rest.exists()
    with pytest.raises(FatalError, match="another process"):
        parquet.compact()
    running.release()
    remove_rest(parquet.root)
    assert not rest.exists()


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have something done after the files of a day were joined, and before the exchange."""

    def publishing(folder: Path, told: manifest.Manifest) -> None:
        manifest.publish_manifest(folder, told)
        act()

    monkeypatch.setattr(compaction, "publish_manifest", publishing)


@pytest.mark.parametrize("event", ["a file comes", "an erasure", "the days end"])
def test_what_happens_to_a_day_while_its_files_are_joined_is_not_lost(
    parquet: Files, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    late = Record(RAW, 0, 30, FIRST_MS, envelope(31), None, [])
    act: dict[str, Callable[[], object]] = {
        "a file comes": lambda: parquet.sink.write(RAW_CALLBACKS_TABLE, [late]),
        "an erasure": parquet.erase,
        "the days end": lambda: expire(parquet.root, TABLES, 1, NOW.date()),
    }
    with monkeypatch.context() as patched:
        meanwhile(patched, act[event])
        (done, *_) = compact(parquet.root, [RAW_CALLBACKS_TABLE], NOW, grace_seconds=0)
    assert done.problem == "files of it were written meanwhile: try again"
    parquet.compact()
    assert parquet.problems() == []
    if event == "a file comes":
        assert parquet.found() == {**parquet.records, (0, 30): late}
    elif event == "an erasure":
        assert ERASED not in str([row.value for row in parquet.found().values()])
    else:
        assert not parquet.day(0).exists()


@pytest.mark.parametrize("moment", ["listed_files", "exchange"])
def test_a_day_that_is_removed_at_any_moment_does_not_end_the_run(
    parquet: Files, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    real = getattr(compaction, moment)

    def removing(*given: Path) -> Any:  # noqa: ANN401 - what the real one returns
        if parquet.day(0) in given and parquet.day(0).exists():
            shutil.rmtree(parquet.day(0))
        return real(*given)

    monkeypatch.setattr(compaction, moment, removing)
    done = {one.day: one for one in compact(parquet.root, [RAW_CALLBACKS_TABLE], NOW, grace_seconds=0)}
    assert done[parquet.day(1)].after == 2
    assert not parquet.day(0).exists()


def test_an_erasure_looks_also_through_files_that_were_joined_while_it_looked(
    parquet: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names that the erasure has listed are gone then, and the joined file still has the number."""
    real, listed = files_of, 0

    def listing(folder: Path, partition: int | None = None) -> list[Path]:
        nonlocal listed
        found = real(folder, partition)
        listed += 1
        if listed == 1:
            parquet.compact()
        return found

    monkeypatch.setattr(erasure, "files_of", listing)
    parquet.erase()
    assert ERASED not in str([row.value for row in parquet.found().values()])
    assert ERASED not in str([*FileRows(parquet.root, TABLES).of(lambda _: True, lambda _: True)])
    assert parquet.problems() == []


def test_files_are_neither_written_nor_read_by_name_during_an_exchange(parquet: Files) -> None:
    folder = parquet.root / RAW_CALLBACKS_TABLE
    with days(folder, alone=True), pytest.raises(RetryableError, match="is it frozen"), days(folder, seconds=0):
        pass
    with days(folder), days(folder):
        pass


def test_a_reader_that_has_a_file_open_goes_on_and_one_that_opens_a_former_file_is_told(parquet: Files) -> None:
    former = parquet.day(0) / parquet.names(0)[0]
    content = former.read_bytes()
    with former.open("rb") as opened:
        parquet.compact()
        assert opened.read() == content
    with pytest.raises(FileNotFoundError):
        former.read_bytes()


def test_a_file_system_that_cannot_exchange_is_one_line(
    parquet: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument", str(parquet.day(0)))

    monkeypatch.setattr(compaction, "exchange", refuse)
    monkeypatch.setattr("sinks.cli.configure_logging", lambda *_: None)
    monkeypatch.setenv("SINKS_FILES_ROOT", str(parquet.root))
    assert main(["files", "compact"]) == 1
    (line,) = [one.getMessage() for one in caplog.records if "Invalid argument" in one.getMessage()]
    assert line.startswith("SINKS_FILES_ROOT=")
    assert parquet.found() == parquet.records


def test_the_commands_tell_what_they_did(
    parquet: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sinks.cli.configure_logging", lambda *_: None)
    monkeypatch.setenv("SINKS_FILES_ROOT", str(parquet.root))
    waited: list[float] = []
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + sum(waited))
    monkeypatch.setattr(time, "sleep", waited.append)
    assert main(["files", "compact"]) == 0
    assert sum(waited) == pytest.approx(10), "a reader may be listing a former folder"
    assert '{"day": "raw_callbacks/date=2026-11-20", "before": 8, "after": 2}' in capsys.readouterr().out
    assert main(["files", "verify"]) == 0
    said = capsys.readouterr()
    assert '"table": "raw_callbacks", "days": 3, "manifests": 3' in said.out
    assert said.err == ""
    (parquet.day(0) / "0-0-11.parquet").unlink()
    assert main(["files", "verify"]) == 1
    assert "is missing" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def _no_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
