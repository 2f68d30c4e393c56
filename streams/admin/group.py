"""
The workers' consumer group, seen from outside.
"""

from kafka.errors import CoordinatorNotAvailableError

from streams.admin.topics import connect
from streams.contract.topics import CALLBACKS_RAW
from streams.settings import StreamsSettings


def member_shares(settings: StreamsSettings) -> dict[str, set[int]]:
    """Return the partitions of each worker; none of any while the group changes. Raises what `connect` does."""
    group, source = settings.group_id, CALLBACKS_RAW.name(settings.kafka_topic_prefix)
    with connect(settings) as topics:
        try:
            members = topics.admin.describe_groups([group])[group]["members"]
        except CoordinatorNotAvailableError:  # what a Kafka says that never had a group
            return {}
    return {
        member["member_id"]: {
            number
            for assigned in (member["member_assignment"] or {}).get("assigned_partitions", ())
            if assigned["topic"] == source
            for number in assigned["partitions"]
        }
        for member in members
    }
