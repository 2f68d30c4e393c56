"""
Files written anew under their names: the same rows without the data of erased people, at any crash.
"""

import gzip
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet
import pytest
from msgspec.structs import replace

from sinks.erasing import Erasing
from sinks.errors import FatalError, RetryableError
from sinks.files.erasure import FileErasure
from sinks.files.personal_rows import FileRows
from sinks.files.proof import files_of, last_files, misfit
from sinks.files.sink import FileSink
from sinks.source import Lookup, MemoryTopics, Record, TopicPartition
from streams.contract.codec import encode
from streams.contract.erasures import BLANKED
from tests.behaviour.sinks.records import at, campaign, rejection, sms
from tests.support.erasures import MARKS, erasure

PREFIX = "routee."
SMS = TopicPartition("routee.sms.status", 0)
REFUSED = TopicPartition("routee.callbacks.rejected", 0)
CAMPAIGNS = TopicPartition("routee.campaign.progress", 0)
TABLES = {SMS.topic: "sms_status", REFUSED.topic: "rejected_callbacks", CAMPAIGNS.topic: "campaign_progress"}
NUMBERS = [f"+30690000000{number}" for number in range(10)]
ERASED = NUMBERS[1]
FORMATS = ("parquet", "ndjson")


def erasing(*recipients: str) -> Erasing:
    known = Erasing(MARKS)
    known.add([erasure(recipient, at(1_000)) for recipient in recipients])
    return known


class Folder:
    """A folder with files of three tables, in three files each of SMS."""

    def __init__(self, root: Path, file_format: str) -> None:
        self.root = root
        self.format = file_format
        self.sink = FileSink(root, file_format, PREFIX)
        self.sink.claim([SMS, REFUSED, CAMPAIGNS])
        self.records = [
            Record(*SMS, offset, 0, encode(sms(f"sms-{offset}", label="order", recipient=NUMBERS[offset % 10])))
            for offset in range(28)
        ]
        for start in (0, 10, 20):
            self.sink.write("sms_status", self.records[start : start + 8])
        body = '{"to":"%s"}'
        refused = [encode(rejection(body=body % number)) for number in NUMBERS]
        self.sink.write("rejected_callbacks", [Record(*REFUSED, at, 0, value) for at, value in enumerate(refused)])
        self.sink.write("campaign_progress", [Record(*CAMPAIGNS, 0, 0, encode(campaign("c")))])

    def erasure(self) -> FileErasure:
        return FileErasure(self.root, TABLES, lambda: self.sink.holding, self.sink.held)

    def contents(self) -> dict[str, bytes]:
        return {str(file.relative_to(self.root)): file.read_bytes() for file in self.root.glob("*/date=*/*")}

    def rows(self) -> list[dict[str, Any]]:
        return [row for name, content in sorted(self.contents().items()) for row in read(name, content)]


def read(name: str, content: bytes) -> list[dict[str, Any]]:
    if name.endswith(".parquet"):
        rows: list[dict[str, Any]] = pyarrow.parquet.ParquetFile(io.BytesIO(content)).read().to_pylist()
        return rows
    return [orjson.loads(line) for line in gzip.decompress(content).splitlines()]


def expected(row: Mapping[str, Any]) -> dict[str, Any]:
    if row.get("recipient") == ERASED:
        return {**row, **dict.fromkeys(BLANKED)}
    if ERASED in (row.get("body") or ""):
        return {**row, "body": None}
    return dict(row)


