"""Topics on a real Kafka: created once, then verified."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from streams import cli
from streams.admin.topics import connect, verify
from streams.contract.topics import (
    ALL_TOPICS,
    CALLBACKS_RAW,
    CALLBACKS_REJECTED,
    CAMPAIGN_PARTIALS,
    CAMPAIGN_PROGRESS,
    SMS_STATUS,
    Topic,
)
from streams.errors import KafkaUnreachableError, TopicsDifferError
from streams.program.settings import CommonSettings, load_settings
from tests.support.topic_settings import configure
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka: KafkaCluster, topic_prefix: str) -> CommonSettings:
    return common(kafka.bootstrap_servers, topic_prefix)


def common(servers: str, prefix: str, partitions: int = 2) -> CommonSettings:
    return load_settings(
        CommonSettings,
        env_file=None,
        kafka_bootstrap_servers=servers,
        kafka_topic_prefix=prefix,
        kafka_partitions=partitions,
    )


@contextmanager
def administering(kafka: KafkaCluster) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    try:
        yield admin
    finally:
        admin.close()


Change = Callable[[Topic, Mapping[str, str]], None]


@pytest.fixture
def change(kafka: KafkaCluster, topic_prefix: str) -> Change:
    """Change settings of a topic, as an operator would."""

    def alter(topic: Topic, config: Mapping[str, str]) -> None:
        with administering(kafka) as admin:
            configure(admin, topic.name(topic_prefix), config)

    return alter


@pytest.fixture
def command_line(kafka: KafkaCluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `cli.main` find this Kafka, and leave the logging of the tests alone."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("KAFKA_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("KAFKA_PARTITIONS", "2")
    monkeypatch.setattr(cli, "configure_logging", lambda *_: None)


def test_missing_topics_are_created_as_the_contract_says(settings: CommonSettings) -> None:
    with connect(settings) as topics:
        assert topics.missing() == list(ALL_TOPICS)
        topics.create(ALL_TOPICS)
        assert topics.missing() == []
        assert topics.problems() == []


@pytest.mark.usefixtures("command_line")
def test_more_replicas_than_brokers_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_REPLICATION_FACTOR", "3")
    assert cli.main(["topics"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("KAFKA_REPLICATION_FACTOR=3: Kafka refuses it")


def test_creating_an_existing_topic_changes_nothing(settings: CommonSettings) -> None:
    with connect(settings) as topics:
        topics.create(ALL_TOPICS)
        ids = topics.ids(ALL_TOPICS)
        topics.create(ALL_TOPICS)
        assert topics.ids(ALL_TOPICS) == ids


def test_a_topic_made_anew_has_another_id(kafka: KafkaCluster, settings: CommonSettings) -> None:
    with connect(settings) as topics:
        topics.create([CAMPAIGN_PARTIALS])
        before = topics.ids([CAMPAIGN_PARTIALS])
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
        admin.delete_topics([CAMPAIGN_PARTIALS.name(settings.kafka_topic_prefix)])
        admin.close()
        topics.create([CAMPAIGN_PARTIALS])
        # The controller has the new topic at once, a broker's metadata a moment later.
        eventually(lambda: topics.ids([CAMPAIGN_PARTIALS]) != before)


def test_all_differences_are_reported_at_once(change: Change, settings: CommonSettings) -> None:
    with connect(settings) as topics:
        topics.create([topic for topic in ALL_TOPICS if topic is not CAMPAIGN_PARTIALS])
        change(CALLBACKS_RAW, {"cleanup.policy": "compact"})
        # The controller has the change at once, the broker a moment later.
        eventually(lambda: len(topics.problems()) == 2)
    with pytest.raises(TopicsDifferError) as error:
        verify(settings)
    missing, differing = error.value.problems
    assert (
        missing == f"topic {settings.kafka_topic_prefix}campaign.partials does not exist: run `routee-streams topics`"
    )
    assert differing.endswith("or set cleanup.policy=delete")


def test_an_unreachable_kafka_is_one_line_with_the_variable() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(KafkaUnreachableError, match=rf"^Kafka does not answer at KAFKA_BOOTSTRAP_SERVERS={nowhere} \("):
        verify(common(nowhere, "x."))
    gc.collect()  # a socket that is left would be reported here


@pytest.mark.usefixtures("command_line")
def test_the_commands_create_verify_and_refuse(
    topic_prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check"]) == 1
    assert f"topic {topic_prefix}callbacks.raw does not exist" in capsys.readouterr().err
    assert cli.main(["topics"]) == 0
    assert f"{topic_prefix}callbacks.raw: created" in capsys.readouterr().out
    assert cli.main(["topics"]) == 0
    assert f"{topic_prefix}callbacks.raw: exists" in capsys.readouterr().out
    assert cli.main(["check"]) == 0
    (one_copy, _) = capsys.readouterr().out.splitlines()
    assert one_copy.startswith("warning: what Kafka acknowledges is a single copy")
    monkeypatch.setenv("KAFKA_PARTITIONS", "3")
    assert cli.main(["topics"]) == 1
    assert f"topic {topic_prefix}callbacks.raw has 2 partitions, not 3: " in capsys.readouterr().err


@pytest.mark.usefixtures("command_line")
def test_check_names_the_folder_and_the_topics_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STREAMS_DATA_DIR", str(tmp_path / "file"))
    assert cli.main(["check"]) == 1
    folder, *topics = capsys.readouterr().err.splitlines()
    assert folder == f"STREAMS_DATA_DIR={tmp_path / 'file'}: Not a directory"
    assert "does not exist" in topics[0]


@pytest.mark.usefixtures("command_line")
def test_a_wrong_setting_is_a_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMS_WEB_PORT", "web")
    assert cli.main(["check"]) == 2
    assert capsys.readouterr().err.startswith("STREAMS_WEB_PORT=web: ")


_ONCE_COMPACT = {SMS_STATUS, CAMPAIGN_PROGRESS}
"""The topics that version 0.1.0 kept for ever."""


def make_as_before(kafka: KafkaCluster, prefix: str) -> None:
    """Create the topics as version 0.1.0 did: of the settings that were added since, the brokers' defaults hold."""
    since = {
        "message.timestamp.type",
        "unclean.leader.election.enable",
        "retention.bytes",
        "segment.ms",
        "segment.bytes",
    }

    def before(topic: Topic) -> dict[str, str]:
        config = {key: value for key, value in topic.config.items() if key not in since}
        if topic in _ONCE_COMPACT:
            return {key: value for key, value in config.items() if key != "retention.ms"} | {
                "cleanup.policy": "compact"
            }
        return config | ({"retention.ms": "2592000000"} if topic is CALLBACKS_REJECTED else {})

    with administering(kafka) as admin:
        admin.create_topics(
            {
                topic.name(prefix): {
                    "num_partitions": topic.partitions or 2,
                    "replication_factor": 1,
                    "configs": before(topic),
                }
                for topic in ALL_TOPICS
            }
        )
        admin.wait_for_topics([topic.name(prefix) for topic in ALL_TOPICS], timeout_ms=60_000)


