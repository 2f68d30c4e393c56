"""
The topics that the sinks read and write, their settings, and the permissions of their user.
"""

from collections.abc import Collection
from typing import Final

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from sinks.kafka.client import connected, silent
from sinks.tables import TABLE_OF
from streams.contract.permissions import Kind, Need, Permission, sinks
from streams.contract.topics import CALLBACKS_RAW, ERASURES, SINKS_REJECTED, Topic
from streams.program.kafka_look import look
from streams.program.kafka_problems import Findings, failed_request
from streams.program.settings import CommonSettings

_BOOTSTRAP_MS: Final = 5_000
_REQUEST_MS: Final = 5_000


def kafka_findings(
    settings: CommonSettings, group: str | None = None, topics: Collection[Topic] = tuple(TABLE_OF)
) -> Findings:
    """
    Return the findings about the topics of these tables, and the permissions of a user with this group, or with all.

    ConnectError when no broker answers.
    """
    admin = connected(KafkaAdminClient, settings, bootstrap_timeout_ms=_BOOTSTRAP_MS, request_timeout_ms=_REQUEST_MS)
    try:
        with silent("kafka"):
            return look(admin, (*topics, SINKS_REJECTED, ERASURES), _permissions(settings, group, topics), settings)
    except KafkaError as error:
        return Findings(warned=[failed_request(settings, error)])
    finally:
        admin.close()


def _permissions(settings: CommonSettings, group: str | None, topics: Collection[Topic]) -> list[Permission]:
    of_archive = {Need.ARCHIVE: Need.ALWAYS} if CALLBACKS_RAW in topics else {}
    needed = [
        one._replace(need=of_archive.get(one.need, one.need))
        for one in sinks(settings.kafka_topic_prefix)
        if one.need is not Need.ARCHIVE or of_archive
    ]
    return [one for one in needed if one.resource.kind is not Kind.GROUP or group in {None, one.resource.name}]
