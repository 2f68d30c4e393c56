"""
The settings of the topics that the sinks read and write.
"""

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from sinks.kafka.client import silent
from sinks.tables import TABLE_OF
from streams.contract.topics import SINKS_REJECTED
from streams.program.brokers import UnusableFilesError, client_options
from streams.program.found_topics import found_topics
from streams.program.kafka_problems import Findings, topic_findings
from streams.program.settings import CommonSettings

_BOOTSTRAP_MS = 2_000
_REQUEST_MS = 5_000


def topic_settings(settings: CommonSettings) -> Findings:
    """Return the findings about the settings of the topics that exist; none when Kafka does not answer."""
    try:
        options = client_options(settings)
        with silent("kafka"):
            admin = KafkaAdminClient(bootstrap_timeout_ms=_BOOTSTRAP_MS, request_timeout_ms=_REQUEST_MS, **options)
    except (KafkaError, OSError, UnusableFilesError):
        return Findings()
    try:
        return _findings(admin, settings)
    except KafkaError as error:
        return Findings(warned=[f"Kafka does not tell the settings of the topics: {error!r}"])
    finally:
        admin.close()


def _findings(admin: KafkaAdminClient, settings: CommonSettings) -> Findings:
    named = {topic.name(settings.kafka_topic_prefix): topic for topic in (*TABLE_OF, SINKS_REJECTED)}
    existing = set(admin.list_topics())
    found = found_topics(admin, [name for name in named if name in existing])
    return topic_findings({named[name]: topic for name, topic in found.items()}, settings)
