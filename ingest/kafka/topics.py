"""
The topics that ingest writes to, as the brokers have them, and their problems.
"""

from typing import Final

from aiokafka.errors import KafkaError

from ingest.kafka.cluster import Cluster
from ingest.settings import IngestSettings
from streams.contract.topics import CALLBACKS_RAW, CALLBACKS_REJECTED, Found
from streams.program.kafka_problems import Findings, topic_findings

TOPICS: Final = (CALLBACKS_RAW, CALLBACKS_REJECTED)
"""The topics that ingest writes to."""


def unusable_topics(cluster: Cluster, settings: IngestSettings) -> list[str]:
    """Return a phrase per topic that this user cannot see, or that does not exist: the next moment may bring it."""
    problems = []
    for name in _names(settings):
        if cluster.may_not_see(name):
            problems.append(f"topic {name} may not be seen by this user: grant Describe and Write")
        elif not cluster.partitions(name):
            problems.append(f"topic {name} does not exist (routee-streams topics creates it)")
    return problems


def differing_topics(cluster: Cluster, settings: IngestSettings) -> list[str]:
    """Return a phrase per topic with another partition count than the settings say: keys would change partitions."""
    counts = {name: cluster.partitions(name) for name in _names(settings)}
    return [
        f"topic {name} has {count} partitions, KAFKA_PARTITIONS says {settings.kafka_partitions}"
        for name, count in counts.items()
        if count and count != settings.kafka_partitions
    ]


async def topic_settings(cluster: Cluster, settings: IngestSettings) -> Findings:
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


def _names(settings: IngestSettings) -> list[str]:
    return [topic.name(settings.kafka_topic_prefix) for topic in TOPICS]
