"""
One look at the topics of a program and at the permissions of its user, through kafka-python's admin client.
"""

from collections.abc import Iterable, Sequence

from kafka import KafkaAdminClient

from streams.contract.permissions import Operation, Permission
from streams.contract.topics import Topic
from streams.program.found_topics import told_topics
from streams.program.kafka_problems import (
    Findings,
    another_partition_count,
    missing_topic,
    permission_findings,
    topic_findings,
    unseen_topic,
    wrong_partition_count,
)
from streams.program.settings import CommonSettings
from streams.program.told_permissions import told_permissions


def look(
    admin: KafkaAdminClient, topics: Sequence[Topic], permissions: Iterable[Permission], settings: CommonSettings
) -> Findings:
    """
    Return the findings about the topics and the permissions; raises KafkaError.

    Of the topics in `permissions`, those in `topics` only. To create a topic that is there, no permission is needed.
    """
    names = {topic: topic.name(settings.kafka_topic_prefix) for topic in topics}
    told = told_topics(admin, [*names.values()])
    needed = [
        one for one in permissions if one.operation is not Operation.CREATE or one.resource.name not in told.there
    ]
    named = {one.resource.name for one in needed}
    there = {topic: told.there[name] for topic, name in names.items() if name in told.there}
    found = Findings(
        [
            *map(missing_topic, told.missing),
            *(unseen_topic(name, [Operation.DESCRIBE]) for name in told.unseen if name not in named),
            *(
                another_partition_count(names[topic], topic_found.partitions, settings)
                for topic, topic_found in there.items()
                if topic.partitions is None and topic_found.partitions != settings.kafka_partitions
            ),
            *(
                wrong_partition_count(names[topic], topic_found.partitions, topic.partitions)
                for topic, topic_found in there.items()
                if topic.partitions is not None and topic_found.partitions != topic.partitions
            ),
        ]
    )
    return found + permission_findings(needed, told_permissions(admin, needed, told)) + topic_findings(there, settings)