@pytest.mark.usefixtures("command_line")
def test_topics_of_the_version_before_are_a_warning_and_are_altered_on_request(
    kafka: KafkaCluster, topic_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_as_before(kafka, topic_prefix)
    name = CALLBACKS_RAW.name(topic_prefix)
    assert cli.main(["topics"]) == 0
    said = capsys.readouterr()
    (line,) = [line for line in said.out.splitlines() if f"topic {name} has" in line]
    assert line.startswith(
        f"warning: topic {name} has message.timestamp.type=CreateTime, segment.ms=604800000 (a wrong "
    )
    assert line.endswith("or set message.timestamp.type=LogAppendTime, segment.ms=86400000")
    assert cli.main(["check"]) == 0
    assert f"warning: topic {name} has message.timestamp.type=CreateTime" in capsys.readouterr().out
    assert cli.main(["topics", "--alter"]) == 0
    said = capsys.readouterr()
    assert f"{name}: message.timestamp.type=CreateTime is now LogAppendTime" in said.out.splitlines()
    assert "--alter" not in said.out
    assert cli.main(["check"]) == 0
    assert "has " not in capsys.readouterr().out
    assert cli.main(["topics", "--alter"]) == 0
    assert "is now" not in capsys.readouterr().out


@pytest.mark.usefixtures("command_line")
@pytest.mark.parametrize(
    ("topic", "changes", "mends"),
    [
        (CALLBACKS_RAW, {"retention.bytes": "1000000"}, "retention.bytes=-1"),
        (CALLBACKS_RAW, {"unclean.leader.election.enable": "true"}, "unclean.leader.election.enable=false"),
        (CALLBACKS_RAW, {"min.insync.replicas": "2"}, "min.insync.replicas=1"),
        (CALLBACKS_REJECTED, {"retention.ms": "3600000"}, "retention.ms=604800000"),
        (CAMPAIGN_PARTIALS, {"max.message.bytes": "20000"}, "max.message.bytes=1000000"),
        (SMS_STATUS, {"retention.bytes": "1000000"}, "retention.bytes=-1"),
    ],
)
def test_settings_that_endanger_records_are_refused_and_altered_on_request(  # noqa: PLR0917 - fixtures
    settings: CommonSettings,
    topic_prefix: str,
    change: Change,
    capsys: pytest.CaptureFixture[str],
    topic: Topic,
    changes: dict[str, str],
    mends: str,
) -> None:
    assert cli.main(["topics"]) == 0
    change(topic, changes)
    with connect(settings) as topics:
        eventually(lambda: topics.problems() != [])
    capsys.readouterr()
    for command in ("check", "topics"):
        assert cli.main([command]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"topic {topic.name(topic_prefix)} has ")
        assert line.endswith(f"or set {mends}")
    assert cli.main(["topics", "--alter"]) == 0
    assert cli.main(["check"]) == 0


def test_a_default_of_the_brokers_counts_like_a_setting_of_the_topic(
    kafka: KafkaCluster, settings: CommonSettings, topic_prefix: str
) -> None:
    make_as_before(kafka, topic_prefix)
    broker = {"log.retention.bytes": "1000000"}
    with administering(kafka) as admin, connect(settings) as topics:
        assert topics.problems() == []
        admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, "1", dict(broker))])
        try:
            deleting = [
                one for one in ALL_TOPICS if "delete" in one.config["cleanup.policy"] and one not in _ONCE_COMPACT
            ]
            eventually(lambda: len(topics.problems()) == len(deleting))
            assert "retention.bytes=1000000" in topics.problems()[0]
        finally:
            admin.reset_configs([ConfigResource(ConfigResourceType.BROKER, "1", dict(broker))])
        eventually(lambda: topics.problems() == [])


