"""
Sinks as processes, on topics that are not the ones that they know: made anew, of another prefix, with expired records.
"""

import os
import signal
from pathlib import Path

import pytest

from sandbox.kafka import KafkaCluster
from sinks.clickhouse.client import ClickHouse
from sinks.files.origin import SOURCE_FILE
from streams.contract.codec import encode
from tests.behaviour.sinks.kafka_topics import Topics, create_topics
from tests.behaviour.sinks.records import sms
from tests.integration.sinks.conftest import PARTITIONS
from tests.integration.sinks.running import Running, Sink
from tests.integration.sinks.test_files import Folder
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

SUFFIX = "sms.status"


def produce(topics: Topics, name: str, count: int, partition: int = 0) -> None:
    topics.produce(SUFFIX, [(partition, encode(sms(f"{name}-{number}"))) for number in range(count)])


def keys(folder: Folder) -> list[str]:
    return sorted(str(key) for (key,) in folder.query("sms_key"))


def names(name: str, count: int) -> list[str]:
    return sorted(f"{name}-{number}" for number in range(count))


def wait_for_keys(folder: Folder, wanted: list[str]) -> None:
    eventually(lambda: len(keys(folder)) >= len(wanted), 60, every=0.1)
    assert keys(folder) == wanted


def refused(running: Running, command: str = "files", **environment: str) -> str:
    """Return the last line of a sink that ends at its start."""
    sink = running.start(command, **environment)
    assert sink.process.wait(60) == 1
    assert not sink.said("consuming")
    return sink.messages[-1] if sink.messages else sink.text[-1]


@pytest.fixture(params=["parquet", "ndjson"])
def file_format(request: pytest.FixtureRequest, running: Running) -> str:
    running.environment = {**running.environment, "SINKS_FILES_FORMAT": request.param}
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path, file_format: str) -> Folder:
    return Folder(tmp_path / "files", file_format)


def test_a_topic_that_was_made_anew_is_refused_however_far_it_grows_and_another_folder_gets_all_of_it(
    folder: Folder, file_format: str, tmp_path: Path, topics: Topics, running: Running
) -> None:
    produce(topics, "old", 50)
    first = running.start("files")
    wait_for_keys(folder, names("old", 50))
    assert first.stop()[0] == 0
    topics.make_anew(SUFFIX, PARTITIONS)
    for name, count in (("new", 20), ("more", 60)):
        produce(topics, name, count)
        said = refused(running)
        assert (
            f"SINKS_FILES_ROOT={tmp_path}/files: {tmp_path}/files/sms_status has files of topic {topics.prefix}" in said
        )
        assert said == refused(running, "check").strip()
        assert keys(folder) == names("old", 50)
    running.start("files", SINKS_FILES_ROOT=str(tmp_path / "other"))
    wait_for_keys(Folder(tmp_path / "other", file_format), sorted(names("new", 20) + names("more", 60)))


def test_the_folder_of_a_sink_with_another_prefix_is_refused(
    kafka: KafkaCluster, topics: Topics, running: Running, tmp_path: Path
) -> None:
    produce(topics, "ours", 1)
    running.start("files")
    wait_for_keys(Folder(tmp_path / "files", "parquet"), names("ours", 1))
    theirs = f"other-{topics.prefix}"
    create_topics(kafka.bootstrap_servers, theirs, PARTITIONS)
    sink = running.start("files", KAFKA_TOPIC_PREFIX=theirs)
    assert sink.process.wait(60) == 1
    lines = [message for message in sink.messages if "has files of topic" in message]
    suffixes = (SUFFIX, "campaign.progress", "delivery.windows", "delivery.alarms", "callbacks.rejected")
    assert [f"not of topic {theirs}{suffix} " in line for suffix, line in zip(suffixes, lines, strict=True)] == [
        True
    ] * len(suffixes)


def test_the_folder_of_an_earlier_version_is_taken_on_if_its_files_are_of_the_topic(
    folder: Folder, tmp_path: Path, topics: Topics, running: Running
) -> None:
    for partition in range(PARTITIONS):
        produce(topics, f"old-{partition}", 20, partition)
    first = running.start("files")
    eventually(lambda: len(keys(folder)) == 20 * PARTITIONS, 60, every=0.1)
    first.stop()
    note = tmp_path / "files" / "sms_status" / SOURCE_FILE
    note.unlink()
    produce(topics, "more", 10)
    second = running.start("files")
    eventually(lambda: len(keys(folder)) == 20 * PARTITIONS + 10, 60, every=0.1)
    assert second.said("the folder does not say its topic, and its files fit")
    assert second.stop()[0] == 0
    topics.make_anew(SUFFIX, PARTITIONS)
    produce(topics, "new", 100)
    note.unlink()
    assert "partition 0, offset 29: the row in " in refused(running)
    assert not note.exists()


