"""
A shell in a folder like `docker/`, for starting the pipeline by Docker Compose.
"""

import os
import secrets
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sandbox.ports import free_port
from tests.containers.engine import Images

_SECONDS: Final = 240


class Project:
    """
    Runs scripts in that folder, as a context manager; at its end the containers and volumes are removed.

    Its name is one of its own, so that no other pipeline on this machine is touched. `ingest` is where callbacks are
    taken (of two, the first) and `clickhouse` where ClickHouse answers: host and port.
    """

    def __init__(self, folder: Path, image: str, images: Images) -> None:
        self._folder = folder
        first, clickhouse, console = free_port(2), free_port(), free_port()
        self._ports = first, clickhouse
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": f"routee-test-{secrets.token_hex(4)}",
            "COMPOSE_PROGRESS": "quiet",
            "ROUTEE_IMAGE": image,
            "KAFKA_IMAGE": images.kafka,
            "CLICKHOUSE_IMAGE": images.clickhouse,
            "INGEST_PUBLISHED": f"127.0.0.1:{first}",
            "CLICKHOUSE_PUBLISHED_PORT": str(clickhouse),
            "CONSOLE_PUBLISHED": f"127.0.0.1:{console}",
        }
        self.ingest = f"127.0.0.1:{first}"
        self.clickhouse = f"127.0.0.1:{clickhouse}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run("[ -e .env ] || ./secrets.sh; docker compose down --volumes --timeout 20 --remove-orphans")

    def secret(self, name: str) -> str:
        """Return one of the secrets that `secrets.sh` made."""
        return (self._folder / "secrets" / name).read_text(encoding="ascii")

    def reaches(self, service: str, address: str, port: int) -> bool:
        """Return whether a container of one service can open a connection to an address."""
        probe = f"import socket; socket.create_connection(('{address}', {port}), 3)"
        return not self._bash(f'docker compose exec --no-TTY {service} python -c "{probe}"').returncode

    def addresses(self, service: str) -> list[str]:
        """Return the addresses of a service's container on all its networks."""
        each = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        return self.run(f"docker inspect --format '{each}' $(docker compose ps --quiet {service})").split()

    def set(self, **settings: str) -> None:
        """Set variables for all that is run from now on."""
        self._environment.update(settings)

    def both_ingests(self) -> str:
        """Return the two addresses on which two of them are published."""
        return f"127.0.0.1:{self._ports[0]}-{self._ports[0] + 1}"

    def run(self, script: str) -> str:
        """Run a script, which has to succeed, and return what it printed."""
        done = self._bash(script)
        if done.returncode:
            state = self._bash("docker compose ps --all; docker compose logs --no-color --tail 15")
            raise AssertionError(f"{script}\n{done.stdout}{done.stderr}\n{state.stdout}")
        return done.stdout

    def fails(self, script: str) -> str:
        """Run a script, which has to fail, and return what it said about that."""
        done = self._bash(script)
        assert done.returncode, f"{script}\n{done.stdout}"
        return done.stderr

    def _bash(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
