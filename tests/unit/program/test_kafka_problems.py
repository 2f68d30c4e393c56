"""
A problem with Kafka is the same line in every program.
"""

from collections.abc import Mapping

import pytest

from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, SMS_STATUS, Found, Topic
from streams.program.kafka_problems import refused_user, topic_findings, topic_problem
from streams.program.settings import CommonSettings

SETTINGS = CommonSettings(kafka_bootstrap_servers="kafka:9092", kafka_partitions=8)


def test_a_topic_with_the_partitions_of_the_settings_is_no_problem() -> None:
    assert topic_problem("routee.sms.status", 8, SETTINGS) is None


def test_a_topic_that_does_not_exist_is_said_to_be_created_by_streams() -> None:
    assert topic_problem("routee.sms.status", 0, SETTINGS) == (
        "topic routee.sms.status does not exist: run `routee-streams topics`"
    )


def test_another_number_of_partitions_names_the_setting() -> None:
    assert topic_problem("routee.sms.status", 4, SETTINGS) == (
        "topic routee.sms.status has 4 partitions, not 8: set KAFKA_PARTITIONS=4"
    )


def test_a_refused_user_is_told_which_settings_may_be_wrong() -> None:
    assert refused_user(SETTINGS, "SaslAuthenticationFailedError") == (
        "Kafka at KAFKA_BOOTSTRAP_SERVERS=kafka:9092 refuses KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME or "
        "KAFKA_SASL_PASSWORD (SaslAuthenticationFailedError)"
    )


def found(topic: Topic, changes: Mapping[str, str], replication: int = 1) -> Found:
    """Return a topic in its created form, but for some settings."""
    return Found(8, replication, {"min.insync.replicas": "1", **topic.config_with(replication), **changes})


def test_a_difference_is_refused_with_its_harm_and_the_exact_command() -> None:
    findings = topic_findings({CALLBACKS_RAW: found(CALLBACKS_RAW, {"cleanup.policy": "compact"})}, SETTINGS)
    (line,) = findings.refused
    assert line == (
        "topic routee.callbacks.raw has cleanup.policy=compact (records are deleted, or kept, by another rule): "
        "`routee-streams topics --alter`, or `kafka-configs.sh --bootstrap-server kafka:9092 --alter --entity-type "
        "topics --entity-name routee.callbacks.raw --add-config cleanup.policy=delete`"
    )


def test_all_differences_of_a_topic_are_one_line_of_each_severity() -> None:
    changes = {
        "retention.ms": "1",
        "retention.bytes": "5",
        "message.timestamp.type": "CreateTime",
        "segment.ms": "604800000",
    }
    findings = topic_findings({CALLBACKS_RAW: found(CALLBACKS_RAW, changes)}, SETTINGS)
    (refused,) = findings.refused
    assert "has retention.bytes=5, retention.ms=1 (records are deleted before they were read): " in refused
    assert refused.endswith("--add-config retention.bytes=-1,retention.ms=604800000`")
    unusual, copies = findings.warned
    assert unusual.endswith("--add-config message.timestamp.type=LogAppendTime,segment.ms=86400000`")
    assert copies.startswith(
        "what Kafka acknowledges is a single copy, and is lost with its disk: routee.callbacks.raw."
    )


@pytest.mark.parametrize(
    ("replication", "in_sync", "words"),
    [
        (1, "1", ["is a single copy, and"]),
        (2, "1", ["is a single copy while a broker is away, and"]),
        (2, "2", []),
        (3, "2", []),
        (3, "1", []),  # this is refused
    ],
)
def test_a_single_copy_is_told_once_for_all_topics(replication: int, in_sync: str, words: list[str]) -> None:
    topics = (CALLBACKS_RAW, CALLBACKS_REJECTED, SMS_STATUS)
    described = {topic: found(topic, {"min.insync.replicas": in_sync}, replication) for topic in topics}
    warned = topic_findings(described, SETTINGS).warned
    assert len(warned) == len(words)
    for line, word in zip(warned, words, strict=True):
        assert word in line
        assert "routee.callbacks.raw, routee.callbacks.rejected, routee.sms.status" in line


def test_settings_that_may_not_be_seen_are_one_warning_for_all_topics() -> None:
    findings = topic_findings(dict.fromkeys((CALLBACKS_RAW, SMS_STATUS), Found(8, 1, {})), SETTINGS)
    assert findings.refused == []
    (line,) = findings.warned
    assert line.startswith("this user may not see the settings of routee.callbacks.raw, routee.sms.status: ")


def test_settings_that_kafka_does_not_tell_are_one_warning_and_refuse_nothing() -> None:
    def without(topic: Topic) -> Found:
        full = found(topic, {}, 3)
        gone = {"unclean.leader.election.enable", "min.insync.replicas"}
        return Found(8, 3, {setting: value for setting, value in full.config.items() if setting not in gone})

    findings = topic_findings({topic: without(topic) for topic in (CALLBACKS_RAW, SMS_STATUS)}, SETTINGS)
    assert findings.refused == []
    (line,) = findings.warned
    assert line.startswith(
        "Kafka does not tell unclean.leader.election.enable, min.insync.replicas of routee.callbacks.raw, "
        "routee.sms.status: "
    )