def test_a_sink_whose_topic_is_deleted_is_not_ready_and_names_it(
    folder: Folder, topics: Topics, running: Running
) -> None:
    """Its partitions go from the group and from the lag, and the sink waits for records that cannot come."""
    sink = running.start("files")
    produce(topics, "old", 3)
    wait_for_keys(folder, names("old", 3))
    eventually(lambda: sink.get("/readyz")[0] == 200, 60)
    topics.delete(SUFFIX)
    line = f"topics: not in Kafka any more, or not for this user: {topics.prefix}{SUFFIX}"
    eventually(lambda: sink.get("/readyz") == (503, f"{line}\n"), 60)
    assert sink.get("/livez")[0] == 200


def frozen_while_the_topic_is_made_anew(sink: Sink, topics: Topics, records: int) -> None:
    """Stop a sink between two polls, and let it go on when there is another topic of that name."""
    os.kill(sink.process.pid, signal.SIGSTOP)
    topics.make_anew(SUFFIX, PARTITIONS)
    produce(topics, "new", records)
    os.kill(sink.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("records", [20, 80])
def test_files_get_no_record_of_a_topic_that_is_made_anew_while_the_sink_runs(
    tmp_path: Path, topics: Topics, running: Running, records: int
) -> None:
    folder = Folder(tmp_path / "files", "parquet")
    produce(topics, "old", 50)
    sink = running.start("files")
    wait_for_keys(folder, names("old", 50))
    frozen_while_the_topic_is_made_anew(sink, topics, records)
    assert sink.process.wait(60) == 1
    assert f"topic {topics.prefix}{SUFFIX} was deleted and made anew while the sink read it" in sink.messages[-1]
    assert keys(folder) == names("old", 50)
    assert "has files of topic" in refused(running)


@pytest.mark.clickhouse
@pytest.mark.parametrize("records", [20, 80])
def test_clickhouse_gets_every_record_of_a_topic_that_is_made_anew_while_the_sink_runs(
    tables: ClickHouse, topics: Topics, running: Running, records: int
) -> None:
    produce(topics, "old", 50)
    sink = running.start("clickhouse")

    def rows(name: str) -> int:
        return int(tables.rows(f"SELECT count() FROM sms WHERE sms_key LIKE '{name}-%'")[0][0])  # noqa: S608 - ours

    eventually(lambda: rows("old") == 50, 60, every=0.1)
    eventually(lambda: topics.committed("sinks-clickhouse", SUFFIX)[0].offset == 50, 60)
    frozen_while_the_topic_is_made_anew(sink, topics, records)
    assert sink.process.wait(60) == 1
    assert "was deleted and made anew while the sink read it" in sink.messages[-1]
    assert rows("new") == 0
    running.start("clickhouse")
    eventually(lambda: rows("new") == records, 60, every=0.1)


@pytest.fixture(params=["files", pytest.param("clickhouse", marks=pytest.mark.clickhouse)])
def command(request: pytest.FixtureRequest) -> str:
    if request.param == "clickhouse":
        request.getfixturevalue("tables")
    return str(request.param)


def test_records_that_expired_while_a_sink_was_away_are_an_error_in_the_log_and_a_metric(
    command: str, topics: Topics, running: Running
) -> None:
    produce(topics, "first", 10)
    first = running.start(command)
    eventually(lambda: first.metric("routee_sinks_rows_total") == 10, 60)
    assert first.stop()[0] == 0
    produce(topics, "lost", 30)
    produce(topics, "lost", 5, partition=1)
    topics.expire(SUFFIX, 0, 40)
    topics.expire(SUFFIX, 1, 5)
    produce(topics, "last", 7)
    second = running.start(command)
    eventually(lambda: second.metric("routee_sinks_rows_total") == 7, 60)
    eventually(lambda: second.metric("routee_sinks_expired_records_total") == 35, 60)
    told = [line for line in second.lines if line["level"] == "error"]
    fields = ("topic", "partition", "from_offset", "to_offset", "offsets")
    assert sorted(tuple(line[name] for name in fields) for line in told) == [
        (f"{topics.prefix}{SUFFIX}", 0, 10, 39, 30),
        (f"{topics.prefix}{SUFFIX}", 1, 0, 4, 5),
    ]
    assert second.get("/readyz")[0] == 200
    group = f"sinks-{command}"
    eventually(lambda: topics.committed(group, SUFFIX)[1].offset == 5, 60)
    second.stop()
    third = running.start(command)
    produce(topics, "then", 1, partition=1)
    eventually(lambda: third.metric("routee_sinks_rows_total") == 1, 60)
    assert not third.said("records expired")
    assert third.metric("routee_sinks_expired_records_total") == 0
