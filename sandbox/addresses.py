"""
Pure: where everything of a sandbox is found.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.ports import LOOPBACK
from sandbox.settings import SandboxSettings

FILES_SINK: Final = 2
"""The port of the files sink, behind the one of the ClickHouse sink: the port between them is that of streams."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """
    Addresses for clients, the demo and tests. `callback_url` holds a secret when one is set.

    `pages` are those of each program by its name: `/livez`, `/readyz`, `/metrics`. `streams` is the read API. The
    console is there only where it is started.
    """

    callback_url: str
    ingest: str
    kafka: str
    clickhouse: str
    streams: str
    console: str
    console_pages: str
    pages: dict[str, str]
    files: Path

    @property
    def shown_callback_url(self) -> str:
        """Return the callback URL with `***` in place of its secret."""
        is_open = self.callback_url == f"{self.ingest}/callbacks"
        return self.callback_url if is_open else f"{self.ingest}/callbacks/***"

    def __str__(self) -> str:
        """Return them in one line, without the secret."""
        parts = {
            "callbacks": self.shown_callback_url,
            "ingest": self.ingest,
            "kafka": self.kafka,
            "clickhouse": self.clickhouse,
            "streams": self.streams,
            **{f"{name}-pages": url for name, url in self.pages.items()},
            "files": str(self.files),
        }
        return " ".join(f"{name}={address}" for name, address in parts.items())


def addresses_of(settings: SandboxSettings) -> Addresses:
    """Return where the programs will be found under these settings."""
    scheme = "https" if settings.ingest_tls_cert else "http"
    ingest = f"{scheme}://{LOOPBACK}:{settings.ingest_port}"
    secret = settings.ingest_secrets.get_secret_value().split(",")[0].strip()
    brokers = range(settings.sandbox_kafka_brokers)
    return Addresses(
        callback_url=f"{ingest}/callbacks/{secret}" if secret else f"{ingest}/callbacks",
        ingest=ingest,
        kafka=",".join(f"{LOOPBACK}:{settings.sandbox_kafka_port + broker}" for broker in brokers),
        clickhouse=f"http://{LOOPBACK}:{settings.sandbox_clickhouse_port}",
        streams=f"http://{LOOPBACK}:{settings.streams_web_port}",
        console=f"http://{LOOPBACK}:{settings.console_port}",
        console_pages=f"http://{LOOPBACK}:{settings.console_admin_port}",
        pages={
            "ingest": f"http://{LOOPBACK}:{settings.ingest_admin_port}",
            "streams": f"http://{LOOPBACK}:{settings.streams_admin_port}",
            "sinks-clickhouse": f"http://{LOOPBACK}:{settings.sinks_admin_port}",
            "sinks-files": f"http://{LOOPBACK}:{settings.sinks_admin_port + FILES_SINK}",
            **(
                {"backfill": f"http://{LOOPBACK}:{settings.backfill_admin_port}"}
                if settings.routee_application_id
                else {}
            ),
        },
        files=settings.sandbox_dir / "files",
    )
