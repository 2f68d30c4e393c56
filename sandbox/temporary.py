"""
Settings of a sandbox for a while: a folder of its own, free ports, a secret, and nothing left to the environment.
"""

import secrets
from pathlib import Path
from typing import Any, Final

from sandbox.addresses import FILES_SINK
from sandbox.ports import free_port
from sandbox.settings import SandboxSettings
from streams.program.settings import load_settings

RULES: Final = {
    "SINKS_REFUSED_BODIES": "keep",
    "STREAMS_CONFLICTING_FINALS": "latest",
    "STREAMS_MESSAGE_TEXT": "keep",
    "STREAMS_MASK_TEXTS": "off",
    "STREAMS_RECIPIENT": "keep",
    "STREAMS_STATE_RETENTION_HOURS": "192",
}
"""Variables that have to be set like this where the programs start: what a ledger expects rests on them."""

_PORTS: Final = (
    "sandbox_kafka_port", "sandbox_clickhouse_port", "ingest_port", "ingest_admin_port", "streams_admin_port",
    "streams_web_port", "console_port", "console_admin_port", "backfill_admin_port", "sinks_admin_port",
)  # fmt: skip
"""The settings of ports; the files sink takes a later one after the last."""


def temporary_settings(folder: Path) -> SandboxSettings:
    """Return settings under which a sandbox runs beside any other on this machine."""
    first = free_port(together=len(_PORTS) + FILES_SINK)
    ports: dict[str, Any] = {name: first + place for place, name in enumerate(_PORTS)}
    return load_settings(
        SandboxSettings,
        **ports,
        sandbox_dir=folder,
        sandbox_kafka_brokers=1,
        ingest_secrets=secrets.token_urlsafe(12),
        routee_application_id=None,
        clickhouse_user="default",
        clickhouse_password="",
        clickhouse_database="routee",
        kafka_topic_prefix="routee.",
        kafka_partitions=4,
        kafka_replication_factor=-1,
    )
