"""
Files in an object store: one name for a position, so a record is in one object, also with two writers.

The store is obstore's own in memory, which decides conditional writes as S3 does.
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore

from sinks.erasing import ErasingSink
from sinks.errors import FatalError, PositionError, RetryableError
from sinks.files.archive import records_in
from sinks.files.durable import append
from sinks.files.erasure import FileErasure
from sinks.files.manifest import read_manifest, write_manifests
from sinks.files.object_sink import ObjectSink
from sinks.files.objects import bucket_problems, open_root
from sinks.files.origin import problems, take_on
from sinks.files.personal_rows import FileRows
from sinks.files.proof import files_of, last_files, misfit
from sinks.files.retention import expire
from sinks.files.verify import verify
from sinks.sink import MemorySink
from sinks.source import Origin, Record, TopicPartition
from sinks.tables import FILE_TABLE_OF, RAW_CALLBACKS_TABLE
from streams.contract.codec import encode
from streams.program.objects import ObjectPath, below
from tests.behaviour.sinks.records import sms
from tests.unit.sinks.test_file_erasure import ERASED, NUMBERS, erasing

RAW = TopicPartition("routee.callbacks.raw", 0)
SMS = TopicPartition("routee.sms.status", 0)
DAY_MS = 86_400_000
TABLES = [RAW_CALLBACKS_TABLE, "sms_status"]


@pytest.fixture
def root() -> ObjectPath:
    """Give the address of an empty bucket."""
    return ObjectPath("s3://bucket/prefix", MemoryStore(), "")


def raw(*offsets: int, day: int = 0) -> list[Record]:
    return [Record(*RAW, offset, day * DAY_MS, b"%d" % offset) for offset in offsets]


def sink(root: ObjectPath, *partitions: TopicPartition, file_format: str = "parquet") -> ObjectSink:
    opened = ObjectSink(root, file_format, "routee.", FILE_TABLE_OF)
    opened.claim(partitions or [RAW])
    return opened


def names(root: ObjectPath, table: str = RAW_CALLBACKS_TABLE) -> list[str]:
    return [below(root / table, file) for file in files_of(root / table)]


def offsets(root: ObjectPath) -> list[int]:
    """Return the offsets of all rows as a reader finds them, in the order of names and rows."""
    found = [records_in(file.read_bytes(), "parquet") for file in files_of(root / RAW_CALLBACKS_TABLE)]
    return sorted(row.offset for rows in found for row in rows)


def told(root: ObjectPath) -> list[str]:
    return [problem for found in verify(root, TABLES) for problem in found.problems]


def test_an_object_has_the_name_of_its_position_and_the_next_one_begins_where_it_ends(root: ObjectPath) -> None:
    opened = sink(root)
    opened.write(RAW_CALLBACKS_TABLE, raw(0, 1, 2))
    opened.write(RAW_CALLBACKS_TABLE, [*raw(5), *raw(6, 7, day=1)])
    assert names(root) == ["date=1970-01-01/0-0.parquet", "date=1970-01-01/0-3.parquet", "date=1970-01-02/0-6.parquet"]
    assert sink(root).claim([RAW]) == {RAW: 8}


def test_two_writers_of_a_position_meet_and_each_record_is_in_one_object(root: ObjectPath) -> None:
    """Their batches end at different rows; a third has read on from where records had expired."""
    one, other, late = sink(root), sink(root), sink(root)
    one.write(RAW_CALLBACKS_TABLE, raw(0, 1, 2))
    other.write(RAW_CALLBACKS_TABLE, raw(*range(6)))
    late.write(RAW_CALLBACKS_TABLE, raw(2, 3, 4, 5, 6))
    one.write(RAW_CALLBACKS_TABLE, raw(3, 4, 5, 6, 7))
    assert offsets(root) == [*range(8)]
    assert told(root) == []


def test_a_write_whose_answer_was_lost_is_not_made_twice(root: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = sink(root)
    create = ObjectPath.create

    def lost(path: ObjectPath, content: bytes) -> bool:
        create(path, content)
        raise OSError(5, "the connection was closed", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(ObjectPath, "create", lost)
        with pytest.raises(RetryableError, match=r"0-0\.parquet: the connection was closed"):
            opened.write(RAW_CALLBACKS_TABLE, raw(0, 1))
    opened.write(RAW_CALLBACKS_TABLE, raw(0, 1, 2))
    assert offsets(root) == [0, 1, 2]
    assert names(root) == ["date=1970-01-01/0-0.parquet", "date=1970-01-01/0-2.parquet"]


def test_two_formats_are_refused_since_they_have_two_names_for_a_position(root: ObjectPath) -> None:
    sink(root)
    with pytest.raises(FatalError, match=r"sms_status is kept as parquet.*SINKS_FILES_FORMAT=parquet"):
        sink(root, file_format="ndjson")


def test_a_damaged_last_object_stops_the_sink_since_its_end_is_not_known(root: ObjectPath) -> None:
    sink(root).write(RAW_CALLBACKS_TABLE, raw(0))
    (root / RAW_CALLBACKS_TABLE / "date=1970-01-01" / "0-0.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(FatalError, match=r"0-0\.parquet cannot be read"):
        sink(root)
    assert "0-0.parquet: is damaged: it cannot be read" in told(root)[0]


def test_a_gap_is_known_by_the_names_in_every_table(root: ObjectPath) -> None:
    opened = sink(root, SMS)
    for first in (0, 4, 8):
        rows = [Record(*SMS, offset, 0, encode(sms(f"sms-{offset}"))) for offset in (first, first + 2)]
        opened.write("sms_status", rows)
    assert told(root) == []
    (root / "sms_status" / "date=1970-01-01" / "0-3.parquet").unlink()
    day = "sms_status/date=1970-01-01"
    between = f"between {day}/0-0.parquet and {day}/0-7.parquet"
    assert told(root) == [f"sms_status: partition 0: a gap: offsets 3 to 6 are in no file, {between}"]


def test_an_overlap_and_rows_that_are_missing_inside_of_an_object_are_told(root: ObjectPath) -> None:
    opened = sink(root)
    opened.write(RAW_CALLBACKS_TABLE, raw(0, 1))
    opened.write(RAW_CALLBACKS_TABLE, raw(2, 4))
    day = root / RAW_CALLBACKS_TABLE / "date=1970-01-01"
    (day / "0-1.parquet").write_bytes((day / "0-2.parquet").read_bytes())
    said = told(root)
    assert any("0-2.parquet: has a gap: 2 rows for 3 offsets" in line for line in said)
    assert any("0-0.parquet and" in line and "overlap" in line for line in said)


def test_a_manifest_names_the_objects_of_a_day_with_their_last_offsets(root: ObjectPath) -> None:
    opened = sink(root)
    opened.write(RAW_CALLBACKS_TABLE, raw(0, 1))
    opened.write(RAW_CALLBACKS_TABLE, raw(2, 3, 4))
    now = datetime(1970, 1, 3, tzinfo=UTC)
    (day,) = write_manifests(root, TABLES, now)
    assert write_manifests(root, TABLES, now) == []
    manifest = read_manifest(day)
    assert manifest is not None
    assert [(file.name, file.rows, file.last) for file in manifest.files] == [
        ("0-0.parquet", 2, 1),
        ("0-2.parquet", 3, 4),
    ]
    assert manifest.partitions[0].model_dump() == {"first": 0, "last": 4, "count": 5}
    assert told(root) == []
    (day / "0-2.parquet").unlink()
    assert [line for line in told(root) if "is missing" in line] == [
        "raw_callbacks/date=1970-01-01/0-2.parquet: is missing: the manifest has it with 3 rows"
    ]


def test_an_older_day_that_was_looked_at_is_not_listed_again(root: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = sink(root)
    opened.write(RAW_CALLBACKS_TABLE, raw(0, 1))
    opened.write(RAW_CALLBACKS_TABLE, raw(2, day=9))
    now, looked = datetime(1970, 1, 12, tzinfo=UTC), dict[ObjectPath, int]()
    assert len(write_manifests(root, TABLES, now, looked)) == 2
    listed: list[str] = []
    stamps = ObjectPath.stamps

    def counted(path: ObjectPath) -> dict[str, tuple[int, int, int]]:
        listed.append(path.name)
        return stamps(path)

    monkeypatch.setattr(ObjectPath, "stamps", counted)
    # Objects of now are looked at again: they may change within one tick of the store's clock.
    looked.update(dict.fromkeys((root / RAW_CALLBACKS_TABLE).glob("date=*/"), 0))
    write_manifests(root, TABLES, now, looked, date(1970, 1, 5))
    assert {*listed} == {"date=1970-01-10"}
    write_manifests(root, TABLES, now, looked)
    assert {*listed} == {"date=1970-01-01", "date=1970-01-10"}


def test_days_go_with_their_objects_and_no_position_goes_with_them(root: ObjectPath) -> None:
    opened = sink(root)
    opened.write(RAW_CALLBACKS_TABLE, raw(0, 1))
    opened.write(RAW_CALLBACKS_TABLE, raw(2, day=1))
    write_manifests(root, TABLES, datetime(1970, 1, 4, tzinfo=UTC))
    assert [day.name for day in expire(root, TABLES, 1, date(1970, 1, 3))] == ["date=1970-01-01"]
    assert names(root) == ["date=1970-01-02/0-2.parquet"]
    assert told(root) == []
    expire(root, TABLES, 1, date(1970, 2, 1))
    assert [one.name for one in root.glob("*/date=*")] == []
    assert sink(root).claim([RAW]) == {RAW: 3}


def out_of_order(root: ObjectPath) -> None:
    opened = sink(root)
    for offset, day in ((0, 1), (1, 0), (2, 1)):
        opened.write(RAW_CALLBACKS_TABLE, raw(offset, day=day))


def test_no_gap_is_told_where_a_day_lay_that_is_over(root: ObjectPath) -> None:
    out_of_order(root)
    sink(root).write(RAW_CALLBACKS_TABLE, raw(3, day=1))
    sink(root).write(RAW_CALLBACKS_TABLE, raw(4, day=1))
    assert told(root) == []
    expire(root, TABLES, 1, date(1970, 1, 3))
    assert names(root) == [f"date=1970-01-02/0-{first}.parquet" for first in (0, 2, 3, 4)]
    assert told(root) == []
    (root / RAW_CALLBACKS_TABLE / "date=1970-01-02" / "0-3.parquet").unlink()
    assert [line for line in told(root) if "a gap: offsets 3 to 3" in line] == told(root) != []


@pytest.mark.parametrize("moment", ["the manifest", "an object"])
def test_the_end_of_a_day_during_a_look_is_no_damage(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    out_of_order(root)
    write_manifests(root, TABLES, datetime(1970, 1, 5, tzinfo=UTC))
    read = ObjectPath.read_bytes
    reads: list[str] = []

    def meanwhile(path: ObjectPath) -> bytes:
        content = read(path)
        reads.append(path.name)
        # The first read is that of a manifest; the last ones, after all manifests, are of the objects.
        if len(reads) == (1 if moment == "the manifest" else 6):
            monkeypatch.setattr(ObjectPath, "read_bytes", read)
            expire(root, TABLES, 1, date(1970, 1, 3))
        return content

    monkeypatch.setattr(ObjectPath, "read_bytes", meanwhile)
    assert told(root) == []
    assert names(root) == ["date=1970-01-02/0-0.parquet", "date=1970-01-02/0-2.parquet"]


@pytest.mark.parametrize("moment", ["before it", "during it"])
def test_a_manifest_that_is_written_while_its_day_ends_does_not_stay(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    out_of_order(root)
    swap, unlink = ObjectPath.swap, ObjectPath.unlink
    day = root / RAW_CALLBACKS_TABLE / "date=1970-01-01"

    def ended(path: ObjectPath, before: bytes | None, content: bytes) -> bool:
        if path == day / ".manifest.json":
            expire(root, TABLES, 1, date(1970, 1, 3))
        return swap(path, before, content)

    def written_anew(path: ObjectPath, *, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=missing_ok)
        if path == day / "0-1.parquet":
            (day / ".manifest.json").write_bytes(b"{}")

    if moment == "before it":
        monkeypatch.setattr(ObjectPath, "swap", ended)
        write_manifests(root, TABLES, datetime(1970, 1, 5, tzinfo=UTC))
    else:
        monkeypatch.setattr(ObjectPath, "unlink", written_anew)
        expire(root, TABLES, 1, date(1970, 1, 3))
    assert [*day.iterdir()] == []


def test_a_claim_lists_the_days_back_to_the_last_objects_and_two_further_ones(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = sink(root)
    for offset, day in enumerate((0, 1, 2, 3, 5, 4)):
        opened.write(RAW_CALLBACKS_TABLE, raw(offset, day=day))
    listed: list[str] = []
    iterdir = ObjectPath.iterdir

    def counted(path: ObjectPath) -> Iterator[ObjectPath]:
        listed.append(path.name)
        return iterdir(path)

    monkeypatch.setattr(ObjectPath, "iterdir", counted)
    again = ObjectSink(root, "parquet", "routee.", FILE_TABLE_OF)
    assert again.claim([RAW]) == {RAW: 6}
    days = [name for name in listed if name.startswith("date=")]
    assert days == ["date=1970-01-06", "date=1970-01-05", "date=1970-01-04"]


def test_a_last_object_that_lies_further_back_is_met_by_its_name(root: ObjectPath) -> None:
    opened = sink(root)
    for offset, day in enumerate((6, 7, 8, 9, 0)):
        opened.write(RAW_CALLBACKS_TABLE, raw(offset, day=day))
    again = ObjectSink(root, "parquet", "routee.", FILE_TABLE_OF)
    assert again.claim([RAW]) == {RAW: 4}
    again.write(RAW_CALLBACKS_TABLE, [*raw(4), *raw(5, day=9)])
    assert offsets(root) == [*range(6)]


def written(root: ObjectPath) -> ObjectSink:
    opened = sink(root, SMS)
    for first in (0, 10):
        rows = [
            Record(*SMS, offset, 0, encode(sms(f"sms-{offset}", recipient=NUMBERS[offset % 10])))
            for offset in range(first, first + 10)
        ]
        opened.write("sms_status", rows)
    return opened


def erasure_of(root: ObjectPath, opened: ObjectSink) -> FileErasure:
    return FileErasure(root, {SMS.topic: "sms_status"}, lambda: opened.holding, opened.held)


def found(root: ObjectPath) -> list[str]:
    rows = FileRows(root, ["sms_status"]).of(lambda number: number == ERASED, lambda row: row["recipient"] == ERASED)
    return [place for place, _, _ in rows]


def test_objects_lose_the_data_of_the_erased_under_their_names(root: ObjectPath) -> None:
    opened = written(root)
    write_manifests(root, TABLES, datetime(1970, 1, 3, tzinfo=UTC))
    before = names(root, "sms_status")
    assert found(root) == [f"sms_status/date=1970-01-01/0-{first}.parquet" for first in (0, 10)]
    assert erasure_of(root, opened).erase(erasing(ERASED).known) == 2
    assert found(root) == []
    assert FileRows(root, ["sms_status"]).without_data() == 2
    assert names(root, "sms_status") == before
    assert told(root) == []  # the manifest knows the new checksums
    assert erasure_of(root, opened).erase(erasing(ERASED).known) == 0


def test_an_object_that_changed_since_it_was_read_is_not_replaced(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sinks may erase a partition at once: the second one looks again at what the first one wrote."""
    opened, swap = written(root), ObjectPath.swap
    raced: list[str] = []

    def slower(path: ObjectPath, before: bytes | None, content: bytes) -> bool:
        if path.name.endswith(".parquet") and not raced:
            raced.append(path.name)
            erasure_of(root, opened).erase(erasing(NUMBERS[2]).known)
        return swap(path, before, content)

    monkeypatch.setattr(ObjectPath, "swap", slower)
    assert erasure_of(root, opened).erase(erasing(ERASED).known) == 2
    assert found(root) == []
    assert FileRows(root, ["sms_status"]).without_data() == 4


