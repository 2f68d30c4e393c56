"""Files of refused callbacks: private, read back as they were written, and refused with every fault at once."""

from base64 import b64encode
from pathlib import Path

import orjson
import pytest

from ingest.redrive.errors import FileError
from ingest.redrive.exports import read_import, write_export
from ingest.redrive.fates import Fate, Judged, refused_of
from tests.unit.ingest.redrive.refused import NOON_MS, body_of, refused, rejected_by_ingest


def one(number: int, body: bytes, attempts: int = 0) -> Judged:
    return Judged(refused((0, number), attempts=attempts), Fate.REDRIVE, f"m-{number}", body, "")


def test_an_export_is_read_back_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "refused.ndjson"
    write_export(file, [one(1, body_of(1)), one(2, body_of(2), attempts=2)])
    assert file.stat().st_mode & 0o777 == 0o600
    (first, second) = read_import(file)
    assert (first[0].rejection, first[0].first_received_at_ms, first[1]) == ((0, 1), NOON_MS, body_of(1))
    assert (second[0].rejection, second[0].attempts) == ((0, 2), 2)


def test_a_file_that_exists_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "refused.ndjson"
    file.write_text("mine")
    with pytest.raises(FileError, match="File exists"):
        write_export(file, [one(1, body_of(1))])
    assert file.read_text() == "mine"


def test_a_body_may_be_corrected_as_text_or_as_an_object(tmp_path: Path) -> None:
    file = tmp_path / "refused.ndjson"
    write_export(file, [one(1, b"no callback"), one(2, b"\xff\xfe"), one(3, body_of(3))])
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert lines[1]["body"] is None
    lines[0]["body"] = body_of(1).decode()
    lines[1]["body"] = orjson.loads(body_of(2))
    file.write_bytes(b"\n".join(map(orjson.dumps, lines[:2])) + b"\n\n")
    assert [body for _, body in read_import(file)] == [body_of(1), body_of(2)]


def test_every_fault_of_a_file_is_told_at_once_and_quotes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "refused.ndjson"
    write_export(file, [one(1, body_of(1)), one(1, body_of(1)), one(3, b"+306900000001")])
    with file.open("ab") as opened:
        opened.write(b'no json\n{"rejected":[0]}\n')
    with pytest.raises(FileError) as raised:
        read_import(file)
    told = str(raised.value).splitlines()
    assert [line.partition(", line ")[2].partition(":")[0] for line in told[:-1]] == ["2", "3", "4", "5"]
    assert told[-1] == "nothing was stored"
    assert "6900000001" not in str(raised.value)


def test_a_file_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        read_import(tmp_path / "none")


def test_a_callback_that_no_record_takes_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "refused.ndjson"
    write_export(file, [one(1, body_of(1)), one(2, body_of(2, message="x" * 880_000))])
    with pytest.raises(FileError, match="line 2: it is longer than 880,000 bytes"):
        read_import(file)


def test_a_mark_of_an_editor_before_the_first_line_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "refused.ndjson"
    write_export(file, [one(1, body_of(1))])
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert [body for _, body in read_import(file)] == [body_of(1)]


@pytest.mark.parametrize("told", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_receipt_outside_of_all_years_is_a_fault_of_its_line(tmp_path: Path, told: str) -> None:
    file = tmp_path / "refused.ndjson"
    write_export(file, [one(1, body_of(1))])
    line = orjson.loads(file.read_bytes())
    file.write_bytes(orjson.dumps(line | {"first_received_at": told}))
    with pytest.raises(FileError, match="line 1: it is no line of an export"):
        read_import(file)
    with_receipt = orjson.dumps(orjson.loads(rejected_by_ingest(body_of(1))) | {"received_at": told})
    assert refused_of((0, 1), with_receipt) is None


def test_of_many_faults_twenty_are_told_and_the_others_counted(tmp_path: Path) -> None:
    file = tmp_path / "refused.ndjson"
    file.write_bytes(b"no json\n" * 23)
    with pytest.raises(FileError) as raised:
        read_import(file)
    told = str(raised.value).splitlines()
    assert len(told) == 22
    assert told[-2:] == ["and 3 more", "nothing was stored"]


def test_bytes_that_are_no_base64_are_a_fault_and_not_read_as_others(tmp_path: Path) -> None:
    file = tmp_path / "refused.ndjson"
    write_export(file, [one(1, body_of(1))])
    line = orjson.loads(file.read_bytes())
    text = b64encode(body_of(1)).decode()
    file.write_bytes(orjson.dumps(line | {"body": None, "body_base64": text}))
    assert [body for _, body in read_import(file)] == [body_of(1)]
    file.write_bytes(orjson.dumps(line | {"body": None, "body_base64": f"!{text}"}))
    with pytest.raises(FileError, match="`body_base64` its bytes"):
        read_import(file)
