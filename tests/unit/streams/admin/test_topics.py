"""Administration of topics, over an admin client that does not connect."""

from contextlib import nullcontext
from typing import Any

import pytest
from kafka.errors import (
    InvalidConfigurationError,
    NoError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from kafka.protocol.api_key import ApiKey

from streams.admin import topics as admin_topics
from streams.admin.topics import Topics, verify
from streams.contract.permissions import Kind, Operation, Permission, Resource
from streams.contract.topics import ALL_TOPICS, CALLBACKS_RAW, SMS_STATUS
from streams.errors import SettingsRefusedError, TopicsDifferError
from streams.program import private_names
from streams.program.settings import CommonSettings, load_settings

SETTINGS = load_settings(CommonSettings, env_file=None, kafka_partitions=8, kafka_topic_prefix="r.")
OF_BROKERS = {
    "min.insync.replicas": "1",
    "delete.retention.ms": "86400000",
    "min.compaction.lag.ms": "0",
    "retention.ms": "604800000",
}


class Admin:
    """
    The admin client of a Kafka in memory whose default replication is `replicas`; it counts its alterations.

    A change is taken as a whole or, with a setting in `fixed`, not at all.
    """

    def __init__(self, replicas: int = 1) -> None:
        self.replicas = replicas
        self.configs: dict[str, dict[str, str]] = {}
        self.partitions: dict[str, int] = {}
        self.refuses: Exception | None = None
        self.outcome = "OK"
        self.altered: list[tuple[str, dict[str, str]]] = []
        self.hidden = False
        self.fixed: set[str] = set()
        self.unseen: set[str] = set()
        self.allowed = [operation.name for operation in Operation]

    def api_versions(self) -> dict[ApiKey, tuple[int, int]]:
        return {ApiKey.DescribeCluster: (0, 2)}

    def create_topics(self, wanted: dict[str, Any], **_: object) -> None:
        if self.refuses:
            raise self.refuses
        if "CREATE" not in self.allowed:
            raise TopicAuthorizationFailedError
        for name, options in wanted.items():
            if name in self.configs:
                raise TopicAlreadyExistsError
            self.configs[name] = OF_BROKERS | options["configs"]
            self.partitions[name] = options["num_partitions"]

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        return [self._described(name) for name in names]

    def _described(self, name: str) -> dict[str, Any]:
        partitions = [{"replica_nodes": range(self.replicas)}] * self.partitions.get(name, 0)
        error = UnknownTopicOrPartitionError if name not in self.configs else NoError
        return {
            "name": name,
            "partitions": partitions,
            "topic_id": f"id of {name}",
            "error_code": TopicAuthorizationFailedError.errno if name in self.unseen else error.errno,
            "authorized_operations": None if name in self.unseen else self.allowed,
        }

    def describe_configs(self, resources: list[Any], **_: object) -> dict[str, Any]:
        return {
            "topic": {
                one.name: {}
                if self.hidden
                else {key: {"value": value} for key, value in self.configs[one.name].items()}
                for one in resources
            }
        }

    def alter_configs(self, resources: list[Any], **_: object) -> dict[str, Any]:
        (one,) = resources
        self.altered.append((one.name, one.configs))
        outcome = "PolicyViolationError" if self.fixed & one.configs.keys() else self.outcome
        if outcome == "OK":
            self.configs[one.name] |= one.configs
        return {"topic": {one.name: outcome}}


@pytest.fixture(autouse=True)
def _all_permissions_on_groups_and_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_names, "group_operations", lambda *_: {*Operation})
    monkeypatch.setattr(private_names, "begin_producer", lambda *_: None)


def over(admin: Admin) -> Topics:
    return Topics(admin, SETTINGS)


def test_created_topics_have_nothing_to_mend() -> None:
    kafka = over(admin := Admin())
    kafka.create(ALL_TOPICS)
    assert (kafka.problems(), admin.altered) == ([], [])


