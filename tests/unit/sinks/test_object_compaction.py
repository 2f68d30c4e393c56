"""
A day of a bucket becomes few large objects, by its manifest: each row once before and after every step.

The store is obstore's own in memory, which decides conditional writes as S3 does.
"""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest
from obstore.store import MemoryStore

from sinks.errors import RetryableError
from sinks.files import compaction, object_compaction
from sinks.files.archive import records_in
from sinks.files.compaction import Compacted
from sinks.files.manifest import read_manifest, sweep, write_manifests
from sinks.files.object_compaction import clear, compact_objects
from sinks.files.object_sink import ObjectSink
from sinks.files.personal_rows import FileRows
from sinks.files.retention import expire
from sinks.files.verify import verify
from sinks.source import Record, TopicPartition
from sinks.tables import FILE_TABLE_OF, RAW_CALLBACKS_TABLE
from streams.contract.codec import encode
from streams.program.archive import records_from, values_at
from streams.program.file_names import current, joined_in, parse_chained
from streams.program.objects import ObjectPath
from tests.behaviour.sinks.records import sms
from tests.unit.sinks.test_file_erasure import ERASED, erasing
from tests.unit.sinks.test_object_sink import (
    RAW,
    SMS,
    TABLES,
    erasure_of,
    found,
    names,
    offsets,
    raw,
    sink,
    told,
    written,
)

NOW = datetime(1970, 1, 5, tzinfo=UTC)
ALL = [*range(12)]


