"""
Whether containers can be tested on this machine, and with which images.

As a command (`python -m tests.containers.engine`) it exits 0 when they can, else 1 and names the missing part.
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import docker
import yaml
from docker.errors import DockerException, ImageNotFound

ROOT: Final = Path(__file__).parents[2]
DOCKER: Final = ROOT / "docker"
# Slow enough for an engine under load, quick enough to tell that none is there.
_ANSWERS_WITHIN_SECONDS: Final = 30
_VARIABLE: Final = re.compile(r"\$\{(\w+):-([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Images:
    """The images that are needed from outside: the official ones, unless the environment names others."""

    python: str
    kafka: str
    clickhouse: str


def images() -> Images:
    """Return what the Dockerfile and compose.yaml name, under the same variables."""
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))["services"]
    default = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert default
    return Images(
        python=os.environ.get("PYTHON_IMAGE") or default[1],
        kafka=interpolated(services["kafka"]["image"]),
        clickhouse=interpolated(services["clickhouse"]["image"]),
    )


def interpolated(text: str) -> str:
    """Fill in `${NAME:-default}` as Compose does."""
    return _VARIABLE.sub(lambda match: os.environ.get(match[1]) or match[2], text)


def problem() -> str | None:
    """Return why containers can not be tested here, None when they can; images that are not here are pulled."""
    try:
        client = docker.from_env(timeout=_ANSWERS_WITHIN_SECONDS)
    except DockerException as error:
        return f"no container engine answers (start one, or say where it is in DOCKER_HOST): {error}"
    needed = images()
    try:
        for image in (needed.python, needed.kafka, needed.clickhouse):
            try:
                client.images.get(image)
            except ImageNotFound:
                client.images.pull(image)
    except DockerException as error:
        return f"the container engine has not all of {needed}, and can not pull what is missing: {error}"
    finally:
        client.close()
    return None


if __name__ == "__main__":
    if found := problem():
        sys.exit(f"containers are not tested: {found}")
