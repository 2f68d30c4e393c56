"""
A folder has the files of one topic, told by its id: another topic's is refused, and one of version 0.1.0 taken on once.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import orjson
import pytest
from msgspec.structs import replace

from sinks.errors import FatalError, PositionError
from sinks.files import origin
from sinks.files.formats import FORMATS
from sinks.files.locks import Lock
from sinks.files.origin import SOURCE_FILE, problems, take_on
from sinks.files.sink import FileSink
from sinks.source import MemoryTopics, Origin, Record, TopicPartition
from streams.contract.codec import encode
from tests.behaviour.sinks.records import sms
from tests.unit.sinks.records import TOPIC

TABLES = {TOPIC: "sms_status"}
PARTITIONS = 2
HERE = Origin(TOPIC, "id-1", "cluster-1")


def topics_of(records: int, name: str = "old", partitions: int = PARTITIONS) -> MemoryTopics:
    """Return a topic with as many records in each of the first two partitions."""
    topics = MemoryTopics({TOPIC: partitions})
    for partition in range(PARTITIONS):
        for number in range(records):
            topics.append(TOPIC, partition, encode(sms(f"{name}-{number}")))
    return topics


def open_folder(root: Path, topics: MemoryTopics, topic: Origin = HERE) -> None:
    """Open the folder for a topic."""
    (root / "sms_status").mkdir(parents=True, exist_ok=True)
    take_on(root, {topic.topic: "sms_status"}, {topic.topic: topic}, lambda: nullcontext(topics))


def refusal(root: Path, topics: MemoryTopics, topic: Origin = HERE) -> str:
    """Return the one line by which the folder is refused, by a start and by `check`; nothing in it changes."""
    before = content_of(root)
    with pytest.raises(PositionError) as refused:
        open_folder(root, topics, topic)
    assert content_of(root) == before
    assert list(problems(root, {topic.topic: "sms_status"}, {topic.topic: topic}, lambda: nullcontext(topics))) == [
        str(refused.value)
    ]
    assert "\n" not in str(refused.value)
    return str(refused.value)


def content_of(root: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in root.rglob("*") if file.is_file() and ".lock" not in file.name}


def write(root: Path, topics: MemoryTopics, file_format: str = "parquet", upto: int = 50) -> None:
    """Write the records of each partition into files, as version 0.1.0 did: the folder does not say its topic."""
    sink = FileSink(root, file_format, "routee.")
    for partition in range(PARTITIONS):
        sink.claim([TopicPartition(TOPIC, partition)])
        records = topics.logs[TopicPartition(TOPIC, partition)][:upto]
        sink.write("sms_status", records[: len(records) // 2])
        sink.write("sms_status", records[len(records) // 2 :])
    sink.close()


def noted(root: Path) -> dict[str, object]:
    found: dict[str, object] = orjson.loads((root / "sms_status" / SOURCE_FILE).read_bytes())
    return found


def test_the_topic_is_written_before_the_first_file_and_readers_do_not_see_it(tmp_path: Path) -> None:
    open_folder(tmp_path, topics_of(0))
    assert noted(tmp_path) == {"format": 1, "topic": TOPIC, "topic_id": "id-1", "cluster_id": "cluster-1"}
    assert [path.name for path in (tmp_path / "sms_status").iterdir() if path.name[0] not in "._"] == []


def test_the_folder_of_the_same_topic_is_opened_again(tmp_path: Path) -> None:
    topics = topics_of(80)
    open_folder(tmp_path, topics)
    write(tmp_path, topics)
    before = content_of(tmp_path)
    open_folder(tmp_path, topics)
    assert content_of(tmp_path) == before


@pytest.mark.parametrize(("records", "why"), [(20, "the topic ends at 20"), (80, "is not the record in Kafka")])
def test_a_topic_that_lost_its_end_is_refused_although_its_id_is_the_same(
    tmp_path: Path, records: int, why: str
) -> None:
    """By a backup that is older than the files, or by an unclean leader election; it may have grown since."""
    open_folder(tmp_path, topics_of(0))
    write(tmp_path, topics_of(50))
    assert why in refusal(tmp_path, topics_of(records, "new"))


@pytest.mark.parametrize("records", [0, 20, 50, 80], ids=lambda records: f"{records} records in the new topic")
def test_a_topic_that_was_made_anew_is_refused_however_far_it_has_grown(tmp_path: Path, records: int) -> None:
    open_folder(tmp_path, topics_of(0))
    write(tmp_path, topics_of(50))
    assert refusal(tmp_path, topics_of(records, "new"), HERE._replace(topic_id="id-2")) == (
        f"SINKS_FILES_ROOT={tmp_path}: {tmp_path}/sms_status has files of topic {TOPIC} with id id-1 of the Kafka "
        f"cluster-1, not of topic {TOPIC} with id id-2 of the Kafka cluster-1: set SINKS_FILES_ROOT to another folder, "
        "or move this one away"
    )


def test_the_folder_of_another_prefix_is_refused_even_while_it_has_no_file(tmp_path: Path) -> None:
    """The sink of the other prefix may be running."""
    open_folder(tmp_path, topics_of(0))
    other = Origin("staging.sms.status", "id-2", "cluster-1")
    assert "not of topic staging.sms.status with id id-2" in refusal(tmp_path, topics_of(0), other)


def test_every_folder_of_another_topic_is_a_line(tmp_path: Path) -> None:
    tables = {
        TOPIC: "sms_status",
        "routee.campaign.progress": "campaign_progress",
        "routee.callbacks.rejected": "third",
    }
    for table in tables.values():
        (tmp_path / table).mkdir()
    first = {topic: Origin(topic, f"id of {topic}", "cluster-1") for topic in tables}
    take_on(tmp_path, tables, first, lambda: nullcontext(topics_of(0)))
    remade = {**first, **{topic: first[topic]._replace(topic_id="new") for topic in list(tables)[:2]}}
    with pytest.raises(PositionError) as refused:
        take_on(tmp_path, tables, remade, lambda: nullcontext(topics_of(0)))
    assert [line.partition(" has files")[0][-17:] for line in str(refused.value).splitlines()] == [
        f"{tmp_path}/sms_status"[-17:],
        "campaign_progress",
    ]


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_folder_that_does_not_say_its_topic_is_taken_on_once_when_its_files_fit(
    tmp_path: Path, file_format: str, caplog: pytest.LogCaptureFixture
) -> None:
    topics = topics_of(80)
    write(tmp_path, topics, file_format)
    with caplog.at_level(logging.WARNING):
        open_folder(tmp_path, topics)
        assert "the folder does not say its topic, and its files fit" in caplog.text
        assert noted(tmp_path)["topic_id"] == "id-1"
        caplog.clear()
        open_folder(tmp_path, topics)
    assert caplog.text == ""


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("records", [50, 80])
def test_files_of_another_topic_are_not_taken_on_when_a_record_differs(
    tmp_path: Path, file_format: str, records: int
) -> None:
    """As many records or more: no offset speaks against it."""
    write(tmp_path, topics_of(50), file_format)
    said = refusal(tmp_path, topics_of(records, "new"))
    assert f"the files in {tmp_path}/sms_status are not of topic {TOPIC} with id id-1" in said
    assert "partition 0, offset 49: the row in" in said
    assert said.endswith("is not the record in Kafka: set SINKS_FILES_ROOT to another folder, or move this one away")


def test_a_topic_that_has_more_partitions_by_now_is_the_same(tmp_path: Path) -> None:
    write(tmp_path, topics_of(50))
    open_folder(tmp_path, topics_of(50, partitions=PARTITIONS + 3))


def test_files_beyond_the_end_are_not_taken_on(tmp_path: Path) -> None:
    write(tmp_path, topics_of(50))
    assert "partition 0: written up to offset 50, but the topic ends at 20" in refusal(tmp_path, topics_of(20, "new"))


def test_files_of_a_partition_that_the_topic_does_not_have_are_not_taken_on(tmp_path: Path) -> None:
    topics = topics_of(50)
    write(tmp_path, topics)
    (file,) = (tmp_path / "sms_status").glob("date=*/1-25-49.parquet")
    file.rename(file.with_name("7-25-49.parquet"))
    assert "7-25-49.parquet is of partition 7, which the topic does not have" in refusal(tmp_path, topics)


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_last_record_that_kafka_still_has_is_compared(tmp_path: Path, file_format: str) -> None:
    """Compaction has deleted later ones."""
    old, new = topics_of(80), topics_of(80, "new")
    write(tmp_path, old, file_format)
    for topics in (old, new):
        compact(topics, range(40, 50))
    assert "partition 0, offset 39: the row in" in refusal(tmp_path, new)
    open_folder(tmp_path, old)


def compact(topics: MemoryTopics, offsets: range) -> None:
    """Let the topic answer as if compaction had deleted these offsets."""
    found = topics.latest

    def latest(partition: TopicPartition, first: int, last: int) -> object:
        return found(partition, first, offsets.start - 1 if last in offsets else last)

    topics.latest = latest  # type: ignore[assignment,method-assign]


def test_files_whose_records_all_expired_are_taken_on(tmp_path: Path) -> None:
    """Nothing is passed over: reading begins at the oldest record."""
    topics = topics_of(80)
    write(tmp_path, topics)
    for partition in range(PARTITIONS):
        topics.expire(TOPIC, partition, 60)
    open_folder(tmp_path, topics)


def test_a_record_of_the_files_that_has_no_row_is_no_difference(tmp_path: Path) -> None:
    """A tombstone has none. The last record of a file always has one."""
    topics = topics_of(50)
    write(tmp_path, topics)
    file = max((tmp_path / "sms_status").glob("date=*/0-*"), key=lambda path: int(path.name.split("-")[1]))
    kept = [row for row in topics.logs[TopicPartition(TOPIC, 0)][25:] if row.offset != 39]
    file.write_bytes(FORMATS["parquet"]("sms_status", kept))
    compact(topics, range(40, 50))
    open_folder(tmp_path, topics)


def test_a_file_without_the_row_that_its_name_ends_with_is_not_taken_on(tmp_path: Path) -> None:
    topics = topics_of(50)
    write(tmp_path, topics)
    (file,) = (tmp_path / "sms_status").glob("date=*/0-25-49.parquet")
    file.write_bytes(FORMATS["parquet"]("sms_status", topics.logs[TopicPartition(TOPIC, 0)][25:49]))
    assert "partition 0, offset 49: the row is missing in" in refusal(tmp_path, topics)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("content", [b"", b"no file of ours", b"\x1f\x8b\x08half"])
def test_a_file_that_cannot_be_read_is_named_though_its_folder_says_the_topic(
    tmp_path: Path, file_format: str, content: bytes
) -> None:
    topics = topics_of(50)
    open_folder(tmp_path, topics)
    write(tmp_path, topics, file_format)
    (file,) = (tmp_path / "sms_status").glob("date=*/1-25-49.*")
    file.write_bytes(content)
    said = refusal(tmp_path, topics)
    assert "partition 1, offset 49: " in said
    assert str(file) in said


def test_a_file_whose_name_says_another_format_is_named(tmp_path: Path) -> None:
    topics = topics_of(50)
    write(tmp_path, topics)
    (file,) = (tmp_path / "sms_status").glob("date=*/1-25-49.*")
    other = tmp_path / "other"
    write(other, topics, "ndjson")
    (lines,) = (other / "sms_status").glob("date=*/1-25-49.*")
    file.rename(file.with_name("1-25-49.ndjson.gz"))
    assert "cannot be read" in refusal(tmp_path, topics)
    file.with_name("1-25-49.ndjson.gz").write_bytes(lines.read_bytes())
    open_folder(tmp_path, topics)


def test_columns_of_another_version_are_not_compared(tmp_path: Path) -> None:
    topics = topics_of(50)
    write(tmp_path, topics, "ndjson")
    for partition in range(PARTITIONS):
        log = topics.logs[TopicPartition(TOPIC, partition)]
        log[49] = replace(log[49], value=(log[49].value or b"")[:-1] + b',"added_later":1}')
    open_folder(tmp_path, topics)


def test_files_that_are_moved_to_an_archive_meanwhile_are_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = topics_of(50)
    write(tmp_path, topics)
    found = topics.latest

    def moving(partition: TopicPartition, first: int, last: int) -> Record | None:
        for file in (tmp_path / "sms_status").glob("date=*/*"):
            file.unlink()
        return found(partition, first, last)

    monkeypatch.setattr(topics, "latest", moving)
    open_folder(tmp_path, topics)


DAMAGED = [
    b"",
    b"{",
    b'{"format":1,"topic":"routee.sms.st',
    b"[]",
    b'{"format":1}',
    b'{"format":"1","topic":1}',
    b"\xff",
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_note_of_the_topic_is_refused_and_may_be_removed(tmp_path: Path, content: bytes) -> None:
    topics = topics_of(80)
    write(tmp_path, topics)
    note = tmp_path / "sms_status" / SOURCE_FILE
    note.write_bytes(content)
    said = refusal(tmp_path, topics)
    assert f"{note} is damaged. Remove it: the files are then compared with the topic" in said
    note.unlink()
    open_folder(tmp_path, topics)


def test_a_note_of_a_later_version_is_refused(tmp_path: Path) -> None:
    open_folder(tmp_path, topics_of(0))
    note = tmp_path / "sms_status" / SOURCE_FILE
    note.write_bytes(note.read_bytes().replace(b'"format":1', b'"format":2'))
    assert "has format 2, and this version knows 1" in refusal(tmp_path, topics_of(0))


def test_fields_of_a_later_version_are_left_alone(tmp_path: Path) -> None:
    open_folder(tmp_path, topics_of(0))
    note = tmp_path / "sms_status" / SOURCE_FILE
    note.write_bytes(note.read_bytes().replace(b"{", b'{"added_later":1,'))
    before = content_of(tmp_path)
    open_folder(tmp_path, topics_of(0))
    assert content_of(tmp_path) == before


def test_a_folder_in_the_place_of_the_note_is_named(tmp_path: Path) -> None:
    (tmp_path / "sms_status" / SOURCE_FILE).mkdir(parents=True)
    assert f"{SOURCE_FILE} cannot be read: Is a directory" in refusal(tmp_path, topics_of(0))


NO_ID = HERE._replace(topic_id=None)


def test_without_ids_the_files_decide(tmp_path: Path) -> None:
    topics = topics_of(80)
    open_folder(tmp_path, topics, NO_ID)
    write(tmp_path, topics)
    open_folder(tmp_path, topics, NO_ID)
    assert "is not the record in Kafka" in refusal(tmp_path, topics_of(80, "new"), NO_ID)


def test_without_ids_another_kafka_is_refused(tmp_path: Path) -> None:
    open_folder(tmp_path, topics_of(0), NO_ID)
    assert "of the Kafka cluster-2" in refusal(tmp_path, topics_of(0), NO_ID._replace(cluster_id="cluster-2"))


def test_an_id_is_added_when_kafka_tells_it_for_the_first_time_and_kept_when_it_does_not(tmp_path: Path) -> None:
    topics = topics_of(80)
    open_folder(tmp_path, topics, NO_ID)
    write(tmp_path, topics)
    open_folder(tmp_path, topics)
    assert noted(tmp_path)["topic_id"] == "id-1"
    open_folder(tmp_path, topics, NO_ID)
    assert noted(tmp_path)["topic_id"] == "id-1"


def test_of_two_sinks_that_start_at_once_on_an_empty_folder_one_gets_it(tmp_path: Path) -> None:
    (tmp_path / "sms_status").mkdir()
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def start(topic: Origin) -> None:
        barrier.wait(10)
        try:
            take_on(tmp_path, {topic.topic: "sms_status"}, {topic.topic: topic}, lambda: nullcontext(topics_of(0)))
        except PositionError:
            outcomes.append("refused")
        else:
            outcomes.append(topic.topic)

    both = [threading.Thread(target=start, args=(HERE._replace(topic=name, topic_id=name),)) for name in ("a.x", "b.x")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(outcomes) == [noted(tmp_path)["topic"], "refused"]


def test_the_note_is_written_while_no_other_process_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sms_status").mkdir()
    monkeypatch.setattr(origin, "_LOCK_SECONDS", 0.05)
    held = Lock(tmp_path / "sms_status", "source")
    assert held.acquire()
    with pytest.raises(FatalError, match="another process has held"):
        open_folder(tmp_path, topics_of(0))
    held.release()
    open_folder(tmp_path, topics_of(0))


@contextmanager
def failing(call: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(f"sinks.files.durable.{call}", fail)
        yield


@pytest.mark.parametrize("call", ["os.fsync", "os.open"])
def test_a_note_that_cannot_be_written_is_one_line_and_the_next_start_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with failing(call, monkeypatch), pytest.raises(FatalError, match=r"SINKS_FILES_ROOT=.*No space left on device"):
        open_folder(tmp_path, topics_of(0))
    open_folder(tmp_path, topics_of(0))
    assert noted(tmp_path)["topic_id"] == "id-1"


def test_a_half_written_note_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any moment there is none, or the whole one."""
    seen: list[bool] = []
    rename: Callable[[Path, Path], Path] = Path.rename

    def looking(self: Path, target: Path) -> Path:
        seen.append((tmp_path / "sms_status" / SOURCE_FILE).exists())
        orjson.loads(self.read_bytes())
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", looking)
    open_folder(tmp_path, topics_of(0))
    assert seen == [False]
