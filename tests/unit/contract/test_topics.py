"""The topics, the settings they are created with, and the harm of other settings."""

from collections.abc import Mapping

import pytest

from streams.contract.topics import (
    ALL_TOPICS,
    CALLBACKS_RAW,
    CALLBACKS_REJECTED,
    CAMPAIGN_PARTIALS,
    PUBLIC_TOPICS,
    RULES,
    SINKS_REJECTED,
    SMS_STATUS,
    Found,
    Topic,
    changelog,
)

DAY_MS = 86_400_000
BY_DELETION = [topic for topic in ALL_TOPICS if topic.config["cleanup.policy"] == "delete"]
LATEST = [topic for topic in ALL_TOPICS if topic.config["cleanup.policy"] == "compact,delete"]
OF_BROKERS = {
    "cleanup.policy": "delete",
    "delete.retention.ms": "86400000",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
    "min.compaction.lag.ms": "0",
    "min.insync.replicas": "1",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
    "segment.bytes": "1073741824",
    "segment.ms": "604800000",
    "unclean.leader.election.enable": "false",
}
"""Kafka's own defaults."""


def found(topic: Topic, changes: Mapping[str, str], replication: int = 1) -> Found:
    """Return a topic in its created form, but for some settings."""
    return Found(8, replication, {**OF_BROKERS, **topic.config_with(replication), **changes})


def faults(topic: Topic, changes: Mapping[str, str], replication: int = 1) -> list[tuple[str, str, bool]]:
    """Return the setting, the wanted value and the refusal of each fault."""
    return [(fault.setting, fault.wanted, fault.refused) for fault in topic.faults(found(topic, changes, replication))]


def test_names_carry_the_prefix() -> None:
    assert CALLBACKS_RAW.name("routee.") == "routee.callbacks.raw"


def test_public_names_never_change() -> None:
    assert [topic.suffix for topic in PUBLIC_TOPICS] == [
        "callbacks.raw", "callbacks.rejected", "sms.status", "campaign.progress", "delivery.windows",
        "delivery.alarms", "sinks.rejected", "erasures",
    ]  # fmt: skip


@pytest.mark.parametrize("topic", [CALLBACKS_RAW, CAMPAIGN_PARTIALS])
def test_source_topics_have_no_holes(topic: Topic) -> None:
    """Compaction would leave gaps in the offsets, and readers take a gap for a lost record."""
    assert topic.config["cleanup.policy"] == "delete"


@pytest.mark.parametrize("topic", LATEST)
def test_a_reader_less_than_a_day_behind_sees_every_change(topic: Topic) -> None:
    assert int(topic.config["min.compaction.lag.ms"]) == DAY_MS


def test_changelogs_are_compacted_and_internal() -> None:
    assert changelog("sms").config["cleanup.policy"] == "compact"
    assert changelog("sms") not in PUBLIC_TOPICS


def test_suffixes_are_unique() -> None:
    assert len({topic.suffix for topic in ALL_TOPICS}) == len(ALL_TOPICS)


@pytest.mark.parametrize("topic", ALL_TOPICS, ids=lambda topic: topic.suffix)
def test_no_clock_of_ours_decides_about_a_record_and_no_election_takes_it_back(topic: Topic) -> None:
    assert topic.config["message.timestamp.type"] == "LogAppendTime"
    assert topic.config["unclean.leader.election.enable"] == "false"


@pytest.mark.parametrize("topic", BY_DELETION, ids=lambda topic: topic.suffix)
def test_a_record_goes_after_its_days_and_not_for_a_number_of_bytes(topic: Topic) -> None:
    """A closed segment is deleted as a whole: with one a day, a record stays a day longer at most."""
    assert topic.config["retention.bytes"] == "-1"
    assert int(topic.config["segment.ms"]) == DAY_MS


@pytest.mark.parametrize("replication", [1, 2, 3, 5])
@pytest.mark.parametrize("topic", ALL_TOPICS, ids=lambda topic: topic.suffix)
def test_a_topic_in_its_created_form_has_no_fault(topic: Topic, replication: int) -> None:
    assert topic.faults(found(topic, {}, replication)) == []


