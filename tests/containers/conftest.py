"""
The image and the stack that the tests of containers share, and the figures they report at the end.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from testcontainers.core.config import testcontainers_config
from testcontainers.core.image import DockerImage

from tests.containers.engine import ROOT, Images, images, problem
from tests.containers.project import Project
from tests.containers.stack import Stack

# Reads `env_file` with `required`, `!reset` and `!override`.
_OLDEST_COMPOSE: Final = (2, 24)
_FIGURES: Final = pytest.StashKey[dict[str, str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures that the tests took."""
    figures = config.stash.get(_FIGURES, {})
    if figures:
        terminalreporter.section("figures of the containers")
        for name, value in figures.items():
            terminalreporter.line(f"{name}: {value}")


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> dict[str, str]:
    """Give the dictionary of figures to report at the end, by name."""
    return pytestconfig.stash.setdefault(_FIGURES, {})


@pytest.fixture(scope="session")
def official() -> Images:
    """Give the images from outside, on a machine where containers run; elsewhere the test is skipped, or fails."""
    if not os.environ.get("TEST_CONTAINERS"):
        pytest.skip("needs a container engine, three images and minutes: run `make test-containers`")
    if found := problem():
        pytest.fail(found)
    # Every container is removed by the fixture that made it; the reaper would be one more image to have.
    testcontainers_config.ryuk_disabled = True
    return images()


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Give a copy of the sources of the image, which does not change with the checkout.

    Only the owner may read its programs, as in a checkout that was made with the umask 077.
    """
    copy = tmp_path_factory.mktemp("sources")
    for name in ("console", "docker", "ingest", "sandbox", "sinks", "streams"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".env", "secrets"))
    for name in (".dockerignore", "LICENSE", "README.md", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, copy / name)
    for file in (*copy.rglob("*.py"), *copy.rglob("*.sql")):
        file.chmod(0o600)
    return copy


@pytest.fixture(scope="session")
def image(official: Images, sources: Path, figures: dict[str, str]) -> str:
    """Give the name of the project's image, built from this checkout; it stays, for the next build to be quick."""
    began = time.monotonic()
    tag = "routee-callbacks:test"
    built = DockerImage(
        sources,
        tag=tag,
        clean_up=False,
        dockerfile_path="docker/Dockerfile",
        rm=True,
        buildargs={"PYTHON_IMAGE": official.python},
    )
    with built:
        figures["image built"] = f"in {time.monotonic() - began:.1f} s"
    return tag


@pytest.fixture(scope="session")
def compose(official: Images) -> str:  # noqa: ARG001 - where no engine is, Compose is of no use
    """Give the command's name when it is there and new enough to read the files."""
    asked = subprocess.run(["docker", "compose", "version", "--short"], capture_output=True, text=True, check=False)
    version = tuple(int(part) for part in asked.stdout.strip().removeprefix("v").split(".")[:2] if part.isdigit())
    if version < _OLDEST_COMPOSE:
        pytest.skip("needs `docker compose` 2.24 or later")
    return "docker compose"


@pytest.fixture
def project(compose: str, sources: Path, image: str, official: Images, tmp_path: Path) -> Iterator[Project]:  # noqa: ARG001
    """Give a shell in a copy of `docker/`; what Compose has started there is removed at the end."""
    shutil.copytree(sources, tmp_path / "project")
    with Project(tmp_path / "project" / "docker", image, official) as opened:
        yield opened


@pytest.fixture(scope="session")
def stack(image: str, official: Images, figures: dict[str, str]) -> Iterator[Stack]:
    """Give Kafka, ClickHouse and the four programs as containers."""
    began = time.monotonic()
    with Stack(image, official) as running:
        figures["everything up"] = f"after {time.monotonic() - began:.1f} s"
        yield running
