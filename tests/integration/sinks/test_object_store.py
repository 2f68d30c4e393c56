"""
`routee-sinks files` with a bucket of a real S3 server: each record in one object, read in place, and clear refusals.
"""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from sinks import cli
from sinks.files.erasure import FileErasure
from sinks.files.formats import FORMATS
from sinks.files.object_compaction import compact_objects
from sinks.files.object_sink import ObjectSink
from sinks.files.objects import bucket_problems, open_root
from sinks.files.origin import take_on
from sinks.files.retention import expire
from sinks.source import Lookup, Origin, Record, TopicPartition
from sinks.tables import FILE_TABLE_OF
from streams.cli import main
from streams.contract.codec import encode
from streams.contract.topics import CALLBACKS_RAW
from streams.program.objects import ObjectPath
from streams.replay.command import replay
from streams.settings import StreamsSettings
from tests.behaviour.sinks.kafka_topics import Topics
from tests.behaviour.sinks.records import alarm, campaign, rejection, sms
from tests.integration.sinks.conftest import PARTITIONS
from tests.integration.sinks.running import Running
from tests.support.every_verdict import verdict_load
from tests.support.s3.bucket import Bucket
from tests.support.s3.wire import Fault
from tests.support.wait import eventually
from tests.unit.sinks.test_file_erasure import erasing
from tests.unit.streams.replay.test_replay import NOON_MS, archive, content


