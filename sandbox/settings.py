"""
The settings of the sandbox: its own, and those of the programs whose ports and names it has to know.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator

from streams.program.certificates import pair_problems
from streams.program.settings import CommonSettings


class SandboxSettings(CommonSettings):
    """
    The settings of `routee-sandbox`.

    Every other variable reaches the programs unchanged; the sandbox itself sets where they find Kafka, ClickHouse and
    their folders, and that they listen on the loopback interface alone (`sandbox.programs`).
    """

    sandbox_dir: Path = Field(Path(".sandbox"), description="All state and logs; found again at the next start.")
    sandbox_kafka_port: int = Field(
        9092, ge=1, le=65533, description="The first broker's port; further brokers take the ones after it."
    )
    sandbox_clickhouse_port: int = Field(8123, ge=1, le=65535, description="ClickHouse's HTTP port.")
    sandbox_kafka_brokers: int = Field(
        1, description="1, or 3: replicated topics with min.insync.replicas 2, as production has them."
    )
    ingest_port: int = Field(8080, ge=1, le=65535, description="Port ingest listens on.")
    ingest_admin_port: int = Field(9101, ge=1, le=65535, description="Port of ingest's pages.")
    ingest_secrets: SecretStr = Field(SecretStr(""), description="Path secrets; the first is used to send callbacks.")
    ingest_tls_cert: str | None = Field(None, description="PEM file; with it, ingest is found at https.")
    ingest_tls_key: str | None = Field(None, description="PEM file with its private key.")
    streams_admin_port: int = Field(9103, ge=1, le=65535, description="Port of streams' pages.")
    streams_web_port: int = Field(6066, ge=1, le=65535, description="Port of streams' read API.")
    sinks_admin_port: int = Field(
        9102, ge=1, le=65533, description="Port of the ClickHouse sink's pages; the files sink takes the second next."
    )
    routee_application_id: str | None = Field(
        None, description="The application at Routee; where it is set, a backfill runs, too."
    )
    backfill_admin_port: int = Field(9105, ge=1, le=65535, description="Port of the backfill's pages.")
    console_port: int = Field(8090, ge=1, le=65535, description="Port of the console's pages.")
    console_admin_port: int = Field(9106, ge=1, le=65535, description="Port of its /livez, /readyz and /metrics.")
    clickhouse_user: str = Field("default", description="The one user of the sandbox's ClickHouse.")
    clickhouse_password: SecretStr = Field(SecretStr(""), description="That user's password.")
    clickhouse_database: str = Field("routee", description="The database with the tables and views.")

    @field_validator("sandbox_kafka_brokers")
    @classmethod
    def _one_broker_or_three(cls, value: int) -> int:
        # Of two, neither could be missed: both have to acknowledge a record, and both to elect a leader.
        if value not in {1, 3}:
            raise ValueError("1 or 3 is expected")
        return value


def file_problems(named: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each file that cannot be used; `named` has the settings that are valid, by name."""
    yield from pair_problems(named, "ingest_tls_cert", "ingest_tls_key")