def test_a_topic_with_kafkas_own_defaults_is_refused_for_its_retention_only() -> None:
    defaults = Found(8, 1, OF_BROKERS)
    assert {fault.setting for fault in CALLBACKS_RAW.faults(defaults) if fault.refused} == set()
    assert {fault.setting for fault in SINKS_REJECTED.faults(defaults) if fault.refused} >= {"retention.ms"}


def test_refused_callbacks_stay_as_long_as_callbacks_and_longer_is_a_warning() -> None:
    days = CALLBACKS_RAW.config["retention.ms"]
    assert CALLBACKS_REJECTED.config["retention.ms"] == days
    for longer in ("2592000000", "-1"):
        assert faults(CALLBACKS_REJECTED, {"retention.ms": longer}) == [("retention.ms", days, False)]
    assert faults(CALLBACKS_REJECTED, {"retention.ms": "1000"}) == [("retention.ms", days, True)]


def test_the_latest_records_go_some_days_after_their_last_change() -> None:
    assert {topic.suffix: int(topic.config["retention.ms"]) // DAY_MS for topic in LATEST} == {
        "sms.status": 30,
        "campaign.progress": 400,
        "delivery.windows": 35,
        "delivery.alarms": 400,
    }


@pytest.mark.parametrize("topic", LATEST)
@pytest.mark.parametrize("days", ["3600000", "604800000", "99999999999", "-1"])
@pytest.mark.parametrize("policy", ["compact,delete", "delete,compact"])
def test_the_owner_chooses_the_days_of_the_latest_records(topic: Topic, days: str, policy: str) -> None:
    assert faults(topic, {"cleanup.policy": policy, "retention.ms": days}) == []


@pytest.mark.parametrize("topic", LATEST)
def test_a_topic_that_was_compacted_only_works_and_is_given_policy_and_days_together(topic: Topic) -> None:
    """With the policy alone the days of the brokers would begin to count, and records would go early."""
    before = {"cleanup.policy": "compact", "retention.ms": "604800000", "retention.bytes": "1000000"}
    assert {*faults(topic, before)} == {
        ("cleanup.policy", "compact,delete", False),
        ("retention.ms", topic.config["retention.ms"], False),
        ("retention.bytes", "-1", False),
    }


@pytest.mark.parametrize("topic", LATEST)
def test_a_number_of_bytes_that_deletes_latest_records_is_refused(topic: Topic) -> None:
    assert faults(topic, {"retention.bytes": "1000000"}) == [("retention.bytes", "-1", True)]


@pytest.mark.parametrize(
    ("setting", "will_do", "will_not"),
    [
        ("cleanup.policy", ["delete"], ["compact", "compact,delete", "delete,compact", ""]),
        (
            "retention.ms",
            ["604800000", "604800001", "-1", "9223372036854775807"],
            ["604799999", "1", "0", "forever", ""],
        ),
        ("retention.bytes", ["-1", "-2"], ["0", "1", "1000000", "9223372036854775807"]),
        ("unclean.leader.election.enable", ["false"], ["true", "TRUE", "None"]),
        ("min.insync.replicas", ["1"], ["2", "3"]),
    ],
)
def test_a_setting_that_may_lose_a_callback_is_refused(setting: str, will_do: list[str], will_not: list[str]) -> None:
    assert [value for value in will_do if faults(CALLBACKS_RAW, {setting: value})] == []
    for value in will_not:
        (fault,) = CALLBACKS_RAW.faults(found(CALLBACKS_RAW, {setting: value}))
        assert (fault.setting, fault.found, fault.refused) == (setting, value, True)


