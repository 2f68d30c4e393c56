"""The archive is read as `routee-sinks files` writes it: both formats, every byte, and no file that is not whole."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from sinks.files.archive import archive_lines, archive_table
from sinks.files.layout import Run, draft_name, runs
from sinks.source import Record
from sinks.tables import RAW_CALLBACKS_TABLE
from streams.program.archive import TABLE, ArchiveError, archive_files, records_from, records_of, values_at
from streams.program.file_names import parse_name

VALUES = [b'{"a":1}', b"\xff\x00", None, b"", "Ω".encode()]
RECORDS = [
    Record("t", partition, 10 + at, 1_795_348_800_000 + at, value, None, [("type", b"x")])
    for partition in (0, 1)
    for at, value in enumerate(VALUES)
]


def write(root: Path, run: Run, file_format: str) -> None:
    folder = root / TABLE / run.folder
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / run.name(file_format)
    assert parse_name(file.name)
    if file_format == "parquet":
        pyarrow.parquet.write_table(archive_table(run.rows), file)
    else:
        file.write_bytes(gzip.compress(b"\n".join(archive_lines(run.rows)) + b"\n"))
    (folder / draft_name(file.name)).write_bytes(b"half a file")


@pytest.fixture(params=["parquet", "ndjson"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for partition in (0, 1):
        for run in runs([record for record in RECORDS if record.partition == partition]):
            write(tmp_path, run, request.param)
    return tmp_path


def test_the_records_are_the_ones_of_the_sink(root: Path) -> None:
    read = [tuple(record) for file in archive_files(root) for record in records_of(file)]
    assert read == [(one.partition, one.offset, one.timestamp, one.value) for one in RECORDS]
    assert TABLE == RAW_CALLBACKS_TABLE


def test_the_values_at_some_places(root: Path) -> None:
    assert values_at(root, [(1, 11), (0, 12), (0, 99), (5, 10)]) == {(1, 11): b"\xff\x00", (0, 12): None}


def test_records_that_go_away_before_they_are_read_are_no_gap(tmp_path: Path) -> None:
    """As at the end of their retention; joined ones are read from the file that has them now."""
    for at in range(0, 5, 2):
        write(tmp_path, next(iter(runs(RECORDS[at : at + 2]))), "parquet")
    first, second, third = (file.path for file in archive_files(tmp_path))
    for files, left in (([second, third], RECORDS[2:5]), ([second], [])):
        reading = records_from(tmp_path, 0)
        read = [next(reading).offset]
        contents = [file.read_bytes() for file in files]
        for file in files:
            file.unlink()
        if left:
            write(tmp_path, next(iter(runs(left))), "parquet")
            assert read + [record.offset for record in reading] == [10, 11, 12, 13, 14]
            (first.parent / "0-12-14.parquet").unlink()
        else:
            with pytest.raises(ArchiveError, match=r"has lost offset 12 meanwhile"):
                list(reading)
        for file, content in zip(files, contents, strict=True):
            file.write_bytes(content)


def test_a_folder_without_an_archive_and_a_damaged_file_are_one_line_each(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"no folder raw_callbacks"):
        archive_files(root / "elsewhere")
    (file, *_) = archive_files(tmp_path)
    file.path.write_bytes(b"damaged")
    with pytest.raises(ArchiveError, match=r"cannot be read"):
        list(records_of(file))


def test_every_damage_of_a_file_is_one_line(root: Path, tmp_path: Path) -> None:
    """A byte of another value at any place, and an end at any place: the records, or ArchiveError."""
    (file, *_) = archive_files(tmp_path)
    whole, told = file.path.read_bytes(), []
    places = range(0, len(whole), max(1, len(whole) // 100))
    changed = [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in places]
    for damaged in (*changed, *(whole[:at] for at in places)):
        file.path.write_bytes(damaged)
        try:
            values_at(root, [(0, 10)])
        except ArchiveError as error:
            told.append(str(error))
    assert len(told) > len(places)
    assert all(line.startswith(f"{file.path} cannot be read: ") for line in told)


@pytest.mark.parametrize("line", [b"1", b"[]", b"null", b"{}", b'{"value":1,"value_base64":null,"timestamp":1}'])
def test_a_line_that_is_no_record_is_one_line(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / TABLE / "date=2026-11-22" / "0-10-10.ndjson.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(line))
    with pytest.raises(ArchiveError, match=r"cannot be read"):
        values_at(tmp_path, [(0, 10)])


def test_an_error_of_arrow_that_is_no_value_error_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for an encoding or a codec that Arrow does not know."""

    def refused(*_: object, **__: object) -> None:
        raise pa.ArrowNotImplementedError("no such codec")

    write(tmp_path, next(iter(runs(RECORDS[:1]))), "parquet")
    monkeypatch.setattr("pyarrow.parquet.ParquetFile", refused)
    with pytest.raises(ArchiveError, match=r"0-10-10\.parquet cannot be read"):
        values_at(tmp_path, [(0, 10)])


@pytest.mark.parametrize("moved", ["0-10-14", "0-13-20", "0-20-24", "1-0-9"])
def test_a_file_under_the_name_of_another_one_is_one_line(root: Path, moved: str) -> None:
    (file, other) = (Path(str(one.path)) for one in archive_files(root))
    wrong = other.with_name(moved + "".join(file.suffixes))
    file.unlink()
    other.rename(wrong)
    number = int(moved[0])
    with pytest.raises(ArchiveError, match=rf"{moved}\S+ cannot be read: it has other rows"):
        [*records_from(root, number)]
    with pytest.raises(ArchiveError, match="has other rows"):
        values_at(root, [(number, int(moved.split("-")[1]))])


def test_a_file_without_a_row_is_no_gap(tmp_path: Path) -> None:
    write(tmp_path, next(iter(runs(RECORDS[:5]))), "ndjson")
    (file,) = archive_files(tmp_path)
    file.path.write_bytes(b"")
    with pytest.raises(ArchiveError, match="has other rows than its name tells"):
        [*records_from(tmp_path, 0)]
