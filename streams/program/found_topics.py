"""
Topics as Kafka tells them to this user, through kafka-python's admin client.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    LeaderNotAvailableError,
    NoError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from streams.contract.permissions import Operation
from streams.contract.topics import Found

_THERE: Final = (NoError, LeaderNotAvailableError)


@dataclass(slots=True)
class ToldTopics:
    """
    Kafka's word about topics, each in the order in which they were asked for.

    `there` exist, as Kafka describes them; without `config` this user may not see the settings, or the broker does not
    know of the topic yet. `missing` do not exist. `unseen` may not be seen by this user, and perhaps do not exist.
    `allowed` has the operations that this user may do: none on a topic that is unseen, None when Kafka does not tell.
    """

    there: dict[str, Found] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    allowed: dict[str, AbstractSet[Operation] | None] = field(default_factory=dict)


def told_topics(admin: KafkaAdminClient, names: Sequence[str]) -> ToldTopics:
    """Ask for topics and their settings; raises KafkaError."""
    told = ToldTopics()
    described = {topic["name"]: topic for topic in admin.describe_topics([*names])} if names else {}
    for name in names:
        topic = described[name]
        error = for_code(topic["error_code"])
        told.allowed[name] = operations_named(topic.get("authorized_operations"))
        if error is TopicAuthorizationFailedError:
            told.unseen.append(name)
            told.allowed[name] = frozenset()
        elif error is UnknownTopicOrPartitionError:
            told.missing.append(name)
        elif error in _THERE:
            told.ids[name] = str(topic["topic_id"])
        else:
            raise error(name)
    told.there = _settings_of(admin, {name: described[name]["partitions"] for name in told.ids})
    return told


def operations_named(names: Sequence[str] | None) -> AbstractSet[Operation] | None:
    """Return the operations that a client names; None when Kafka told none."""
    return None if names is None else {operation for operation in Operation if operation.name in names}


def _settings_of(admin: KafkaAdminClient, partitions: dict[str, list[dict[str, Any]]]) -> dict[str, Found]:
    if not partitions:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in partitions]
    # Not only changed settings: a default of the brokers counts as well.
    settings = admin.describe_configs(resources, config_filter="all")["topic"]
    return {
        name: Found(
            len(found),
            min((len(partition["replica_nodes"]) for partition in found), default=0),
            {key: str(entry["value"]) for key, entry in settings[name].items() if entry["value"] is not None},
        )
        for name, found in partitions.items()
    }