def test_where_the_brokers_choose_three_replicas_two_must_have_each_record() -> None:
    """Only then is it known how many there are: the brokers' own rule is one."""
    kafka = over(admin := Admin(replicas=3))
    kafka.create([CALLBACKS_RAW])
    assert admin.altered == [("r.callbacks.raw", {"min.insync.replicas": "2"})]
    assert kafka.problems([CALLBACKS_RAW]) == []


def test_a_topic_that_was_there_before_is_not_changed_by_a_creation() -> None:
    kafka = over(admin := Admin())
    admin.configs["r.callbacks.raw"] = OF_BROKERS | {"retention.bytes": "1000000"}
    kafka.create([CALLBACKS_RAW])
    assert admin.altered == []
    assert kafka.findings([CALLBACKS_RAW]).refused


def test_an_alteration_mends_refused_and_unusual_settings_and_no_others() -> None:
    kafka = over(admin := Admin())
    kafka.create(ALL_TOPICS)
    admin.configs["r.callbacks.raw"] |= {
        "retention.bytes": "1000000",
        "message.timestamp.type": "CreateTime",
        "retention.ms": "-1",
        "flush.messages": "1",
    }
    done = kafka.alter()
    assert [(topic, [fault.setting for fault in faults]) for topic, faults in done.made.items()] == [
        (CALLBACKS_RAW, ["message.timestamp.type", "retention.bytes"])
    ]
    assert admin.configs["r.callbacks.raw"]["retention.ms"] == "-1"
    assert kafka.findings([CALLBACKS_RAW]).refused == []
    admin.altered.clear()
    assert (kafka.alter().made, admin.altered) == ({}, [])


def test_an_alteration_that_kafka_refuses_is_told_and_leaves_the_problem() -> None:
    kafka = over(admin := Admin())
    kafka.create([SMS_STATUS])
    admin.configs["r.sms.status"]["retention.bytes"] = "1"
    admin.outcome = "[Error 29] TopicAuthorizationFailedError"
    done = kafka.alter([SMS_STATUS])
    assert done.refused == {SMS_STATUS: "this user needs AlterConfigs on topic r.sms.status: grant it"}
    admin.outcome = "[Error 44] PolicyViolationError"
    done = kafka.alter([SMS_STATUS])
    assert done.refused == {
        SMS_STATUS: "topic r.sms.status: Kafka refuses to change its settings ([Error 44] PolicyViolationError)"
    }
    assert len(kafka.problems([SMS_STATUS])) == 1


def test_a_topic_that_may_not_be_created_is_told_and_keeps_no_other_from_it() -> None:
    kafka = over(admin := Admin())
    admin.allowed.remove("CREATE")
    done = kafka.create([CALLBACKS_RAW, SMS_STATUS])
    assert (done.made, [*done.refused.values()]) == (
        [],
        [
            "this user needs Create on topic r.callbacks.raw: grant it",
            "this user needs Create on topic r.sms.status: grant it",
        ],
    )


def test_a_topic_that_may_not_be_seen_is_not_taken_for_a_missing_one() -> None:
    kafka = over(admin := Admin())
    kafka.create(ALL_TOPICS)
    admin.unseen.add("r.sms.status")
    assert kafka.missing() == []
    assert SMS_STATUS not in kafka.ids(ALL_TOPICS)
    assert kafka.problems() == ["topic r.sms.status may not be seen by this user: grant Describe"]


def test_permissions_are_told_with_the_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = over(admin := Admin())
    kafka.create(ALL_TOPICS)
    admin.allowed = ["READ", "DESCRIBE", "DESCRIBE_CONFIGS"]
    group = Resource(Kind.GROUP, "r.streams")
    monkeypatch.setattr(private_names, "group_operations", lambda *_: {Operation.DESCRIBE})
    needed = [Permission(Operation.WRITE, Resource(Kind.TOPIC, "r.sms.status")), Permission(Operation.READ, group)]
    assert kafka.findings([SMS_STATUS], needed).unusable == [
        "this user needs Write on topic r.sms.status: grant it",
        "this user needs Read on group r.streams: grant it",
    ]


