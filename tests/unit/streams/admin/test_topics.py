"""Topics that differ from the contract, and the remedy for each."""

from streams.admin.topics import Found, creation_config, differences
from streams.contract.topics import CALLBACKS_RAW, SMS_STATUS, changelog
from streams.program.settings import CommonSettings, load_settings

SETTINGS = load_settings(CommonSettings, env_file=None, kafka_partitions=8, kafka_topic_prefix="r.")


def found(config: dict[str, str], partitions: int = 8, replication: int = 1) -> Found:
    return Found(partitions, replication, {"min.insync.replicas": "1", **config})


def test_a_topic_in_its_created_form_does_not_differ() -> None:
    for topic in (CALLBACKS_RAW, SMS_STATUS, changelog("sms")):
        assert differences(topic, found(topic.config), SETTINGS) == []


def test_another_number_of_partitions_is_refused_with_both_ways_out() -> None:
    (line,) = differences(CALLBACKS_RAW, found(CALLBACKS_RAW.config, partitions=4), SETTINGS)
    assert line.startswith("topic r.callbacks.raw has 4 partitions, not 8: set KAFKA_PARTITIONS=4, or")
    assert "kafka-topics.sh --bootstrap-server 127.0.0.1:9092 --delete --topic r.callbacks.raw" in line


def test_another_cleanup_is_refused_with_the_exact_command() -> None:
    (line,) = differences(CALLBACKS_RAW, found({**CALLBACKS_RAW.config, "cleanup.policy": "compact"}), SETTINGS)
    assert line == (
        "topic r.callbacks.raw has cleanup.policy=compact: `kafka-configs.sh --bootstrap-server 127.0.0.1:9092 "
        "--alter --entity-type topics --entity-name r.callbacks.raw --add-config cleanup.policy=delete`"
    )


def test_keeping_records_longer_is_an_operators_choice_and_shorter_is_not() -> None:
    for longer in ("-1", "9999999999999"):
        assert not differences(CALLBACKS_RAW, found({**CALLBACKS_RAW.config, "retention.ms": longer}), SETTINGS)
    (line,) = differences(CALLBACKS_RAW, found({**CALLBACKS_RAW.config, "retention.ms": "1000"}), SETTINGS)
    assert "--add-config retention.ms=604800000`" in line


def test_changelogs_take_batches_as_large_as_a_checkpoint_can_be() -> None:
    (line,) = differences(changelog("sms"), found({"cleanup.policy": "compact", "max.message.bytes": "1"}), SETTINGS)
    assert "max.message.bytes=16777216" in line


def test_with_three_replicas_two_must_have_a_record() -> None:
    assert creation_config(SMS_STATUS, 3)["min.insync.replicas"] == "2"
    assert "min.insync.replicas" not in creation_config(SMS_STATUS, 1)
    three = SETTINGS.model_copy(update={"kafka_replication_factor": 3})
    (line,) = differences(SMS_STATUS, found(SMS_STATUS.config, replication=3), three)
    assert "--add-config min.insync.replicas=2`" in line
    stricter = {**SMS_STATUS.config, "min.insync.replicas": "3"}
    assert not differences(SMS_STATUS, found(stricter, replication=3), three)


def test_with_the_brokers_own_replication_their_own_rule_for_writes_stands() -> None:
    assert not differences(SMS_STATUS, found(SMS_STATUS.config, replication=3), SETTINGS)
