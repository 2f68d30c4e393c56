"""
`routee-ingest check`: names every problem that would keep ingest from storing callbacks, all at once.
"""

import asyncio
import logging
import socket

from aiokafka.errors import KafkaError

from ingest.clock import SystemClock
from ingest.errors import KafkaFilesError
from ingest.files import file_problems
from ingest.kafka.log import cluster_of, no_answer
from ingest.kafka.topics import differing_topics, topic_permissions, topic_settings, unusable_topics
from ingest.settings import IngestSettings, is_network
from streams.program.kafka_problems import Findings

_CHECK_SECONDS = 5.0
_START_SECONDS = 1.5


def problems(settings: IngestSettings) -> Findings:
    """Return a line per problem; none refused means that callbacks can be stored, and stay."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    others = Findings([*file_problems(vars(settings)), *_host_names(settings)])
    return others + asyncio.run(_kafka(settings, _CHECK_SECONDS))


def start_problems(settings: IngestSettings) -> Findings:
    """
    Return a line per problem of the topics, as far as Kafka tells them within moments.

    A running program waits for the unusable ones: a Kafka that does not answer, topics that do not exist, permissions.
    """
    return asyncio.run(_kafka(settings, _START_SECONDS))


def _host_names(settings: IngestSettings) -> list[str]:
    found = []
    for name in (entry for entry in settings.allowed_networks if not is_network(entry)):
        try:
            socket.getaddrinfo(name, None)
        except OSError as error:
            found.append(f"INGEST_ALLOWED_NETWORKS: {name} cannot be looked up: {error.strerror}")
    return found


async def _kafka(settings: IngestSettings, patience_seconds: float) -> Findings:
    """Return the findings about Kafka; that it does not answer is one."""
    try:
        cluster = cluster_of(settings, patience_seconds, SystemClock())
    except KafkaFilesError:  # told with the other files
        return Findings()
    try:
        async with asyncio.timeout(2 * patience_seconds):
            await cluster.refresh()
            found = await topic_permissions(cluster, settings) + await topic_settings(cluster, settings)
    except (KafkaError, TimeoutError) as error:
        return Findings([str(no_answer(settings, error))])
    finally:
        await cluster.close()
    return Findings(unusable_topics(cluster, settings), differing_topics(cluster, settings)) + found
