"""
The topics that ingest writes to, as the brokers have them, and their problems.
"""

from typing import Final

from aiokafka.errors import KafkaError

from ingest.kafka.cluster import Cluster
from streams.contract import permissions
from streams.contract.permissions import Kind, Resource
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, Found
from streams.program.kafka_problems import (
    Findings,
    missing_topic,
    permission_findings,
    topic_findings,
    topic_problem,
    unseen_topic,
)
from streams.program.settings import CommonSettings

TOPICS: Final = (CALLBACKS_RAW, CALLBACKS_REJECTED)
"""The topics that ingest writes to."""


def unusable_topics(cluster: Cluster, settings: CommonSettings) -> list[str]:
    """Return a line per topic that this user cannot see, or that does not exist: the next moment may bring it."""
    problems = []
    for name in _names(settings):
        if cluster.may_not_see(name):
            needed = permissions.ingest(settings.kafka_topic_prefix)
            problems.append(unseen_topic(name, permissions.operations_on(Resource(Kind.TOPIC, name), needed)))
        elif not cluster.partitions(name):
            problems.append(missing_topic(name))
    return problems


def differing_topics(cluster: Cluster, settings: CommonSettings) -> list[str]:
    """Return a line per topic with another partition count than the settings say: keys would change partitions."""
    counts = {name: cluster.partitions(name) for name in _names(settings)}
    found = (topic_problem(name, count, settings) for name, count in counts.items() if count)
    return [problem for problem in found if problem]


async def topic_settings(cluster: Cluster, settings: CommonSettings) -> Findings:
    """Return the findings about the settings of the topics that exist; that no broker tells them is a warning."""
    present = {name: topic for name, topic in zip(_names(settings), TOPICS, strict=True) if cluster.partitions(name)}
    try:
        described = await cluster.settings_of([*present])
    except KafkaError as error:
        return Findings(warned=[f"no broker tells the settings of {', '.join(present)}: {error}"])
    found = {
        topic: Found(cluster.partitions(name), cluster.replicas(name), described.get(name, {}))
        for name, topic in present.items()
    }
    return topic_findings(found, settings)


async def topic_permissions(cluster: Cluster, settings: CommonSettings) -> Findings:
    """Return the findings about the permissions on the topics that may be seen; silence of the brokers is a warning."""
    seen = [name for name in _names(settings) if not cluster.may_not_see(name)]
    try:
        told = await cluster.operations_on(seen)
    except KafkaError as error:
        return Findings(warned=[f"no broker tells what this user may do with {', '.join(seen)}: {error}"])
    by_topic = {Resource(Kind.TOPIC, name): allowed for name, allowed in told.items()}
    return permission_findings(permissions.ingest(settings.kafka_topic_prefix), by_topic)


def _names(settings: CommonSettings) -> list[str]:
    return [topic.name(settings.kafka_topic_prefix) for topic in TOPICS]
