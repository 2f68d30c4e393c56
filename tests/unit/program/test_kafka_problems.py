"""
A problem with Kafka is the same line in every program.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import pytest

from streams.contract.permissions import CLUSTER, Kind, Need, Operation, Permission, Resource
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, SMS_STATUS, Found, Topic
from streams.program.kafka_problems import (
    Findings,
    failed_request,
    permission_findings,
    refused_user,
    topic_findings,
    topic_problem,
    unreachable,
)
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
        "topic routee.sms.status has 4 partitions, not 8: set KAFKA_PARTITIONS=4 if all topics were made so, "
        "or delete the topic while it is empty and run `routee-streams topics`. Of topics in use the number cannot "
        "change: begin anew under another KAFKA_TOPIC_PREFIX"
    )


def test_a_refused_user_is_told_which_settings_may_be_wrong() -> None:
    assert refused_user(SETTINGS, "SaslAuthenticationFailedError") == (
        "Kafka at KAFKA_BOOTSTRAP_SERVERS=kafka:9092 refuses KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME or "
        "KAFKA_SASL_PASSWORD (SaslAuthenticationFailedError)"
    )


def test_brokers_that_do_not_answer_and_a_request_that_fails_name_the_setting() -> None:
    assert unreachable(SETTINGS, "refused") == ("Kafka does not answer at KAFKA_BOOTSTRAP_SERVERS=kafka:9092 (refused)")
    assert failed_request(SETTINGS, TimeoutError()) == (
        "Kafka at KAFKA_BOOTSTRAP_SERVERS=kafka:9092 does not do what it was asked for (TimeoutError)"
    )


RAW = Resource(Kind.TOPIC, "r.raw")
PARTIALS = Resource(Kind.TOPIC, "r.partials")
GROUP = Resource(Kind.GROUP, "r.streams")
IDS = Resource(Kind.TRANSACTIONAL_ID, "r.streams:", is_prefix=True)
NEEDED = (
    Permission(Operation.READ, RAW),
    Permission(Operation.READ, PARTIALS),
    Permission(Operation.WRITE, PARTIALS),
    Permission(Operation.DESCRIBE_CONFIGS, RAW, Need.SETTINGS),
    Permission(Operation.READ, GROUP),
    Permission(Operation.WRITE, IDS),
    Permission(Operation.IDEMPOTENT_WRITE, CLUSTER, Need.OLD_BROKERS),
)
ENOUGH: dict[Resource, AbstractSet[Operation] | None] = {
    RAW: {Operation.READ, Operation.DESCRIBE},
    PARTIALS: {Operation.READ, Operation.WRITE, Operation.DESCRIBE},
    GROUP: {Operation.READ, Operation.DESCRIBE},
    IDS: {Operation.WRITE},
}


def test_a_user_with_all_permissions_has_no_problem() -> None:
    assert permission_findings(NEEDED, ENOUGH) == Findings()


@pytest.mark.parametrize(
    ("resource", "allowed", "line"),
    [
        (RAW, {Operation.DESCRIBE}, "this user needs Read on topic r.raw: grant it"),
        (PARTIALS, {Operation.DESCRIBE}, "this user needs Read and Write on topic r.partials: grant it"),
        (PARTIALS, {Operation.READ, Operation.DESCRIBE}, "this user needs Write on topic r.partials: grant it"),
        (PARTIALS, set(), "topic r.partials may not be seen by this user: grant Read and Write"),
        (GROUP, {Operation.DESCRIBE}, "this user needs Read on group r.streams: grant it"),
        (GROUP, set(), "this user needs Read on group r.streams: grant it"),
        (IDS, set(), "this user needs Write on the transactional ids that begin with `r.streams:`: grant it"),
        (CLUSTER, {Operation.DESCRIBE}, "this user needs IdempotentWrite on the cluster: grant it"),
    ],
)
def test_a_missing_permission_is_one_line_with_the_operations(
    resource: Resource, allowed: set[Operation], line: str
) -> None:
    assert permission_findings(NEEDED, ENOUGH | {resource: allowed}) == Findings([line])


def test_operations_that_kafka_does_not_tell_are_one_warning_and_refuse_nothing() -> None:
    assert permission_findings(NEEDED, ENOUGH | {RAW: None, GROUP: None}) == Findings(
        warned=[
            "Kafka does not tell what this user may do: whether it may use topic r.raw, group r.streams shows in use"
        ]
    )


def test_a_resource_that_was_not_asked_for_is_no_problem() -> None:
    assert permission_findings(NEEDED, {}) == Findings()


def found(topic: Topic, changes: Mapping[str, str], replication: int = 1) -> Found:
    """Return a topic in its created form, but for some settings."""
    return Found(8, replication, {"min.insync.replicas": "1", **topic.config_with(replication), **changes})


def test_a_difference_is_refused_with_its_harm_and_the_exact_change() -> None:
    findings = topic_findings({CALLBACKS_RAW: found(CALLBACKS_RAW, {"cleanup.policy": "compact"})}, SETTINGS)
    (line,) = findings.refused
    assert line == (
        "topic routee.callbacks.raw has cleanup.policy=compact (records are deleted, or kept, by another rule): "
        "run `routee-streams topics --alter`, or set cleanup.policy=delete"
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
    assert refused.endswith("or set retention.bytes=-1, retention.ms=604800000")
    unusual, copies = findings.warned
    assert unusual.endswith("or set message.timestamp.type=LogAppendTime, segment.ms=86400000")
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
