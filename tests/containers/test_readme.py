"""
The commands of docker/README.md, run as they stand.
"""

from typing import Final

import pytest

from tests.containers.engine import DOCKER
from tests.containers.project import Project
from tests.e2e.markdown import blocks
from tests.support.wait import eventually

_README: Final = DOCKER / "README.md"
_START: Final = "The pipeline as containers"
_UPGRADE: Final = "Upgrade without losing a callback"


def steps() -> list[str]:
    """The README's commands in order: start, send, look, break, stop."""
    (block,) = blocks(_README, _START, "sh")
    return block.split("\n\n")


def upgrade() -> str:
    """The README's commands for an upgrade, without the build: the image is there, under the name in ROUTEE_IMAGE."""
    (block,) = blocks(_README, _UPGRADE, "sh")
    build, *rest = block.splitlines()
    assert build.startswith("docker compose build ")
    return "\n".join(rest)


def here(project: Project, step: str) -> str:
    """The same step for a machine on which the usual ports may be taken."""
    published = {
        "127.0.0.1:8080": project.ingest,
        "127.0.0.1:8123": project.clickhouse,
        "127.0.0.1:8443": project.clickhouse,
    }
    for usual, own in published.items():
        step = step.replace(usual, own)
    return step


@pytest.mark.timeout(600)
def test_start_send_look_break_upgrade_and_stop(project: Project) -> None:
    """Each command ends well and shows what it says; verify.sh loses nothing, and leaves this pipeline alone."""
    start, send, look, break_, stop = (here(project, step) for step in steps())

    project.run(start)
    for service, port in (("clickhouse", 8123), ("streams", 6066)):
        for address in (service, *project.addresses(service)):
            assert not project.reaches("ingest", address, port), address
        assert project.reaches("sinks-clickhouse", service, port), service
    assert "HTTP/1.1 200" in project.run(send)
    seen = eventually(lambda: _with_row(project.run(look)), deadline=60, every=1)
    assert '"sms_key":"s-1"' in seen
    assert "healthy" in seen

    assert "nothing lost" in project.run(break_)
    assert "HTTP/1.1 200" in project.run(send)
    project.run(here(project, upgrade()))
    assert "HTTP/1.1 200" in project.run(send)
    eventually(lambda: _with_row(project.run(look)), deadline=60, every=1)

    project.run(stop)
    project.run(start)
    eventually(lambda: _with_row(project.run(look)), deadline=60, every=1)


def _with_row(seen: str) -> str:
    """The output, once ClickHouse has the one row of the one SMS; empty before."""
    return seen if seen.count("Row ") == 1 and "s-1" in seen else ""


def test_the_first_block_is_read_at_one_sitting() -> None:
    assert len("\n\n".join(steps()).splitlines()) <= 30
    assert [step.lstrip("# ").split()[0].rstrip(".:,") for step in steps()] == [
        "Start",
        "Send",
        "Look",
        "Break",
        "Stop",
    ]
