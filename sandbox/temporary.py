"""
Settings of a sandbox for a while: a folder of its own, free ports, a secret, and nothing left to the environment.
"""

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from sandbox.addresses import FILES_SINK
from sandbox.errors import PortTakenError
from sandbox.ports import free_port, require_free
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

_TRIES: Final = 20


def temporary_settings(folder: Path) -> SandboxSettings:
    """Return settings under which a sandbox runs beside any other on this machine."""
    return load_settings(
        SandboxSettings,
        sandbox_dir=folder,
        sandbox_kafka_port=free_port(),
        sandbox_clickhouse_port=free_port(),
        sandbox_kafka_brokers=1,
        ingest_port=free_port(),
        ingest_admin_port=free_port(),
        streams_admin_port=free_port(),
        ingest_secrets=secrets.token_urlsafe(12),
        streams_web_port=free_port(),
        console_port=free_port(),
        console_admin_port=free_port(),
        sinks_admin_port=_two_free_ports(),
        routee_application_id=None,
        backfill_admin_port=free_port(),
        clickhouse_user="default",
        clickhouse_password="",
        clickhouse_database="routee",
        kafka_topic_prefix="routee.",
        kafka_partitions=4,
        kafka_replication_factor=-1,
    )


def _two_free_ports() -> int:
    """Return a port that is free together with the one of the files sink."""
    for _ in range(_TRIES):
        port = free_port()
        with suppress(PortTakenError, OverflowError):
            require_free({"SINKS_ADMIN_PORT": port, f"SINKS_ADMIN_PORT (+{FILES_SINK})": port + FILES_SINK})
            return port
    raise PortTakenError("no two free ports for the sinks were found on this machine")
