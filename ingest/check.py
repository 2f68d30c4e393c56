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
from ingest.kafka.topics import differing_topics, topic_settings, unusable_topics
from ingest.settings import IngestSettings, is_network, warnings
from streams.program.kafka_problems import Findings

_CHECK_SECONDS = 5.0
_START_SECONDS = 1.5


def problems(settings: IngestSettings) -> Findings:
    """Return a line per problem; none refused means that callbacks can be stored, and stay."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    away, found = asyncio.run(_kafka(settings, _CHECK_SECONDS))
    others = [*file_problems(vars(settings)), *_host_names(settings)]
    return Findings([*others, *away, *found.refused], [*warnings(settings), *found.warned])


def start_problems(settings: IngestSettings) -> Findings:
    """
    Return a line per problem of the topics, as far as Kafka tells them within moments.

    A running program waits for a Kafka that does not answer, and for topics that do not exist.
    """
    _, found = asyncio.run(_kafka(settings, _START_SECONDS))
    return found


def _host_names(settings: IngestSettings) -> list[str]:
    found = []
    for name in (entry for entry in settings.allowed_networks if not is_network(entry)):
        try:
            socket.getaddrinfo(name, None)
        except OSError as error:
            found.append(f"INGEST_ALLOWED_NETWORKS: {name} cannot be looked up: {error.strerror}")
    return found


async def _kafka(settings: IngestSettings, patience_seconds: float) -> tuple[list[str], Findings]:
    """Return why topics cannot be reached, and the findings about the others."""
    try:
        cluster = cluster_of(settings, patience_seconds, SystemClock())
    except KafkaFilesError:  # told with the other files
        return [], Findings()
    try:
        async with asyncio.timeout(2 * patience_seconds):
            await cluster.refresh()
            found = await topic_settings(cluster, settings)
    except (KafkaError, TimeoutError) as error:
        return [str(no_answer(settings, error))], Findings()
    finally:
        await cluster.close()
    refused = [*differing_topics(cluster, settings), *found.refused]
    return unusable_topics(cluster, settings), Findings(refused, found.warned)