@pytest.fixture(params=FORMATS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(tmp_path, request.param)


def test_files_lose_the_data_of_the_erased_alone_and_keep_their_names_and_rows(folder: Folder) -> None:
    names, before = folder.contents().keys(), folder.rows()
    assert folder.erasure().erase(erasing(ERASED).known) == 4
    assert folder.contents().keys() == names
    assert folder.rows() == [expected(row) for row in before]
    assert ERASED.encode() not in b"".join(
        content if folder.format == "parquet" else gzip.decompress(content) for content in folder.contents().values()
    )


def test_files_without_covered_rows_are_not_touched(folder: Folder) -> None:
    before = folder.contents()
    assert folder.erasure().erase(erasing("+306911111111").known) == 0
    assert folder.contents() == before


def test_a_parquet_file_keeps_its_schema(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "parquet")
    before = {name: pyarrow.parquet.read_schema(tmp_path / name) for name in folder.contents()}
    folder.erasure().erase(erasing(ERASED).known)
    assert {name: pyarrow.parquet.read_schema(tmp_path / name) for name in folder.contents()} == before


def test_the_same_erasures_are_not_looked_for_twice_and_other_ones_are(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def looking(table: Path, partition: int | None = None) -> list[Path]:
        looked.append(table.name)
        return files_of(table, partition)

    monkeypatch.setattr("sinks.files.erasure.files_of", looking)
    folder.erasure().erase(erasing(ERASED).known)
    # Each table once more: a compaction may have joined files meanwhile.
    assert sorted(looked) == ["rejected_callbacks"] * 2 + ["sms_status"] * 2
    folder.erasure().erase(erasing(ERASED).known)
    assert len(looked) == 4
    assert folder.erasure().erase(erasing(ERASED, NUMBERS[2]).known) == 4
    assert len(looked) == 8


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("crash", range(1, 13))
def test_killed_after_any_step_the_next_run_erases_the_rest(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, crash: int
) -> None:
    """Each file has three steps: synced draft, renamed draft, synced folder; there are four files and two notes."""
    before = folder.rows()
    steps = 0

    def then_die(real: Any) -> Any:  # noqa: ANN401 - any function of the operating system
        def step(*given: Any) -> Any:  # noqa: ANN401
            nonlocal steps
            found = real(*given)
            steps += 1
            if steps == crash:
                raise Killed
            return found

        return step

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", then_die(os.fsync))
        patched.setattr(Path, "rename", then_die(Path.rename))
        with pytest.raises(Killed):
            folder.erasure().erase(erasing(ERASED).known)
    whole = [name for name in folder.contents() if not Path(name).name.startswith(".")]
    # Readers see each file whole, as it was or erased.
    for name in whole:
        assert read(name, folder.contents()[name])
    folder.sink.close()
    folder.sink = FileSink(folder.root, folder.format, PREFIX)
    assert folder.sink.claim([SMS, REFUSED])[SMS] == 28
    folder.erasure().erase(erasing(ERASED).known)
    assert folder.rows() == [expected(row) for row in before]
    assert not list(folder.root.glob("*/date=*/.*"))


def test_files_of_partitions_that_another_process_holds_are_left_to_it(folder: Folder) -> None:
    before = folder.contents()
    other = FileSink(folder.root, folder.format, PREFIX)
    assert other.claim([SMS]) == {}
    FileErasure(folder.root, TABLES, lambda: other.holding, other.held).erase(erasing(ERASED).known)
    assert folder.contents() == before


def test_a_partition_that_is_given_up_in_the_middle_is_left_to_its_next_owner(folder: Folder) -> None:
    holding = folder.sink.holding
    folder.sink.release([SMS])
    before = folder.contents()
    erasure_of = FileErasure(folder.root, TABLES, lambda: holding, folder.sink.held)
    erasure_of.erase(erasing(ERASED).known)
    sms_files = {name for name in before if name.startswith("sms_status")}
    assert {name: folder.contents()[name] for name in sms_files} == {name: before[name] for name in sms_files}
    assert not (folder.root / "sms_status" / ".erasures-0.json").exists()


def test_a_table_that_is_chosen_no_more_is_erased_partition_by_partition_unless_another_process_has_it(
    folder: Folder,
) -> None:
    chosen = {CAMPAIGNS.topic: TABLES[CAMPAIGNS.topic]}
    erasure_of = FileErasure(folder.root, chosen, list, folder.sink.held)
    before = folder.rows()
    assert erasure_of.erase(erasing(ERASED).known) == 0
    assert folder.rows() == before
    folder.sink.release([SMS, REFUSED])
    day = min((folder.root / "sms_status").glob("date=*"))
    draft = day / ".0-30-31.parquet.tmp"
    draft.write_text(ERASED)
    assert erasure_of.erase(erasing(ERASED).known) == 4
    assert not draft.exists()
    assert folder.rows() == [expected(row) for row in before]
    assert folder.sink.claim([SMS])[SMS] == 28, "its lock is free again"


def test_a_damaged_file_is_told_and_the_others_are_erased(folder: Folder) -> None:
    damaged = min((folder.root / "sms_status").glob("date=*/0-0-*"))
    damaged.write_bytes(b"no file of ours")
    with pytest.raises(RetryableError, match="cannot be read"):
        folder.erasure().erase(erasing(ERASED).known)
    damaged.unlink()
    assert ERASED not in str(folder.rows()[-16:])


def test_an_erased_file_still_proves_to_be_of_its_topic(folder: Folder) -> None:
    topics = MemoryTopics({SMS.topic: 1})
    # The last record of both, the one that is compared, is of the erased number.
    values = {record.offset: record.value for record in folder.records}
    folder.sink.write("sms_status", [replace(folder.records[27], offset=28, value=values[21])])
    for offset in range(29):
        topics.append(SMS.topic, 0, values[21] if offset == 28 else values[offset])
    folder.erasure().erase(erasing(ERASED).known)
    files = last_files(folder.root / "sms_status")
    assert files[0].name.startswith("0-28-28.")
    lookup: Lookup = topics
    assert misfit(files, "sms_status", SMS.topic, lookup) is None
    topics.logs[SMS][28] = replace(topics.logs[SMS][28], value=values[20])
    assert misfit(files, "sms_status", SMS.topic, lookup) is not None


def test_rows_of_people_are_found_for_them_and_nothing_of_others(folder: Folder) -> None:
    rows = FileRows(folder.root, ["sms_status", "rejected_callbacks"])
    found = list(rows.of(lambda recipient: recipient == ERASED, lambda row: ERASED in str(row)))
    assert [(table, row["topic_offset"]) for _, table, row in found] == [
        ("sms_status", 1),
        ("sms_status", 11),
        ("sms_status", 21),
        ("rejected_callbacks", 1),
    ]
    assert {place.split("/", maxsplit=1)[0] for place, _, _ in found} == {"sms_status", "rejected_callbacks"}
    assert rows.without_data() == 0
    folder.erasure().erase(erasing(ERASED).known)
    assert rows.without_data() == 4


@pytest.mark.parametrize("content", [b"no file of ours", b"PAR1" + bytes(40) + b"\xff" * 20 + b"\x14\0\0\0PAR1"])
def test_a_damaged_file_is_no_row_and_is_told(folder: Folder, content: bytes) -> None:
    """Arrow tells a damaged footer by an OSError, which is no error of the disk."""
    damaged = min((folder.root / "sms_status").glob("date=*/0-0-*"))
    damaged.write_bytes(content)
    rows = FileRows(folder.root, ["sms_status"])
    with pytest.raises(FatalError, match="cannot be read"):
        list(rows.of(lambda _: True, lambda _: True))
