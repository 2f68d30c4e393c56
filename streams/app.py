"""
Builds the app of a worker from topics, tables, stages and agents.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple

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
    DELIVERY_ALARMS,
    DELIVERY_PARTIALS,
    DELIVERY_WATCH,
    DELIVERY_WINDOWS,
    ERASURES,
    SMS_STATUS,
    WATCHED_PARTITION,
    Topic,
    changelog,
)
from streams.domain.campaign_stage import CAMPAIGN_PREFIX
from streams.domain.cells import CELL_PREFIX
from streams.domain.counts import COUNTS_PREFIX
from streams.domain.erasing import KnownErasures
from streams.domain.stage import Erasing, Output, Stage
from streams.errors import Die, die
from streams.program.brokers import client_options, ssl_context
from streams.program.listening import is_loopback
from streams.runtime import private_names
from streams.runtime.app import CheckpointedApp
from streams.runtime.table import CheckpointedTable
from streams.settings import StreamsSettings
from streams.state.changelog.batches import Batches
from streams.state.checkpoint import Checkpointer, OnFlush, OnStep, Routing, Spec, no_flush, no_step
from streams.state.guards import ALL_GUARDS, Guards
from streams.state.store.rocks import RocksMemory, RocksStore
from streams.state.store.stores import MemoryStore, Store
from streams.state.store.write_behind import WriteBehind
from streams.state.succession.shares import Shares
from streams.state.turns import Turns

_COMMIT_SECONDS: Final = 1.0

_PARTIAL_SECONDS: Final = 0.25
"""
A source partition sends partial counts of a campaign at most once in this time: progress is published only once per
STREAMS_PROGRESS_MS anyway.
"""


_PARTIAL_OF_DELIVERY: Final = 0.25
"""The same of a cell, as a share of STREAMS_DELIVERY_MS."""


class StreamsApp(CheckpointedApp):
    """The app of a worker, with its four tables and the routing of its outputs."""

    sms: CheckpointedTable
    campaigns: CheckpointedTable
    deliveries: CheckpointedTable
    alarms: CheckpointedTable
    routing: Routing
    turns: Turns


class Stages(NamedTuple):
    """The rules of each table."""

    sms: Stage
    campaigns: Stage
    deliveries: Stage
    alarms: Stage


@dataclass(frozen=True)
class Hooks:
    """Callbacks for flushes and for the end of the process, and the guards; tests pass their own."""

    on_step: OnStep = no_step
    on_flush: OnFlush = no_flush
    die: Die = die
    guards: Guards = ALL_GUARDS


def build_app(
    settings: StreamsSettings,
    folder: Path,
    ids: Mapping[Topic, str],
    stages: Stages,
    hooks: Hooks | None = None,
) -> StreamsApp:
    """
    Return the app of one worker, not started.

    `folder` is for local state, and this worker alone uses it. `ids` are Kafka's topic ids: a table's folder is named
    by the id of its changelog, so that a changelog made anew, or in another cluster, begins with an empty folder.
    """
    hooks = hooks or Hooks()
    erasures = KnownErasures(settings.erasure_marks, settings.streams_delivery_cells)
    app = StreamsApp(
        settings.group_id,
        erasures=erasures,
        erasures_topic=ERASURES.name(settings.kafka_topic_prefix),
        reader_options=client_options(settings),
        shares=partial(_shares, settings),
        stands_by=settings.streams_standby == "on",
        die=hooks.die,
        guards=hooks.guards,
        datadir=folder,
        **_faust_options(settings),
    )
    app.routing = _routing(settings)
    app.turns = Turns()
    memory = RocksMemory()

    def table(spec: Spec) -> CheckpointedTable:
        store = _store(settings, folder / f"{spec.name}-{ids[changelog(spec.name)]}", memory)
        return app.add_table(
            CheckpointedTable(
                app,
                _checkpointer(app, spec, store, hooks),
                flush_seconds=settings.streams_flush_ms / 1000,
                partitions=settings.kafka_partitions,
            )
        )

    app.sms, app.campaigns, app.deliveries, app.alarms = map(table, _specs(settings, ids, stages, erasures))
    add_agents(app, app.sms, app.campaigns, app.deliveries, app.alarms)
    return app


def _specs(
    settings: StreamsSettings, ids: Mapping[Topic, str], stages: Stages, erasing: Erasing | None = None
) -> tuple[Spec, Spec, Spec, Spec]:
    """Return the specs of the tables of SMS, campaigns, deliveries and alarms."""
    skip_expired = settings.streams_expired_source == "skip"
    progress_seconds, delivery_seconds = settings.streams_progress_ms / 1000, settings.streams_delivery_ms / 1000
    sms = Spec(
        "sms",
        stages.sms,
        source=CALLBACKS_RAW,
        source_id=ids[CALLBACKS_RAW],
        partitions=settings.kafka_partitions,
        exclusive=frozenset({SMS_STATUS}),
        bundled=frozenset({CAMPAIGN_PARTIALS, DELIVERY_PARTIALS}),
        summary_seconds={
            COUNTS_PREFIX: min(_PARTIAL_SECONDS, progress_seconds),
            CELL_PREFIX: delivery_seconds * _PARTIAL_OF_DELIVERY,
        },
        # SMS give out a number with each record of a new message, and none of its callbacks may be left.
        counted_by=(CAMPAIGN_PARTIALS, SMS_STATUS),
        erasing=erasing,
        skip_expired=skip_expired,
    )
    campaigns = Spec(
        "campaigns",
        stages.campaigns,
        source=CAMPAIGN_PARTIALS,
        source_id=ids[CAMPAIGN_PARTIALS],
        partitions=settings.kafka_partitions,
        exclusive=frozenset({CAMPAIGN_PROGRESS}),
        bundled=frozenset({DELIVERY_WATCH}),
        summary_seconds={CAMPAIGN_PREFIX: progress_seconds},
        counted_by=(CAMPAIGN_PROGRESS,),
        skip_expired=skip_expired,
    )
    deliveries = Spec(
        "deliveries",
        stages.deliveries,
        source=DELIVERY_PARTIALS,
        source_id=ids[DELIVERY_PARTIALS],
        partitions=settings.kafka_partitions,
        exclusive=frozenset({DELIVERY_WINDOWS}),
        bundled=frozenset({DELIVERY_WATCH}),
        summary_seconds={CELL_PREFIX: delivery_seconds},
        counted_by=(DELIVERY_WINDOWS,),
        skip_expired=skip_expired,
    )
    alarms = Spec(
        "alarms",
        stages.alarms,
        source=DELIVERY_WATCH,
        source_id=ids[DELIVERY_WATCH],
        partitions=settings.kafka_partitions,
        exclusive=frozenset({DELIVERY_ALARMS}),
        counted_by=(DELIVERY_ALARMS,),
        skip_expired=skip_expired,
    )
    return sms, campaigns, deliveries, alarms


def _checkpointer(app: StreamsApp, spec: Spec, store: Store, hooks: Hooks) -> Checkpointer:
    return Checkpointer(
        spec,
        changelog=app.routing.name(changelog(spec.name)),
        store=store,
        batches=lambda: Batches(private_names.kafka_producer(app), app.turns, hooks.guards),
        routing=app.routing,
        check=app.pulse.check,
        die=hooks.die,
        guards=hooks.guards,
        on_step=hooks.on_step,
        on_flush=hooks.on_flush,
        turns=app.turns,
    )


def _faust_options(settings: StreamsSettings) -> dict[str, Any]:
    bind = settings.streams_web_bind
    # The host's name need not lead to a loopback address.
    host = settings.streams_web_host or (bind if is_loopback(bind) else socket.gethostname())
    return {
        "broker": [URL(f"kafka://{server}") for server in settings.bootstrap_servers],
        "broker_client_id": f"routee-streams-{socket.gethostname()}-{os.getpid()}",
        "broker_credentials": _credentials(settings),
        "broker_commit_interval": _COMMIT_SECONDS,
        "consumer_group_instance_id": settings.streams_instance_id,
        "canonical_url": URL.build(scheme="http", host=host, port=settings.streams_web_port),
        "topic_partitions": settings.kafka_partitions,
        "store": "memory://",  # the tables bring their own stores
        "web_enabled": False,
    }


def _shares(settings: StreamsSettings) -> Shares:
    """Return the partitions of each member; none for a static member: it keeps its partitions and need not know."""
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


def _routing(settings: StreamsSettings) -> Routing:
    """Route partial counts by their key, what the alarms read to one partition, all others to that of their source."""
    partitions = settings.kafka_partitions

    @lru_cache(maxsize=10_000)
    def of_key(key: bytes) -> int:
        return int(murmur2(key) & 0x7FFFFFFF) % partitions

    def partition(output: Output, source: int) -> int:
        if output.topic is DELIVERY_WATCH:
            return WATCHED_PARTITION
        is_by_key = output.topic is CAMPAIGN_PARTIALS or output.topic is DELIVERY_PARTIALS
        return of_key(output.key or b"") if is_by_key else source

    def name(topic: Topic) -> str:
        return topic.name(settings.kafka_topic_prefix)

    return Routing(name, partition)