@pytest.fixture
def root() -> ObjectPath:
    """Give a bucket with two days of the archive, each in three objects."""
    made = ObjectPath("s3://bucket/prefix", MemoryStore(), "")
    opened = sink(made)
    for first in range(0, 12, 2):
        opened.write(RAW_CALLBACKS_TABLE, raw(first, first + 1, day=first // 6))
    return made


def compacted(root: ObjectPath, **given: Any) -> list[Compacted]:  # noqa: ANN401 - options
    return [*compact_objects(root, TABLES, NOW, grace_seconds=0, **given)]


def by_manifest(root: ObjectPath) -> list[int]:
    """Return the offsets of all rows as a reader finds them that goes by the manifests."""
    rows: list[int] = []
    for day in sorted((root / RAW_CALLBACKS_TABLE).glob("date=*/"), key=str):
        manifest = read_manifest(day)
        assert manifest is not None
        for file in manifest.files:
            rows += [row.offset for row in records_in((day / file.name).read_bytes(), "parquet")]
    return rows


def replayed(root: ObjectPath) -> list[int]:
    return [record.offset for record in records_from(root, 0)]


def expect_all(root: ObjectPath) -> None:
    assert by_manifest(root) == replayed(root) == ALL
    assert told(root) == []
    assert sink(root).claim([RAW]) == {RAW: 12}
    assert values_at(root, [(0, at) for at in ALL]) == {(0, at): b"%d" % at for at in ALL}


def test_the_objects_of_a_day_become_one_and_the_manifest_names_it(root: ObjectPath) -> None:
    assert [(done.day.name, done.before, done.after, done.problem) for done in compacted(root)] == [
        ("date=1970-01-01", 3, 1, None),
        ("date=1970-01-02", 3, 1, None),
    ]
    assert len(names(root)) == 2
    assert offsets(root) == ALL
    expect_all(root)
    assert compacted(root) == []
    assert [*(root / RAW_CALLBACKS_TABLE).glob(".compacting*")] == []


def test_objects_are_joined_up_to_a_size_and_again_when_there_is_room(root: ObjectPath) -> None:
    day = root / RAW_CALLBACKS_TABLE / "date=1970-01-01"
    size = max(nbytes for nbytes, _, _ in day.stamps().values())
    compacted(root, most_bytes=2 * size + 200)
    assert len(names(root)) == 4
    expect_all(root)
    compacted(root)
    assert len(names(root)) == 2
    expect_all(root)


def test_a_day_that_is_not_over_is_left(root: ObjectPath) -> None:
    opened = sink(root)
    for offset in (12, 13):
        opened.write(RAW_CALLBACKS_TABLE, raw(offset, day=4))
    compacted(root)
    assert names(root)[2:] == ["date=1970-01-05/0-12.parquet", "date=1970-01-05/0-13.parquet"]
    assert offsets(root) == [*ALL, 12, 13]


class Killed(BaseException):
    """The process ends here."""


def kill_at(patched: pytest.MonkeyPatch, step: int, *, is_after: bool) -> None:
    """Let the process end at a change of the store, before it or after it."""
    changes = iter(range(1000))

    def dying(change: Callable[..., Any]) -> Callable[..., Any]:
        def called(path: ObjectPath, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - of any method
            if next(changes) != step:
                return change(path, *given, **more)
            if is_after:
                change(path, *given, **more)
            raise Killed

        return called

    for name in ("put_if", "write_bytes", "unlink_all", "unlink"):
        patched.setattr(ObjectPath, name, dying(getattr(ObjectPath, name)))


def copy_of(root: ObjectPath) -> ObjectPath:
    copy = ObjectPath("s3://bucket/prefix", MemoryStore(), "")
    for key in root._keys():
        copy._at(key).write_bytes(root._at(key).read_bytes())
    return copy


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_killed_at_each_step_each_row_is_there_once_by_the_manifest_and_the_next_run_ends_it(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch, *, is_after: bool
) -> None:
    write_manifests(root, TABLES, NOW)
    for step in range(100):
        copy, is_killed = copy_of(root), False
        with monkeypatch.context() as patched:
            kill_at(patched, step, is_after=is_after)
            try:
                compacted(copy)
            except Killed:
                is_killed = True
        expect_all(copy)
        assert {*ALL} <= {*offsets(copy)}  # by glob rows are there twice, and none is missing
        clear(copy, TABLES, dead_seconds=-1)
        expect_all(copy)
        compacted(copy)
        expect_all(copy)
        assert offsets(copy) == ALL
        assert len(names(copy)) == 2
        if not is_killed:
            break
    assert 10 < step < 99


def test_a_compaction_that_is_at_work_is_not_disturbed_and_a_second_one_is_told(root: ObjectPath) -> None:
    mark = root / RAW_CALLBACKS_TABLE / ".compacting-date=1970-01-01"
    mark.write_bytes(b"another")
    first, second = compacted(root)
    assert "another process joins its objects" in str(first.problem)
    assert second.problem is None
    clear(root, TABLES)
    assert mark.exists()
    expect_all(root)


@pytest.mark.parametrize(("minutes", "is_dead"), [(14.9, False), (15.1, True)])
def test_a_compaction_that_has_written_nothing_for_a_quarter_of_an_hour_is_ended(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch, minutes: float, *, is_dead: bool
) -> None:
    mark = root / RAW_CALLBACKS_TABLE / ".compacting-date=1970-01-01"
    mark.write_bytes(b"another")
    (_, written_ns, _) = mark.parent.stamps()[mark.name]
    monkeypatch.setattr(time, "time_ns", lambda: written_ns + round(minutes * 60e9))
    first, _ = compacted(root)
    assert (first.problem is None) is is_dead
    assert mark.exists() is not is_dead
    expect_all(root)


def test_a_compaction_that_was_taken_for_dead_changes_nothing(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = compaction.joined

    def slow(*given: Any, **more: Any) -> bytes:  # noqa: ANN401 - as the function has it
        monkeypatch.setattr(object_compaction, "joined", joined)
        clear(root, TABLES, dead_seconds=-1)
        return joined(*given, **more)

    monkeypatch.setattr(object_compaction, "joined", slow)
    first, _ = compacted(root)
    assert "written meanwhile" in str(first.problem)
    expect_all(root)
    assert len(names(root)) == 4


def test_a_day_with_a_damage_stays_as_it_is(root: ObjectPath) -> None:
    write_manifests(root, TABLES, NOW)
    day = root / RAW_CALLBACKS_TABLE / "date=1970-01-01"
    content = (day / "0-2.parquet").read_bytes()
    (day / "0-2.parquet").write_bytes((day / "0-0.parquet").read_bytes())
    assert "is damaged" in str(compacted(root)[0].problem)
    (day / "0-2.parquet").unlink()
    assert "is missing" in str(compacted(root)[0].problem)
    (day / "0-2.parquet").write_bytes(content)
    assert [done.problem for done in compacted(root)] == [None]
    expect_all(root)


def thawed(root: ObjectPath, partition: TopicPartition = RAW, position: int = 8) -> ObjectSink:
    """Return a sink that has not written for a minute since it was at a position."""
    clock = iter(range(0, 1_000_000, 60))
    opened = ObjectSink(root, "parquet", "routee.", FILE_TABLE_OF, lambda: next(clock))
    opened.claim([partition])
    opened._next[partition] = position
    return opened


def test_a_sink_that_was_frozen_meets_the_joined_object(root: ObjectPath) -> None:
    """Its name was deleted, so it can be created again; its batch ends behind the joined object."""
    frozen = thawed(root)
    compacted(root)
    frozen.write(RAW_CALLBACKS_TABLE, raw(8, 9, 10, 11, 12, day=1))
    frozen.write(RAW_CALLBACKS_TABLE, raw(13, day=1))
    assert offsets(root) == [*ALL, 12, 13]
    assert frozen.met_others()
    assert frozen.met_day(RAW) == date(1970, 1, 2)
    assert told(root) == []


def test_an_object_of_a_sink_that_was_killed_right_after_it_does_not_count(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = thawed(root)
    compacted(root)

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("sinks.files.object_sink.joined_over", killed)
        with pytest.raises(Killed):
            frozen.write(RAW_CALLBACKS_TABLE, raw(8, 9, 10, 11, 12, day=1))
    expect_all(root)


def test_late_objects_are_added_to_the_manifest_and_joined_at_the_next_run(root: ObjectPath) -> None:
    compacted(root)
    sink(root).write(RAW_CALLBACKS_TABLE, raw(12, 13, day=1))
    write_manifests(root, TABLES, NOW)
    assert by_manifest(root) == replayed(root) == [*ALL, 12, 13]
    compacted(root)
    assert by_manifest(root) == offsets(root) == [*ALL, 12, 13]
    assert len(names(root)) == 2


def test_without_its_manifest_the_joined_object_counts(root: ObjectPath) -> None:
    compacted(root)
    for day in (root / RAW_CALLBACKS_TABLE).glob("date=*/"):
        (day / ".manifest.json").unlink()
    assert replayed(root) == ALL
    write_manifests(root, TABLES, NOW)
    expect_all(root)


def test_days_go_with_their_joined_objects_and_no_position_goes_with_them(root: ObjectPath) -> None:
    compacted(root)
    expire(root, TABLES, 1, date(1970, 2, 1))
    assert [*root.glob("*/date=*")] == []
    assert sink(root).claim([RAW]) == {RAW: 12}


def test_over_a_gap_of_the_archive_no_two_are_joined() -> None:
    root = ObjectPath("s3://bucket/prefix", MemoryStore(), "")
    opened = sink(root)
    for rows in (raw(0, 1), raw(2, 3), raw(6, 7), raw(8, 9)):
        opened.write(RAW_CALLBACKS_TABLE, rows)
    before = told(root)
    compacted(root)
    begins = [parsed.first for name in names(root) if (parsed := parse_chained(name.rpartition("/")[2]))]
    assert begins == [0, 4]
    assert len(before) == len(told(root)) == 1


def test_joined_objects_lose_the_data_of_the_erased(root: ObjectPath) -> None:
    opened = written(root)
    compacted(root)
    (name,) = names(root, "sms_status")
    assert len(found(root)) == 2
    assert erasure_of(root, opened).erase(erasing(ERASED).known) == 2
    assert found(root) == []
    assert names(root, "sms_status") == [name]
    assert told(root) == []
    assert erasure_of(root, opened).erase(erasing(ERASED).known) == 0


@pytest.mark.parametrize("moment", ["before the joined object", "after it"])
def test_an_erasure_meanwhile_brings_no_number_back(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """It is noted as done in the middle of the compaction."""
    opened, create = written(root), ObjectPath.create

    def meanwhile(path: ObjectPath, content: bytes) -> bool:
        name = parse_chained(path.name)
        is_joined = "sms_status" in str(path) and name is not None and name.last is not None
        if is_joined and moment == "before the joined object":
            erasure_of(root, opened).erase(erasing(ERASED).known)
        made = create(path, content)
        if is_joined and moment == "after it":
            erasure_of(root, opened).erase(erasing(ERASED).known)
        return made

    with monkeypatch.context() as patched:
        patched.setattr(ObjectPath, "create", meanwhile)
        problems = {done.day.parent.name: done.problem for done in compacted(root)}
    assert "written meanwhile" in str(problems["sms_status"])
    assert found(root) == []
    assert told(root) == []
    compacted(root)
    assert found(root) == []
    assert len(names(root, "sms_status")) == 1


def test_an_erasure_after_the_last_look_of_the_compaction_reaches_the_joined_object(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, required = written(root), object_compaction._require_same

    def meanwhile(*given: Any) -> None:  # noqa: ANN401 - as the function has it
        required(*given)
        erasure_of(root, opened).erase(erasing(ERASED).known)

    monkeypatch.setattr(object_compaction, "_require_same", meanwhile)
    compacted(root)
    assert found(root) == []
    assert told(root) == []
    assert len(names(root, "sms_status")) == 1


def test_a_look_after_a_claim_reads_a_joined_object_that_has_a_late_one(root: ObjectPath) -> None:
    opened = written(root)
    erasure_of(root, opened).erase(erasing(ERASED).known)
    row = Record(*SMS, 20, 0, encode(sms("sms-20", recipient=ERASED)))
    sink(root, SMS).write("sms_status", [row])
    compacted(root)
    assert len(found(root)) == 1
    assert erasure_of(root, sink(root, SMS)).erase(erasing(ERASED).known) == 1
    assert found(root) == []


def test_a_reader_of_the_archive_goes_on_when_objects_go_away(root: ObjectPath) -> None:
    read = (record.offset for record in records_from(root, 0))
    seen = [next(read)]
    compacted(root)
    assert [*seen, *read] == ALL


def test_verify_looks_again_at_a_day_that_is_compacted_meanwhile(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifests(root, TABLES, NOW)
    read = ObjectPath.read_bytes

    def meanwhile(path: ObjectPath) -> bytes:
        if path.name == "0-2.parquet":
            monkeypatch.setattr(ObjectPath, "read_bytes", read)
            compacted(root)
        return read(path)

    monkeypatch.setattr(ObjectPath, "read_bytes", meanwhile)
    (seen, *_) = verify(root, TABLES)
    assert (seen.rows, seen.problems) == (12, [])


def test_of_objects_with_the_same_rows_one_counts() -> None:
    joined, wider = "0-0-9-00000000.parquet", "0-0-10-00000001.parquet"
    former = ["0-0.parquet", "0-5.parquet", "0-10.parquet", "1-5.parquet"]
    assert current(former, None) == former
    assert {*current([*former, joined], {joined})} == {joined, "0-10.parquet", "1-5.parquet"}
    assert {*current([*former, joined], {*former})} == {*former}
    assert {*current([*former, joined, wider], None)} == {wider, "1-5.parquet"}


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_an_export_and_a_count_have_each_row_once_of_a_day_that_is_compacted_meanwhile(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    opened, read = written(root), ObjectPath.read_bytes
    for offset in (20, 21):
        opened.write("sms_status", [Record(*SMS, offset, 0, encode(sms(f"sms-{offset}", recipient=ERASED)))])
    left = copy_of(root)
    erasure_of(left, opened).erase(erasing(ERASED).known)
    reads: list[str] = []

    def meanwhile(at: ObjectPath) -> Callable[[ObjectPath], bytes]:
        def called(path: ObjectPath) -> bytes:
            reads.append(path.name)
            if len(reads) == moment:
                monkeypatch.setattr(ObjectPath, "read_bytes", read)
                compacted(at)
            return read(path)

        return called

    monkeypatch.setattr(ObjectPath, "read_bytes", meanwhile(root))
    rows = FileRows(root, ["sms_status"]).of(lambda number: number == ERASED, lambda row: row["recipient"] == ERASED)
    assert [row["topic_offset"] for _, _, row in rows] == [1, 11, 20, 21]
    reads.clear()
    monkeypatch.setattr(ObjectPath, "read_bytes", meanwhile(left))
    assert FileRows(left, ["sms_status"]).without_data() == 4


def test_a_number_in_an_object_that_does_not_count_is_found(root: ObjectPath) -> None:
    opened = written(root)
    day = root / "sms_status" / "date=1970-01-01"
    content = (day / "0-10.parquet").read_bytes()
    compacted(root)
    erasure_of(root, opened).erase(erasing(ERASED).known)
    (day / "0-10.parquet").write_bytes(content)
    assert found(root) == ["sms_status/date=1970-01-01/0-10.parquet"]
    assert FileRows(root, ["sms_status"]).without_data() == 2


def test_a_lost_answer_to_the_manifest_is_no_failure_when_another_process_has_added_to_it(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifests(root, TABLES, NOW)
    day, swap = root / RAW_CALLBACKS_TABLE / "date=1970-01-02", ObjectPath.swap

    def lost(path: ObjectPath, before: bytes | None, content: bytes) -> bool:
        if path != day / ".manifest.json" or not joined_in(names_in(content)):
            return swap(path, before, content)
        monkeypatch.setattr(ObjectPath, "swap", swap)
        assert swap(path, before, content)
        sink(root).write(RAW_CALLBACKS_TABLE, raw(12, 13, day=1))
        write_manifests(root, TABLES, NOW)
        return False

    monkeypatch.setattr(ObjectPath, "swap", lost)
    assert [done.problem for done in compacted(root)] == [None, None]
    assert by_manifest(root) == replayed(root) == offsets(root) == [*ALL, 12, 13]
    assert told(root) == []


def names_in(manifest: bytes) -> list[str]:
    return [file["name"] for file in orjson.loads(manifest)["files"]]


def test_a_manifest_that_cannot_be_understood_keeps_the_joined_objects(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    required = object_compaction._require_same
    day = root / RAW_CALLBACKS_TABLE / "date=1970-01-01"

    def damaged(*given: Any) -> None:  # noqa: ANN401 - as the function has it
        required(*given)
        monkeypatch.setattr(object_compaction, "_require_same", required)
        (day / ".manifest.json").write_bytes(b"{")

    monkeypatch.setattr(object_compaction, "_require_same", damaged)
    assert "written meanwhile" in str(compacted(root)[0].problem)
    assert joined_in(file.name for file in day.iterdir())


def test_a_compaction_that_was_taken_for_dead_leaves_the_mark_of_another_one(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined, mark = compaction.joined, root / RAW_CALLBACKS_TABLE / ".compacting-date=1970-01-01"

    def slow(*given: Any, **more: Any) -> bytes:  # noqa: ANN401 - as the function has it
        monkeypatch.setattr(object_compaction, "joined", joined)
        clear(root, TABLES, dead_seconds=-1)
        mark.write_bytes(b"another")
        return joined(*given, **more)

    monkeypatch.setattr(object_compaction, "joined", slow)
    assert "written meanwhile" in str(compacted(root)[0].problem)
    assert mark.read_bytes() == b"another"


@pytest.mark.parametrize("ends_it", [lambda root: write_manifests(root, TABLES, NOW), compacted])
def test_objects_that_do_not_count_are_deleted_also_without_a_mark(
    root: ObjectPath, ends_it: Callable[[ObjectPath], object]
) -> None:
    write_manifests(root, TABLES, NOW)
    first, second = (root / RAW_CALLBACKS_TABLE / f"date=1970-01-0{day}" for day in (1, 2))
    former = (second / "0-8.parquet").read_bytes()
    (first / "0-0-5-0000aaaa.parquet").write_bytes((first / "0-0.parquet").read_bytes())
    compacted(root)
    (second / "0-8.parquet").write_bytes(former)
    (first / "0-0-5-0000bbbb.parquet").write_bytes(b"created by a compaction that was taken for dead")
    ends_it(root)
    assert offsets(root) == ALL
    expect_all(root)
    assert len(names(root)) == 2


def test_a_sweep_deletes_nothing_of_a_compaction_that_begins_meanwhile(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifests(root, TABLES, NOW)
    day, stamps = root / RAW_CALLBACKS_TABLE / "date=1970-01-01", ObjectPath.stamps

    def meanwhile(path: ObjectPath) -> dict[str, tuple[int, int, int]]:
        monkeypatch.setattr(ObjectPath, "stamps", stamps)
        compacted(root)
        return stamps(path)

    monkeypatch.setattr(ObjectPath, "stamps", meanwhile)
    assert sweep(day) is None
    expect_all(root)


def test_a_sink_that_writes_one_object_after_the_other_asks_for_no_manifest(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, asked = [0.0], []
    opened = ObjectSink(root, "parquet", "routee.", FILE_TABLE_OF, lambda: now[0])
    opened.claim([RAW])
    monkeypatch.setattr("sinks.files.object_sink.joined_over", lambda *given: asked.append(given[-1]))
    for offset in range(12, 20):
        now[0] += 4.0
        opened.write(RAW_CALLBACKS_TABLE, raw(offset, day=1))
    assert asked == [12]  # the first after its claim
    now[0] += 6.0
    opened.write(RAW_CALLBACKS_TABLE, raw(20, day=1))
    assert asked == [12, 20]


def test_a_joined_object_that_lies_further_back_than_a_claim_looks_is_met(root: ObjectPath) -> None:
    opened = sink(root)
    for offset, day in enumerate((6, 7, 8, 9, 0), 12):
        opened.write(RAW_CALLBACKS_TABLE, raw(offset, day=day))
    opened.write(RAW_CALLBACKS_TABLE, raw(17, day=0))
    compacted(root)
    again = ObjectSink(root, "parquet", "routee.", FILE_TABLE_OF)
    assert again.claim([RAW]) == {RAW: 16}
    again.write(RAW_CALLBACKS_TABLE, [*raw(16, 17, day=0), *raw(18, day=9)])
    assert offsets(root) == [*range(19)]


def test_an_object_of_a_try_whose_answer_was_lost_goes_when_a_joined_one_has_its_position(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen, create = thawed(root), ObjectPath.create
    compacted(root)

    def lost(path: ObjectPath, content: bytes) -> bool:
        create(path, content)
        raise OSError(5, "the connection was closed", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(ObjectPath, "create", lost)
        with pytest.raises(RetryableError):
            frozen.write(RAW_CALLBACKS_TABLE, raw(8, 9, day=1))
    assert len(names(root)) == 3
    frozen.write(RAW_CALLBACKS_TABLE, raw(8, 9, day=1))
    assert len(names(root)) == 2
    expect_all(root)


def test_a_name_that_is_created_again_below_the_noted_position_is_looked_through(
    root: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = written(root)
    late = [Record(*SMS, offset, 0, encode(sms(f"sms-{offset}", recipient=ERASED))) for offset in (10, 11)]
    compacted(root)
    erasure_of(root, opened).erase(erasing(ERASED).known)
    frozen = thawed(root, SMS, 10)

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("sinks.files.object_sink.joined_over", killed)
        with pytest.raises(Killed):
            frozen.write("sms_status", late)
    assert len(found(root)) == 2
    assert erasure_of(root, sink(root, SMS)).erase(erasing(ERASED).known) == 2
    assert found(root) == []