@pytest.mark.parametrize("fixed", ["segment.ms", "message.timestamp.type"])
def test_an_unusual_setting_that_kafka_does_not_let_change_keeps_no_dangerous_one(fixed: str) -> None:
    """As services do that fix some settings of their topics."""
    kafka = over(admin := Admin())
    kafka.create([CALLBACKS_RAW])
    wrong = {"segment.ms": "604800000", "message.timestamp.type": "CreateTime", "retention.bytes": "1000000"}
    admin.configs["r.callbacks.raw"] |= wrong
    admin.fixed = {fixed}
    done = kafka.alter([CALLBACKS_RAW])
    assert [fault.setting for fault in done.made[CALLBACKS_RAW]] == ["retention.bytes"]
    assert [*done.refused] == [CALLBACKS_RAW]
    found = kafka.findings([CALLBACKS_RAW])
    assert found.refused == []
    assert "segment.ms=604800000" in found.warned[0]
    assert "message.timestamp.type=CreateTime" in found.warned[0]


def test_a_setting_that_the_server_does_not_tell_is_a_warning_and_left_alone() -> None:
    kafka = over(admin := Admin(replicas=3))
    kafka.create([CALLBACKS_RAW])
    for untold in ("unclean.leader.election.enable", "min.insync.replicas"):
        del admin.configs["r.callbacks.raw"][untold]
    admin.configs["r.callbacks.raw"]["retention.bytes"] = "5"
    admin.altered.clear()
    assert kafka.alter([CALLBACKS_RAW]).refused == {}
    assert admin.altered == [("r.callbacks.raw", {"retention.bytes": "-1"})]
    found = kafka.findings([CALLBACKS_RAW])
    assert found.refused == []
    assert "does not tell unclean.leader.election.enable, min.insync.replicas of r.callbacks.raw" in found.warned[0]


def test_settings_that_may_not_be_seen_are_a_warning_and_no_alteration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_topics, "_SETTLED_SECONDS", 0.0)
    kafka = over(admin := Admin())
    admin.hidden = True
    kafka.create([CALLBACKS_RAW])
    found = kafka.findings([CALLBACKS_RAW])
    assert found.refused == []
    assert found.warned[0].startswith("this user may not see the settings of r.callbacks.raw")
    assert kafka.alter([CALLBACKS_RAW]).made == {}


@pytest.mark.parametrize("error", [InvalidConfigurationError("no"), PolicyViolationError("no")])
def test_a_kafka_that_refuses_a_setting_is_one_line_with_the_topic(error: Exception) -> None:
    kafka = over(admin := Admin())
    admin.refuses = error
    with pytest.raises(SettingsRefusedError, match=r"^topic r\.callbacks\.raw: Kafka refuses .*LogAppendTime"):
        kafka.create([CALLBACKS_RAW])


def test_a_worker_starts_with_unusual_settings_and_is_told_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = over(admin := Admin())
    monkeypatch.setattr(admin_topics, "connect", lambda _: nullcontext(kafka))
    kafka.create([CALLBACKS_RAW])
    admin.configs["r.callbacks.raw"]["message.timestamp.type"] = "CreateTime"
    told: list[str] = []
    assert verify(SETTINGS, [CALLBACKS_RAW], warn=told.append) == {CALLBACKS_RAW: "id of r.callbacks.raw"}
    unusual, copies = told
    assert "r.callbacks.raw has message.timestamp.type=CreateTime (a wrong clock of ours" in unusual
    assert "single copy" in copies


def test_a_worker_does_not_start_with_settings_that_endanger_records(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = over(admin := Admin())
    monkeypatch.setattr(admin_topics, "connect", lambda _: nullcontext(kafka))
    kafka.create(ALL_TOPICS)
    admin.configs["r.callbacks.raw"]["retention.bytes"] = "1000000"
    admin.configs["r.sms.status"]["unclean.leader.election.enable"] = "true"
    told: list[str] = []
    with pytest.raises(TopicsDifferError) as refused:
        verify(SETTINGS, warn=told.append)
    assert len(refused.value.problems) == 2
    assert len(told) == 1
