"""
The three programs as the sandbox starts them: commands, environment, and where each says that it is ready.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from sandbox.addresses import Addresses
from sandbox.ports import LOOPBACK
from sandbox.probes import answers_ok
from sandbox.process import Process
from sandbox.settings import SandboxSettings
from streams.program.secret_files import without_files
from streams.program.settings import secret_settings

# A start takes seconds on an idle machine; the limits are for a busy one.
_READY_SECONDS: Final = 120.0
_PREPARED_SECONDS: Final = 60.0
_CONSOLE_NEEDS: Final = ("jinja2", "starlette", "uvicorn")
# The sandbox is for the people of this machine, also when `.env` is that of another place.
_ADDRESSES: Final = (
    *("INGEST_HOST", "INGEST_ADMIN_HOST", "STREAMS_ADMIN_HOST", "SINKS_ADMIN_HOST", "STREAMS_WEB_BIND"),
    *("BACKFILL_ADMIN_HOST", "CONSOLE_HOST", "CONSOLE_ADMIN_HOST"),
)

WRITERS: Final = ("ingest", "backfill")
"""The programs that bring callbacks in: they are stopped first."""


@dataclass(frozen=True, slots=True)
class Program:
    """A long-running command, known to people by `name`; `url` has its pages."""

    name: str
    command: tuple[str, ...]
    url: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def up(self) -> str:
        """Return the page to wait for. A first round of the backfill may take long, and nothing waits for it."""
        return f"{self.url}/{'livez' if self.name == 'backfill' else 'readyz'}"


def programs(addresses: Addresses) -> list[Program]:
    """Return the programs in the order of the data."""
    commands = {
        "ingest": ("routee-ingest", "serve"),
        "streams": ("routee-streams", "worker"),
        "backfill": ("routee-ingest", "backfill", "--watch"),
    }
    return [
        Program(name, commands[name], url) if name in commands else _sink(name, url)
        for name, url in addresses.pages.items()
    ]


def _sink(name: str, url: str) -> Program:
    # Each sink is a program with a port of its own.
    port = {"SINKS_ADMIN_PORT": url.rpartition(":")[2]}
    return Program(name, ("routee-sinks", name.removeprefix("sinks-")), url, port)


def console(addresses: Addresses) -> Program | None:
    """Return the console, None where its extra is not installed."""
    if any(find_spec(name) is None for name in _CONSOLE_NEEDS):
        return None
    beside = {"CONSOLE_PROGRAMS": ",".join(f"{name}={url}" for name, url in addresses.pages.items())}
    return Program("console", ("routee-console", "serve"), addresses.console_pages, beside)


def preparations() -> dict[str, tuple[str, ...]]:
    """Return the commands that have to succeed before the programs start, by name; they need no order."""
    return {"topics": ("routee-streams", "topics", "--alter"), "schema": ("routee-sinks", "schema")}


class Launcher:
    """Turns commands into processes that find this sandbox's Kafka, ClickHouse and folders."""

    def __init__(self, settings: SandboxSettings, addresses: Addresses, logs: Path) -> None:
        self._logs = logs
        self._environment = {
            "SINKS_REFUSED_BODIES": "keep",  # `verify` compares bodies with the sent ones
            **os.environ,
            **_as_environment(settings),
            "KAFKA_BOOTSTRAP_SERVERS": addresses.kafka,
            "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",  # `.env` may name another Kafka
            "CLICKHOUSE_URL": addresses.clickhouse,
            **dict.fromkeys(_ADDRESSES, LOOPBACK),
            "CONSOLE_CLICKHOUSE_USER": settings.clickhouse_user,
            "CONSOLE_CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
            "CONSOLE_READ_API": addresses.streams,
            "STREAMS_DATA_DIR": str(settings.sandbox_dir.absolute() / "streams"),
            "SINKS_FILES_ROOT": str(addresses.files.absolute()),
        }

    def process(self, name: str, command: tuple[str, ...], environment: Mapping[str, str] | None = None) -> Process:
        """Return the command's process, not yet started; its log is named after it."""
        program, *arguments = command
        # Beside this Python, whether or not its folder is on the PATH.
        path = str(Path(sys.executable).with_name(program))
        return Process(
            name, (path, *arguments), self._logs / f"{name}.log", {**self._environment, **(environment or {})}
        )

    def prepare(self) -> None:
        """Run the preparations side by side; StartError quotes what the first to fail has said."""
        running = [self.process(name, command) for name, command in preparations().items()]
        for process in running:
            process.start()
        for process in running:
            process.require_success(_PREPARED_SECONDS)


def _as_environment(settings: SandboxSettings) -> dict[str, str]:
    """Return settings as the variables they are read from: they need not come from our own environment."""
    given = {name.upper(): getattr(settings, name) for name in SandboxSettings.model_fields}
    told = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in given.items()
        if value is not None
    }
    return {**told, **without_files(secret_settings(SandboxSettings))}


def wait_ready(program: Program, process: Process) -> None:
    """Return when the program says that it is ready; StartError with the end of its log otherwise."""
    process.wait_until(lambda: answers_ok(program.up), _READY_SECONDS)