DAY_MS = 86_400_000


@pytest.mark.parametrize("off_by_ms", [-8 * DAY_MS, -400 * DAY_MS, 3 * DAY_MS], ids=["behind", "years behind", "ahead"])
@pytest.mark.parametrize("topic", ALL_TOPICS, ids=lambda topic: topic.suffix)
def test_a_record_of_a_wrong_clock_is_taken_and_has_the_time_of_its_broker(
    kafka: KafkaCluster, settings: CommonSettings, topic: Topic, off_by_ms: int
) -> None:
    """By the time of the clock that is behind, the record would be deleted at once; the one ahead would be refused."""
    with connect(settings) as topics:
        topics.create([topic])
    name, wrong = topic.name(settings.kafka_topic_prefix), int(time.time() * 1000) + off_by_ms
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all")
    producer.send(name, b"{}", key=b"key", partition=0, timestamp_ms=wrong).get(timeout=30)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, enable_auto_commit=False)
    try:
        consumer.assign([TopicPartition(name, 0)])
        consumer.seek_to_beginning()
        (record,) = eventually(lambda: [one for found in consumer.poll(500).values() for one in found])
    finally:
        consumer.close()
    assert abs(record.timestamp - time.time() * 1000) < 60_000


@pytest.mark.full
def test_three_brokers_that_would_acknowledge_a_single_copy_need_two(tmp_path: Path) -> None:
    """Also when the number of replicas is left to the brokers, which have the defaults of Kafka."""
    properties = {"min.insync.replicas": "1"}
    with KafkaCluster(tmp_path / "kafka", free_port(together=3), brokers=3, properties=properties) as brokers:
        settings = common(brokers.bootstrap_servers, "three.")
        name = CALLBACKS_RAW.name("three.")
        with connect(settings) as topics, administering(brokers) as admin:
            topics.create(ALL_TOPICS)
            found = topics.findings()
            assert (found.refused, found.warned) == ([], [])
            configure(admin, name, {"min.insync.replicas": "1"})
            eventually(lambda: topics.problems() != [])
            (line,) = topics.problems()
            assert line.startswith(f"topic {name} has min.insync.replicas=1 (a single copy is enough for an acknowl")
            assert line.endswith("or set min.insync.replicas=2")
            topics.alter()
            assert topics.problems() == []
