"""
`routee-sinks files` with a bucket of a real S3 server: each record in one object, read in place, and clear refusals.
"""

import json
import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from sinks import cli
from sinks.files.objects import ObjectPath, bucket_problems, open_root
from streams.contract.codec import encode
from streams.contract.topics import CALLBACKS_RAW
from tests.behaviour.sinks.kafka_topics import Topics
from tests.behaviour.sinks.records import alarm, campaign, rejection, sms
from tests.integration.sinks.conftest import PARTITIONS
from tests.integration.sinks.running import Running
from tests.support.s3.bucket import Bucket
from tests.support.s3.wire import Fault
from tests.support.wait import eventually


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


@pytest.mark.usefixtures("_as_its_user")
def test_objects_are_not_joined_and_the_command_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["files", "compact"]) == 1
    assert "no store exchanges many for one in one step" in capsys.readouterr().err


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
