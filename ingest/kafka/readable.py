"""
Topics that a command is to read: whether they are there, and whether this user may.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from aiokafka.errors import KafkaError

from ingest.clock import Clock
from ingest.errors import KafkaFilesError
from ingest.kafka.cluster import Cluster
from ingest.kafka.log import cluster_of, no_answer
from streams.contract.permissions import Kind, Operation, Permission, Resource
from streams.contract.topics import Topic
from streams.program.kafka_problems import missing_topic, permission_findings, topic_problem, wrong_partition_count
from streams.program.settings import CommonSettings

_PATIENCE_SECONDS: Final = 5.0


async def reading_problems(
    settings: CommonSettings, topics: Sequence[Topic], permissions: Sequence[Permission], clock: Clock
) -> str:
    """Return a line for each thing that keeps the topics from being read; empty when nothing does."""
    try:
        cluster = cluster_of(settings, _PATIENCE_SECONDS, clock, topics)
    except KafkaFilesError as error:
        return str(error)
    try:
        async with asyncio.timeout(2 * _PATIENCE_SECONDS):
            await cluster.refresh()
            told = await cluster.operations_on([topic.name(settings.kafka_topic_prefix) for topic in topics])
    except (KafkaError, TimeoutError) as error:
        return str(no_answer(settings, error))
    finally:
        await cluster.close()
    return "\n".join([*_differing(cluster, settings, topics), *_lacking(cluster, permissions, told)])


def _differing(cluster: Cluster, settings: CommonSettings, topics: Sequence[Topic]) -> Iterator[str]:
    """Yield a line for each topic that does not exist, or has another number of partitions."""
    for topic in topics:
        name = topic.name(settings.kafka_topic_prefix)
        partitions = cluster.partitions(name)
        if cluster.may_not_see(name):
            continue
        if not partitions:
            yield missing_topic(name)
        elif topic.partitions not in (None, partitions):
            yield wrong_partition_count(name, partitions, topic.partitions or 0)
        elif topic.partitions is None and (problem := topic_problem(name, partitions, settings)):
            yield problem


def _lacking(
    cluster: Cluster, permissions: Sequence[Permission], told: Mapping[str, AbstractSet[Operation] | None]
) -> list[str]:
    """Return a line for each topic that exists, for all that is known, and that this user may not read."""
    there = {name: allowed for name, allowed in told.items() if cluster.partitions(name) or cluster.may_not_see(name)}
    return permission_findings(permissions, {Resource(Kind.TOPIC, name): there[name] for name in there}).unusable