@pytest.fixture
def _as_its_user(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in bucket.settings.items():
        monkeypatch.setenv(name, value)


def opened(bucket: Bucket) -> ObjectPath:
    root = open_root(bucket.root)
    assert isinstance(root, ObjectPath)
    return root


def winner_of(write: Callable[[bytes], bool], name: bytes) -> bytes:
    """Return the content that stands after eight writers at once, each with a content of its own."""
    won: list[bytes] = []

    def compete(content: bytes) -> None:
        if write(content):
            won.append(content)

    threads = [threading.Thread(target=compete, args=(b"%s %d" % (name, number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    return won[0]


@pytest.mark.usefixtures("_as_its_user")
def test_of_writers_of_one_name_one_wins_and_of_replacements_one(bucket: Bucket) -> None:
    file = opened(bucket) / "table" / "date=2026-01-01" / "0-0.parquet"
    created = winner_of(file.create, b"created")
    assert file.read_bytes() == created
    before = winner_of(partial(file.swap, created), b"swapped")
    assert file.read_bytes() == before
    assert [str(one) for one in opened(bucket).glob("*")] == [f"{bucket.root}/table"]
    assert not file.swap(b"another", b"content")
    file.unlink()
    file.unlink()
    assert not file.swap(before, b"content")
    with pytest.raises(FileNotFoundError):
        file.read_bytes()


@pytest.mark.usefixtures("_as_its_user")
@pytest.mark.parametrize(
    ("fault", "methods", "told"),
    [
        (None, (), None),
        ("InvalidAccessKeyId", ("PUT", "GET", "DELETE"), "the credentials are refused (InvalidAccessKeyId)"),
        ("AccessDenied", ("PUT",), "these credentials have no permission (AccessDenied)"),
        ("AccessDenied", ("DELETE", "POST"), "these credentials have no permission (AccessDenied)"),
    ],
)
def test_check_tries_the_bucket_and_tells_one_line(
    bucket: Bucket, fault: Fault | None, methods: Sequence[str], told: str | None
) -> None:
    bucket.wire.choose = lambda method, _: fault if method in methods else None
    assert [*bucket_problems(bucket.root)] == ([] if told is None else [f"SINKS_FILES_ROOT={bucket.root}: {told}"])
    bucket.wire.choose = lambda _method, _path: None
    if fault is None:
        assert [*opened(bucket).glob("*")] == []


@pytest.mark.usefixtures("_as_its_user")
def test_a_lost_answer_is_not_taken_for_a_store_without_conditional_writes(bucket: Bucket) -> None:
    lost: list[str] = []

    def choose(method: str, _: str) -> Fault | None:
        if method == "PUT" and not lost:
            lost.append(method)
            return "lost answer"
        return None

    bucket.wire.choose = choose
    assert [*bucket_problems(bucket.root)] == []
    assert bucket.wire.made == {"lost answer": 1}


@pytest.mark.usefixtures("_as_its_user")
@pytest.mark.parametrize("header", ["if-none-match", "if-match"])
def test_each_of_the_two_conditions_is_tried(bucket: Bucket, header: str) -> None:
    bucket.wire.left_out = header
    assert "no conditional writes" in next(bucket_problems(bucket.root))


@pytest.mark.usefixtures("_as_its_user")
def test_a_bucket_or_a_server_that_is_not_there_is_one_line(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [*bucket_problems("s3://no-such-bucket/prefix")] == [
        "SINKS_FILES_ROOT=s3://no-such-bucket/prefix: there is no such bucket (NoSuchBucket)"
    ]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    (line,) = bucket_problems(bucket.root)
    assert line.startswith(f"SINKS_FILES_ROOT={bucket.root}: ")
    assert "secret" not in line
    assert "\n" not in line


RAW = TopicPartition("routee.callbacks.raw", 0)
SMS = TopicPartition("routee.sms.status", 0)
DAY_MS = 86_400_000


def of_days(bucket: Bucket, days: int, objects: int, table: str = "raw_callbacks") -> ObjectPath:
    """Write a table of so many days from 1970 on, each with so many objects of one record, and return its root."""
    root = opened(bucket)
    topic = RAW if table == "raw_callbacks" else SMS
    for day in range(days):
        folder = root / table / f"date={date.fromordinal(719_163 + day).isoformat()}"
        for number in range(objects):
            offset = day * objects + number
            value = b"%d" % offset if topic is RAW else encode(sms(f"sms-{offset}", recipient="+306900000001"))
            content = FORMATS["parquet"](table, [Record(*topic, offset, day * DAY_MS, value)])
            (folder / f"0-{offset}.parquet").write_bytes(content)
    return root


def lists(bucket: Bucket, work: Callable[[], object]) -> int:
    """Return how many requests a work has listed objects with."""
    bucket.wire.asked.clear()
    work()
    return sum(method == "GET" and "list-type=2" in path for method, path in bucket.wire.asked)


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("_as_its_user")
def test_days_that_are_over_cost_no_listings(bucket: Bucket) -> None:
    """Twenty days have as many objects as fill a page of a listing: each day that is listed costs a request."""
    root = of_days(bucket, days=20, objects=3)
    of_days(bucket, days=20, objects=3, table="sms_status")
    tables = {RAW.topic: "raw_callbacks", SMS.topic: "sms_status"}
    sink = ObjectSink(root, "parquet", "routee.", FILE_TABLE_OF)
    # The days, and the newest three of them.
    assert lists(bucket, lambda: sink.claim([RAW])) <= 5
    assert sink.claim([SMS, RAW]) == {RAW: 60, SMS: 60}
    # Of a partition without an object: one more for each further day, however many objects it has.
    assert lists(bucket, lambda: sink.claim([RAW._replace(partition=5)])) <= 5 + 20
    origins = {topic: Origin(topic, "id", "cluster") for topic in tables}

    @contextmanager
    def lookup() -> Iterator[Lookup]:
        yield cast("Lookup", SimpleNamespace(bounds=lambda _: (60, 60), latest=lambda *_: None))

    assert lists(bucket, lambda: take_on(root, {RAW.topic: "raw_callbacks"}, origins, lookup)) <= 20
    # The end of five days: these, and the days.
    assert lists(bucket, lambda: expire(root, ["raw_callbacks"], 1, date(1970, 1, 7))) <= 2 * 5 + 2
    deletes = [method for method, _ in bucket.wire.asked if method in {"DELETE", "POST"}]
    assert len(deletes) <= 3 * 5
    store = FileErasure(root, {SMS.topic: "sms_status"}, lambda: [SMS], sink.held, sink.met_day)
    known = erasing("+306900000001").known
    assert store.erase(known) == 60
    # The pages of the newest three days, twice; and the table that this sink does not write.
    assert lists(bucket, lambda: store.erase(known)) <= 8
    bucket.wire.asked.clear()
    assert store.erase(known) == 0
    assert [path for method, path in bucket.wire.asked if method == "GET" and "date%3D1970-01-01" in path] == []


@pytest.mark.usefixtures("_as_its_user")
def test_a_listing_begins_at_a_name_and_a_thousand_objects_go_in_one_request(bucket: Bucket) -> None:
    root = of_days(bucket, days=3, objects=2)
    folder = root / "raw_callbacks"
    assert [file.name for file in folder.below_from("date=1970-01-02")] == [
        f"0-{offset}.parquet" for offset in range(2, 6)
    ]
    bucket.wire.asked.clear()
    (folder / "date=1970-01-03").unlink_all(["0-4.parquet", "0-5.parquet", "0-6.parquet"])
    assert len(bucket.wire.asked) == 1
    assert len([*folder.below_from("date=")]) == 4


@pytest.mark.usefixtures("_as_its_user")
def test_days_of_a_bucket_are_compacted_and_read_in_place(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    of_days(bucket, days=2, objects=5)
    assert cli.main(["files", "compact"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["before"], line["after"]) for line in told] == [(5, 1), (5, 1)]
    assert told[0]["day"] == "raw_callbacks/date=1970-01-01"
    assert bucket.arrow("raw_callbacks").num_rows == bucket.polars("raw_callbacks").height == 10
    assert cli.main(["files", "verify"]) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["files"], line["rows"], line["manifests"]) == (2, 10, 2)


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("_as_its_user")
def test_an_archive_in_a_bucket_is_replayed_as_one_in_a_folder(
    bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By several processes, before and after its objects are joined."""
    loads = [verdict_load(1), verdict_load(2)]
    root = opened(bucket)
    for partition, values in enumerate(loads):
        for first in range(0, len(values), 7):
            some = values[first : first + 7]
            rows = [
                Record("t", partition, first + at, NOON_MS + (first + at) * 60_000, one) for at, one in enumerate(some)
            ]
            name = f"{partition}-{first}.parquet"
            day = root / "raw_callbacks" / "date=2026-11-22"
            (day / name).write_bytes(FORMATS["parquet"]("raw_callbacks", rows))
    into = [tmp_path / name for name in ("folder", "bucket", "joined")]
    replay(StreamsSettings(), str(archive(tmp_path / "archive", *loads)), None, into[0], pytest.fail)
    replay(StreamsSettings(), bucket.root, None, into[1], pytest.fail)
    assert [done.problem for done in compact_objects(root, ["raw_callbacks"], datetime(2026, 12, 31, tzinfo=UTC))] == [
        None
    ]
    replay(StreamsSettings(), bucket.root, None, into[2], pytest.fail)
    assert content(into[0]) == content(into[1]) == content(into[2])
    assert main(["replay", "--from", "s3://no-such-bucket/prefix", "--into", str(tmp_path / "none")]) == 1
    assert "no such bucket" in capsys.readouterr().err


RECORDS = {
    "sms.status": ("sms_status", [encode(sms(f"sms-{number}")) for number in range(90)]),
    "campaign.progress": ("campaign_progress", [encode(campaign("one"))]),
    "callbacks.rejected": ("rejected_callbacks", [encode(rejection())]),
    "delivery.alarms": ("delivery_alarms", [encode(alarm())]),
    "callbacks.raw": ("raw_callbacks", [b"%d" % number for number in range(60)]),
}


@pytest.mark.kafka
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("_as_its_user")
def test_each_table_has_each_record_once_through_restarts_and_two_writers(
    bucket: Bucket, topics: Topics, running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    topics.add(CALLBACKS_RAW, PARTITIONS)
    settings = {**bucket.settings, "SINKS_TABLES": ",".join(table for table, _ in RECORDS.values())}

    def produce() -> None:
        for topic, (_, values) in RECORDS.items():
            topics.produce(topic, [(number % PARTITIONS, value) for number, value in enumerate(values)])

    def positions(table: str) -> list[tuple[int, int]]:
        if not bucket.names(table):
            return []
        query = "SELECT topic_partition, topic_offset FROM found"
        return sorted((int(one), int(other)) for one, other in bucket.duckdb(query, table))

    def all_are_there() -> bool:
        return all(positions(table) == sorted(topics.everything(topic)) for topic, (table, _) in RECORDS.items())

    produce()
    first = running.start("files", **settings)
    eventually(all_are_there, 90, every=0.5)
    second = running.start("files", **settings)
    produce()
    eventually(all_are_there, 90, every=0.5)
    assert first.stop()[0] == 0
    second.kill()
    topics.forget_commits("sinks-files")
    produce()
    running.start("files", **settings)
    eventually(all_are_there, 90, every=0.5)
    for table, values in RECORDS.values():
        assert bucket.polars(table).height == bucket.arrow(table).num_rows == 3 * len(values)
    assert cli.main(["files", "verify"]) == 0
    counted = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["table"]: line["rows"] for line in counted} == {
        table: 3 * len(values) for table, values in RECORDS.values()
    }


@pytest.mark.kafka
def test_a_bucket_that_cannot_be_used_ends_the_sink_at_the_start_with_one_line(
    bucket: Bucket, topics: Topics, running: Running
) -> None:
    del topics
    sink = running.start("files", **{**bucket.settings, "SINKS_FILES_ROOT": "s3://no-such-bucket"})
    assert sink.process.wait(60) == 1
    assert sink.messages[-1] == "SINKS_FILES_ROOT=s3://no-such-bucket: there is no such bucket (NoSuchBucket)"
