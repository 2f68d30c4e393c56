"""
The workers' consumer group, as Kafka describes it.
"""

from kafka.errors import CoordinatorNotAvailableError

from streams.admin.topics import connect
from streams.contract.topics import CALLBACKS_RAW
from streams.settings import StreamsSettings


def member_shares(settings: StreamsSettings) -> dict[str, set[int]]:
    """
    Return member id → its assigned partitions of `callbacks.raw`; empty sets while the group rebalances.

    Without a group the result is empty. Raises the errors of `connect`.
    """
    group, source = settings.group_id, CALLBACKS_RAW.name(settings.kafka_topic_prefix)
    with connect(settings) as topics:
        try:
            members = topics.admin.describe_groups([group])[group]["members"]
        except CoordinatorNotAvailableError:  # the answer of a Kafka that never had a group
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
