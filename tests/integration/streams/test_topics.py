"""Topics on a real Kafka: created once, then verified."""

import gc
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from streams import cli
from streams.admin.topics import connect, verify
from streams.contract.topics import ALL_TOPICS, CALLBACKS_RAW, CAMPAIGN_PARTIALS
from streams.errors import KafkaUnreachableError, TopicsDifferError
from streams.program.settings import CommonSettings, load_settings
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


def test_all_differences_are_reported_at_once(kafka: KafkaCluster, settings: CommonSettings) -> None:
    name = CALLBACKS_RAW.name(settings.kafka_topic_prefix)
    with connect(settings) as topics:
        topics.create([topic for topic in ALL_TOPICS if topic is not CAMPAIGN_PARTIALS])
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
        change = ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": "compact"})
        admin.alter_configs([change])
        admin.close()
        # The controller has the change at once, the broker a moment later.
        eventually(lambda: len(topics.problems()) == 2)
    with pytest.raises(TopicsDifferError) as error:
        verify(settings)
    missing, differing = error.value.problems
    assert (
        missing == f"topic {settings.kafka_topic_prefix}campaign.partials does not exist: run `routee-streams topics`"
    )
    assert differing.endswith(f"--entity-name {name} --add-config cleanup.policy=delete`")


@pytest.mark.filterwarnings("ignore:Exception ignored in.*socket:pytest.PytestUnraisableExceptionWarning")
def test_an_unreachable_kafka_is_one_line_with_the_variable() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(KafkaUnreachableError, match=rf"^Kafka does not answer at KAFKA_BOOTSTRAP_SERVERS={nowhere} \("):
        verify(common(nowhere, "x."))
    gc.collect()  # kafka-python leaves the sockets of its attempts to the collector


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
