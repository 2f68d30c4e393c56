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
from ingest.kafka.log import cluster_of, no_answer, topic_problems
from ingest.settings import IngestSettings, is_network

_PATIENCE_SECONDS = 5.0


def problems(settings: IngestSettings) -> list[str]:
    """Return a line per problem; none means that callbacks can be stored."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return [*file_problems(vars(settings)), *_host_names(settings), *asyncio.run(_kafka(settings))]


def _host_names(settings: IngestSettings) -> list[str]:
    found = []
    for name in (entry for entry in settings.allowed_networks if not is_network(entry)):
        try:
            socket.getaddrinfo(name, None)
        except OSError as error:
            found.append(f"INGEST_ALLOWED_NETWORKS: {name} cannot be looked up: {error.strerror}")
    return found


async def _kafka(settings: IngestSettings) -> list[str]:
    try:
        cluster = cluster_of(settings, _PATIENCE_SECONDS, SystemClock())
    except KafkaFilesError:  # told with the other files
        return []
    try:
        await cluster.refresh()
    except KafkaError as error:
        return [str(no_answer(settings, error))]
    finally:
        await cluster.close()
    return [problem for problem, _ in topic_problems(cluster, settings)]
