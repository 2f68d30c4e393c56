"""
`routee-sinks check`: every problem at once.
"""

from pathlib import Path

import pytest

from sinks.clickhouse.client import ClickHouse
from tests.behaviour.sinks.kafka_topics import Topics
from tests.integration.sinks.conftest import PARTITIONS
from tests.integration.sinks.running import Running

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


def test_it_says_that_everything_is_there(tables: ClickHouse, topics: Topics, running: Running) -> None:
    del tables, topics
    check = running.start("check")
    assert check.process.wait(60) == 0
    assert check.text == ["everything is there"]


def test_it_says_every_problem_at_once(topics: Topics, running: Running, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = running.start(
        "check",
        KAFKA_PARTITIONS=str(PARTITIONS + 1),
        CLICKHOUSE_PASSWORD="wrong",  # noqa: S106 - wrong on purpose
        SINKS_FILES_ROOT=str(tmp_path / "file"),
    )
    assert check.process.wait(60) == 1
    starts = [message.partition(" has ")[0].partition(",")[0] for message in check.text]
    names = ("sms.status", "campaign.progress", "callbacks.rejected", "sinks.rejected")
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
