"""
Rebuilding the state from the records left in `routee.callbacks.raw`, when its changelog is lost or its source replaced.
"""

from kafka import KafkaAdminClient
from kafka.errors import NoError

from streams.admin.topics import connect
from streams.contract import permissions
from streams.contract.topics import (
    CALLBACKS_RAW,
    CAMPAIGN_PARTIALS,
    DELIVERY_PARTIALS,
    DELIVERY_WATCH,
    Topic,
    changelog,
)
from streams.errors import TopicsDifferError, WorkersRunningError
from streams.settings import StreamsSettings


def rebuild(settings: StreamsSettings, *, campaigns: bool = False, deliveries: bool = False) -> list[Topic]:
    """
    Delete the state of the SMS, and if wanted that of campaigns, and that of deliveries with their alarms.

    Return the changelogs made anew.
    Workers then read their sources from the first record left. Raises WorkersRunningError while a worker runs,
    TopicsDifferError before anything is deleted when this user lacks a permission, and the errors of `connect`. After a
    crash in between, call it again.
    """
    sources = {CALLBACKS_RAW: changelog("sms")}
    if campaigns:
        sources[CAMPAIGN_PARTIALS] = changelog("campaigns")
    if deliveries:
        sources[DELIVERY_PARTIALS] = changelog("deliveries")
        sources[DELIVERY_WATCH] = changelog("alarms")
    with connect(settings) as topics:
        if lines := topics.lacking([*sources, *sources.values()], permissions.rebuild(settings.kafka_topic_prefix)):
            raise TopicsDifferError(lines)
        # Offsets first: rows without their committed offsets do no harm, committed offsets without their rows do.
        _forget_offsets(topics.admin, settings, [*sources])
        topics.remake([*sources.values()])
    return [*sources.values()]


def _forget_offsets(admin: KafkaAdminClient, settings: StreamsSettings, sources: list[Topic]) -> None:
    group = settings.group_id
    if admin.describe_groups([group])[group]["members"]:
        raise WorkersRunningError(f"group {group} has members: stop all workers first")
    names = {topic.name(settings.kafka_topic_prefix) for topic in sources}
    known = admin.list_group_offsets({group: None})[group]
    for tp, error in admin.delete_group_offsets(group, [tp for tp in known if tp.topic in names]).items():
        if error is not NoError:
            raise error(f"offset of {tp.topic}[{tp.partition}]")