@pytest.mark.parametrize(
    ("setting", "will_do", "unusual"),
    [
        ("message.timestamp.type", ["LogAppendTime"], ["CreateTime"]),
        ("segment.ms", ["86400000", "1000"], ["86400001", "604800000", "9223372036854775807"]),
        ("max.message.bytes", ["1000000", "1048588"], ["999999", "0"]),
    ],
)
def test_a_setting_that_programs_work_with_is_worth_a_warning(
    setting: str, will_do: list[str], unusual: list[str]
) -> None:
    assert [value for value in will_do if faults(CALLBACKS_RAW, {setting: value})] == []
    for value in unusual:
        assert faults(CALLBACKS_RAW, {setting: value}) == [(setting, CALLBACKS_RAW.config[setting], False)]


@pytest.mark.parametrize("topic", [CALLBACKS_RAW, CALLBACKS_REJECTED])
def test_ingest_halves_envelopes_that_are_too_large_and_streams_does_not(topic: Topic) -> None:
    assert faults(topic, {"max.message.bytes": "20000"}) == [("max.message.bytes", "1000000", False)]
    for other in (SMS_STATUS, CAMPAIGN_PARTIALS):
        assert faults(other, {"max.message.bytes": "20000"}) == [("max.message.bytes", "1000000", True)]
    assert faults(SINKS_REJECTED, {"max.message.bytes": "1048588"}) == [("max.message.bytes", "2097152", True)]
    assert faults(changelog("sms"), {"max.message.bytes": "1048588"}) == [("max.message.bytes", "16777216", True)]


@pytest.mark.parametrize(
    ("replication", "in_sync", "wanted"),
    [
        (1, "1", None), (2, "1", None), (2, "2", None), (3, "2", None), (3, "3", None), (4, "2", None),
        (1, "2", "1"), (2, "3", "1"), (3, "4", "2"), (5, "9", "2"),
        (3, "1", "2"), (4, "1", "2"), (16, "1", "2"), (3, "", "2"),
    ],
)  # fmt: skip
def test_of_three_replicas_two_must_have_a_record_and_never_more_than_there_are(
    replication: int, in_sync: str, wanted: str | None
) -> None:
    expected = [("min.insync.replicas", wanted, True)] if wanted else []
    assert faults(SMS_STATUS, {"min.insync.replicas": in_sync}, replication) == expected


@pytest.mark.parametrize(
    ("replication", "in_sync", "copies"), [(1, "1", 1), (1, "2", 1), (2, "1", 1), (2, "2", 2), (3, "2", 2), (3, "1", 1)]
)
def test_an_acknowledged_record_has_as_many_copies_as_must_be_in_sync(
    replication: int, in_sync: str, copies: int
) -> None:
    assert found(CALLBACKS_RAW, {"min.insync.replicas": in_sync}, replication).copies == copies


@pytest.mark.parametrize("topic", ALL_TOPICS, ids=lambda topic: topic.suffix)
def test_a_setting_that_kafka_does_not_tell_is_not_known_to_be_wrong(topic: Topic) -> None:
    """Apache Kafka tells all of them; a server that only speaks its protocol leaves out what it does not have."""
    full = found(topic, {}, 3)
    for setting in topic.config_with(3):
        told = Found(8, 3, {name: value for name, value in full.config.items() if name != setting})
        assert topic.untold(told) == [setting]
        assert topic.faults(told) == []
    assert topic.untold(full) == []


def test_how_many_replicas_must_be_in_sync_matters_from_three_on() -> None:
    told = dict(CALLBACKS_RAW.config)
    assert [CALLBACKS_RAW.untold(Found(8, replicas, told)) for replicas in (1, 2, 3)] == [
        [], [], ["min.insync.replicas"],
    ]  # fmt: skip


def test_all_faults_are_told_at_once() -> None:
    changes = {
        "retention.ms": "1",
        "retention.bytes": "1",
        "message.timestamp.type": "CreateTime",
        "min.insync.replicas": "1",
    }
    assert {setting for setting, *_ in faults(CALLBACKS_RAW, changes, 3)} == changes.keys()


@pytest.mark.parametrize("topic", ALL_TOPICS, ids=lambda topic: topic.suffix)
def test_every_setting_of_a_topic_has_a_rule(topic: Topic) -> None:
    assert topic.config.keys() <= RULES.keys()
    assert topic.tolerated <= RULES.keys()
