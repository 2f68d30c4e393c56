"""
Topics as Kafka describes them, through kafka-python's admin client.
"""

from collections.abc import Sequence

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from streams.contract.topics import Found


def found_topics(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, Found]:
    """
    Describe topics that exist, in the given order; raises KafkaError.

    Without `config`, this user may not see the settings of a topic, or the broker does not know of the topic yet.
    """
    if not names:
        return {}
    partitions = {topic["name"]: topic["partitions"] for topic in admin.describe_topics([*names])}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    # Not only changed settings: a default of the brokers counts as well.
    settings = admin.describe_configs(resources, config_filter="all")["topic"]
    return {
        name: Found(
            len(partitions[name]),
            min((len(partition["replica_nodes"]) for partition in partitions[name]), default=0),
            {key: str(entry["value"]) for key, entry in settings[name].items() if entry["value"] is not None},
        )
        for name in names
    }
