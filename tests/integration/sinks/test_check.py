"""
`routee-sinks check`: every problem at once.
"""

from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from sandbox.kafka import KafkaCluster
from sinks.clickhouse.client import ClickHouse
from tests.behaviour.sinks.kafka_topics import Topics
from tests.integration.sinks.conftest import PARTITIONS
from tests.integration.sinks.running import Running
from tests.support.topic_settings import configure
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


def test_it_says_that_everything_is_there(tables: ClickHouse, topics: Topics, running: Running) -> None:
    del tables, topics
    check = running.start("check")
    assert check.process.wait(60) == 0
    assert check.text[-1] == "everything is there"
    assert all(line.startswith("warning: ") for line in check.text[:-1])


def test_it_says_which_topic_may_lose_records_and_a_sink_works_with_it(
    tables: ClickHouse, topics: Topics, running: Running, kafka: KafkaCluster
) -> None:
    """A reader that stays away loses more."""
    del tables
    name = f"{topics.prefix}callbacks.rejected"
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    configure(admin, name, {"retention.ms": "1000"})
    admin.close()
    check = running.start("check")
    assert check.process.wait(60) == 1
    harm = "records are deleted before they were read, or stay longer than the callbacks"
    line = f"topic {name} has retention.ms=1000 ({harm}): "
    assert any(said.startswith(line) for said in check.text)
    sink = running.start("files")
    eventually(lambda: sink.said("consuming"), 60)
    assert sink.said(line)


def test_it_says_every_problem_at_once(topics: Topics, running: Running, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = running.start(
        "check",
        KAFKA_PARTITIONS=str(PARTITIONS + 1),
        CLICKHOUSE_PASSWORD="wrong",  # noqa: S106 - wrong on purpose
        SINKS_FILES_ROOT=str(tmp_path / "file"),
    )
    assert check.process.wait(60) == 1
    problems = [line for line in check.text if not line.startswith("warning: ")]
    starts = [problem.partition(" has ")[0].partition(",")[0] for problem in problems]
    names = (
        "sms.status",
        "campaign.progress",
        "delivery.windows",
        "delivery.alarms",
        "callbacks.rejected",
        "sinks.rejected",
    )
    assert starts == [
        *[f"topic {topics.prefix}{name}" for name in names],
        "CLICKHOUSE_USER=default",
        f"SINKS_FILES_ROOT={tmp_path / 'file'}: {tmp_path / 'file'} is not a folder",
    ]


def test_a_kafka_that_is_not_there_is_one_line(running: Running) -> None:
    check = running.start("check", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", CLICKHOUSE_URL="http://127.0.0.1:1")
    assert check.process.wait(60) == 1
    assert [message.partition(":")[0] for message in check.text] == [
        "Kafka does not answer at KAFKA_BOOTSTRAP_SERVERS=127.0.0.1",
        "CLICKHOUSE_URL=http",
    ]