def test_a_conflict_has_one_object_read_again_and_an_error_no_object_that_was_looked_through(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, swap, read = written(root), ObjectPath.swap, ObjectPath.read_bytes
    reads: list[str] = []
    raced: list[str] = []

    def counted(path: ObjectPath) -> bytes:
        reads.append(path.name)
        return read(path)

    def disturbed(path: ObjectPath, before: bytes | None, content: bytes) -> bool:
        if path.name == "0-0.parquet" and not raced:
            raced.append("a conflict")
            return False
        if path.name == "0-10.parquet" and len(raced) == 1:
            raced.append("an error")
            raise OSError(5, "the connection was closed", str(path))
        return swap(path, before, content)

    monkeypatch.setattr(ObjectPath, "read_bytes", counted)
    monkeypatch.setattr(ObjectPath, "swap", disturbed)
    store = erasure_of(root, opened)
    with pytest.raises(RetryableError, match="the connection was closed"):
        store.erase(erasing(ERASED).known)
    assert store.erase(erasing(ERASED).known) == 1
    assert [name for name in reads if name.endswith("parquet")] == ["0-0.parquet"] * 2 + ["0-10.parquet"] * 2


def test_an_object_that_others_write_again_and_again_is_tried_a_bounded_number_of_times(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = written(root)
    monkeypatch.setattr(ObjectPath, "swap", lambda *_: False)
    with pytest.raises(BlockingIOError, match="another process has written it meanwhile"):
        append(root / ".changed-0", b"1")
    with pytest.raises(RetryableError, match="another process has written it meanwhile"):
        erasure_of(root, opened).erase(erasing(ERASED).known)


def test_a_note_of_further_erasures_is_not_replaced_by_one_of_fewer(root: ObjectPath) -> None:
    opened = written(root)
    note = root / "sms_status" / ".erasures-0.json"
    erasure_of(root, opened).erase(erasing(ERASED, NUMBERS[2]).known)
    said = note.read_bytes()
    erasure_of(root, opened).erase(erasing(ERASED).known)
    assert note.read_bytes() == said
    erasure_of(root, opened).erase(erasing(ERASED, NUMBERS[2], NUMBERS[3]).known)
    assert note.read_bytes() != said


def late(former: ObjectSink, offset: int = 20) -> None:
    """Write an object as a former owner does that knows no erasure; it is killed before it does anything else."""
    former.write("sms_status", [Record(*SMS, offset, 0, encode(sms(f"sms-{offset}", recipient=ERASED)))])


def test_an_object_of_a_former_owner_that_was_killed_right_after_it_is_looked_through_after_the_next_claim(
    root: ObjectPath,
) -> None:
    """It knew no erasure when it began to write, and the look at the partition was noted when the object appeared."""
    opened, former = written(root), sink(root, SMS)
    erasure_of(root, opened).erase(erasing(ERASED).known)
    late(former)
    assert found(root) == ["sms_status/date=1970-01-01/0-20.parquet"]
    assert erasure_of(root, sink(root, SMS)).erase(erasing(ERASED).known) == 1
    assert found(root) == []


def test_a_look_reads_the_objects_from_the_noted_position_on(root: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, read = written(root), ObjectPath.read_bytes
    store = erasure_of(root, opened)
    store.erase(erasing(ERASED).known)
    late(opened)
    store.erase(erasing(ERASED).known)
    late(opened, 21)
    reads: list[str] = []

    def counted(path: ObjectPath) -> bytes:
        reads.append(path.name)
        return read(path)

    monkeypatch.setattr(ObjectPath, "read_bytes", counted)
    assert store.erase(erasing(ERASED).known) == 1
    assert [name for name in reads if name.endswith("parquet")] == ["0-20.parquet", "0-21.parquet"]


def test_a_note_without_a_position_has_all_objects_looked_through_again(root: ObjectPath) -> None:
    """A former version wrote it, and an object came late then."""
    opened = written(root)
    known = erasing(ERASED).known
    (root / "sms_status" / ".erasures-0.json").write_bytes(b'{"format":1,"erasures":"%b"}' % known.digest.encode())
    assert erasure_of(root, opened).erase(known) == 2


def test_a_sink_that_finds_its_name_taken_tells_it_once_and_has_the_store_erased(root: ObjectPath) -> None:
    opened, former = written(root), sink(root, SMS)
    asked: list[str] = []
    erased = ErasingSink(opened, lambda: asked.append("again"), opened.met_others)
    late(former)
    assert asked == []
    erased.write("sms_status", [Record(*SMS, offset, 0, encode(sms(f"sms-{offset}"))) for offset in (20, 21)])
    assert asked == ["again"]
    erased.write("sms_status", [Record(*SMS, 22, 0, encode(sms("sms-22")))])
    assert asked == ["again"]


def test_a_name_that_is_taken_is_told_also_when_the_write_fails_after_it() -> None:
    asked: list[str] = []

    class Failing(MemorySink):
        def write(self, table: str, rows: Sequence[Record]) -> None:
            raise RetryableError(f"the store is away: {len(rows)} rows of {table}")

    opened = ErasingSink(Failing(), lambda: asked.append("again"), lambda: True)
    with pytest.raises(RetryableError):
        opened.write("sms_status", [])
    assert asked == ["again"]


def test_an_object_that_comes_while_the_note_is_written_is_looked_through(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, swap = written(root), ObjectPath.swap
    former = sink(root, SMS)
    came: list[ObjectPath] = []

    def meanwhile(path: ObjectPath, before: bytes | None, content: bytes) -> bool:
        if path.name.startswith(".erasures") and not came:
            came.append(path)
            former.write("sms_status", [Record(*SMS, 20, 0, encode(sms("sms-20", recipient=ERASED)))])
        return swap(path, before, content)

    monkeypatch.setattr(ObjectPath, "swap", meanwhile)
    assert erasure_of(root, opened).erase(erasing(ERASED).known) == 3
    assert found(root) == []


def test_a_prefix_is_for_one_topic(root: ObjectPath) -> None:
    tables = {RAW.topic: RAW_CALLBACKS_TABLE}

    def looked_up() -> Any:  # noqa: ANN401 - not asked for
        raise AssertionError

    take_on(root, tables, {RAW.topic: Origin(RAW.topic, "id-1", "cluster")}, looked_up)
    take_on(root, tables, {RAW.topic: Origin(RAW.topic, "id-1", "cluster")}, looked_up)
    other = {RAW.topic: Origin(RAW.topic, "id-2", "cluster")}
    with pytest.raises(PositionError, match=r"SINKS_FILES_ROOT=s3://bucket/prefix: .*with id id-1.*not of"):
        take_on(root, tables, other, looked_up)
    assert len([*problems(root, tables, other, looked_up)]) == 1


@pytest.mark.parametrize("is_bucket", [True, False])
def test_names_of_the_other_kind_are_refused_at_the_start_and_by_check(
    root: ObjectPath, tmp_path: Path, *, is_bucket: bool
) -> None:
    """They would be passed over in silence, and their records written again."""
    place, name = (root, "0-0-99.parquet") if is_bucket else (tmp_path, "0-0.parquet")
    day = place / "sms_status" / "date=1970-01-01"
    if isinstance(day, Path):
        day.mkdir(parents=True)
    (day / name).write_bytes(b"PAR1")
    tables, origins = {SMS.topic: "sms_status"}, {SMS.topic: Origin(SMS.topic, "id-1", "cluster")}
    refused = f"SINKS_FILES_ROOT={place}: .*{name} has a name of .* set SINKS_FILES_ROOT to another place"
    with pytest.raises(PositionError, match=refused):
        take_on(place, tables, origins, lambda: pytest.fail("not asked for"))
    assert len([*problems(place, tables, origins, lambda: pytest.fail("not asked for"))]) == 1


def test_two_that_begin_at_once_with_different_topics_do_not_both_have_the_prefix(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, swap = {RAW.topic: RAW_CALLBACKS_TABLE}, ObjectPath.swap
    first: list[str] = []

    def slower(path: ObjectPath, before: bytes | None, content: bytes) -> bool:
        if not first:
            first.append(path.name)
            take_on(root, tables, {RAW.topic: Origin(RAW.topic, "id-1", "cluster")}, lambda: pytest.fail("no files"))
        return swap(path, before, content)

    monkeypatch.setattr(ObjectPath, "swap", slower)
    with pytest.raises(PositionError, match="id-1"):
        take_on(root, tables, {RAW.topic: Origin(RAW.topic, "id-2", "cluster")}, lambda: pytest.fail("no files"))


def test_the_last_object_is_compared_with_the_topic(root: ObjectPath) -> None:
    sink(root).write(RAW_CALLBACKS_TABLE, raw(0, 1, 2))
    files = last_files(root / RAW_CALLBACKS_TABLE)
    assert [file.name for file in files.values()] == ["0-0.parquet"]
    assert misfit(files, RAW_CALLBACKS_TABLE, RAW.topic, Bounds(3)) is None
    assert "but the topic ends at 2" in str(misfit(files, RAW_CALLBACKS_TABLE, RAW.topic, Bounds(2)))


class Bounds:
    """A topic of which the oldest records are gone."""

    def __init__(self, end: int) -> None:
        self._end = end

    def bounds(self, _: TopicPartition) -> tuple[int, int]:
        return self._end, self._end

    def latest(self, *_: object) -> None:
        raise AssertionError


def test_without_the_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    with pytest.raises(FatalError, match=r"SINKS_FILES_ROOT=s3://bucket/p: .*routee-callbacks\[s3\]"):
        open_root("s3://bucket/p")


def test_check_tries_that_a_write_on_the_right_tag_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    monkeypatch.setattr("sinks.files.objects.open_root", lambda address: ObjectPath(address, store, ""))
    assert [*bucket_problems("s3://bucket/p")] == []
    put_if = ObjectPath.put_if
    monkeypatch.setattr(
        ObjectPath, "put_if", lambda path, mode, content: mode == "create" and put_if(path, mode, content)
    )
    (line,) = bucket_problems("s3://bucket/p")
    assert "SINKS_FILES_ROOT=s3://bucket/p: the store refuses a write on its own tag" in line
