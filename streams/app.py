"""
Where topics, tables, stages and agents meet.
"""

import os
import socket
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

from aiokafka.partitioner import murmur2
from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT
from yarl import URL

from streams.admin.group import member_shares
from streams.agents import add_agents
from streams.contract.topics import (
    CALLBACKS_RAW,
    CAMPAIGN_PARTIALS,
    CAMPAIGN_PROGRESS,
    SMS_STATUS,
    Topic,
    changelog,
)
from streams.domain.stage import Output, Stage
from streams.program.brokers import client_options, ssl_context
from streams.runtime.app import CheckpointedApp
from streams.runtime.table import CheckpointedTable
from streams.settings import StreamsSettings
from streams.state.checkpoint import OnFlush, OnStep, Route, Spec, no_flush, no_step
from streams.state.store.rocks import RocksMemory, RocksStore
from streams.state.store.stores import MemoryStore, Store
from streams.state.store.write_behind import WriteBehind
from streams.state.succession.shares import Shares

_COMMIT_SECONDS: Final = 1.0

_PARTIAL_SECONDS: Final = 0.25
"""
Counts of a campaign leave a source partition at most this often: progress is not told more often than once per
STREAMS_PROGRESS_MS anyway.
"""


class StreamsApp(CheckpointedApp):
    """The app of a worker, with its two tables at hand, and where records of each topic go."""

    sms: CheckpointedTable
    campaigns: CheckpointedTable
    route: Route


def build_app(  # noqa: PLR0913 - everything meets here, once
    settings: StreamsSettings,
    folder: Path,
    ids: Mapping[Topic, str],
    stages: tuple[Stage, Stage],
    *,
    on_step: OnStep = no_step,
    on_flush: OnFlush = no_flush,
) -> StreamsApp:
    """
    Return the app of one worker, not started.

    `folder` is for local state, this worker's alone. `ids` are those that Kafka gave the topics: a table's folder is
    named by its changelog's, so that one which was made anew, or is another cluster's, begins with an empty folder.
    `stages` are those of the SMS and of the campaigns.
    """
    app = StreamsApp(
        settings.group_id,
        reader_options=client_options(settings),
        shares=partial(_shares, settings),
        stands_by=settings.streams_standby == "on",
        datadir=folder,
        **_faust_options(settings),
    )
    sms_stage, campaign_stage = stages
    skip_expired = settings.streams_expired_source == "skip"
    progress_seconds = settings.streams_progress_ms / 1000
    specs = (
        Spec(
            "sms",
            sms_stage,
            source=CALLBACKS_RAW,
            source_id=ids[CALLBACKS_RAW],
            exclusive=frozenset({SMS_STATUS}),
            bundled=frozenset({CAMPAIGN_PARTIALS}),
            summary_seconds=min(_PARTIAL_SECONDS, progress_seconds),
            counted_by=CAMPAIGN_PARTIALS,
            skip_expired=skip_expired,
        ),
        Spec(
            "campaigns",
            campaign_stage,
            source=CAMPAIGN_PARTIALS,
            source_id=ids[CAMPAIGN_PARTIALS],
            exclusive=frozenset({CAMPAIGN_PROGRESS}),
            summary_seconds=progress_seconds,
            skip_expired=skip_expired,
        ),
    )
    memory = RocksMemory()
    app.route = _route(settings)
    app.sms, app.campaigns = (
        app.add_table(
            CheckpointedTable(
                app,
                spec,
                prefix=settings.kafka_topic_prefix,
                store=_store(settings, folder / f"{spec.name}-{ids[changelog(spec.name)]}", memory),
                route=app.route,
                ownership=app.ownership,
                flush_seconds=settings.streams_flush_ms / 1000,
                on_step=on_step,
                on_flush=on_flush,
                partitions=settings.kafka_partitions,
            )
        )
        for spec in specs
    )
    add_agents(app, app.sms, app.campaigns)
    return app


def _faust_options(settings: StreamsSettings) -> dict[str, Any]:
    host = settings.streams_web_host or socket.gethostname()
    return {
        "broker": [URL(f"kafka://{server}") for server in settings.bootstrap_servers],
        "broker_client_id": f"routee-streams-{socket.gethostname()}-{os.getpid()}",
        "broker_credentials": _credentials(settings),
        "broker_commit_interval": _COMMIT_SECONDS,
        "consumer_group_instance_id": settings.streams_instance_id,
        "canonical_url": URL(f"http://{host}:{settings.streams_web_port}"),
        "topic_partitions": settings.kafka_partitions,
        "store": "memory://",  # the tables bring their own stores
        "web_enabled": False,
    }


def _shares(settings: StreamsSettings) -> Shares:
    """Return who has which partitions; a static member is given what it had, and need not know."""
    return {} if settings.streams_instance_id else member_shares(settings)


def _credentials(settings: StreamsSettings) -> CredentialsT | None:
    context = ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        return SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def _store(settings: StreamsSettings, folder: Path, memory: RocksMemory) -> Store:
    return MemoryStore() if settings.streams_store == "memory" else WriteBehind(RocksStore(folder, memory))


def _route(settings: StreamsSettings) -> Route:
    """Partials go to the partition of their campaign, everything else stays in the partition of its source."""
    partitions = settings.kafka_partitions

    @lru_cache(maxsize=10_000)
    def of_key(key: bytes) -> int:
        return int(murmur2(key) & 0x7FFFFFFF) % partitions

    def partition(output: Output, source: int) -> int:
        return of_key(output.key or b"") if output.topic is CAMPAIGN_PARTIALS else source

    def name(topic: Topic) -> str:
        return topic.name(settings.kafka_topic_prefix)

    return Route(name, partition)
