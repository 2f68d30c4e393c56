"""
compose.scale.yaml at work: a broker and one of each program are killed while callbacks come.
"""

import shlex
from pathlib import Path
from typing import Final

import docker
import pytest
from docker.errors import ImageNotFound

from sandbox.audit.audit import Sources, audit
from sandbox.audit.clickhouse import ClickHouse
from sandbox.emulator.ledger import read_ledger
from tests.containers.emulator import routee
from tests.containers.engine import Images, interpolated
from tests.containers.manifests import compose as compose_file
from tests.containers.project import Project
from tests.support.wait import eventually

_UP: Final = "docker compose up --detach --wait"
_KILLED: Final = ("kafka-2", "streams", "sinks-clickhouse", "sinks-files", "ingest")

_SEEN_BEFORE: Final = 100


def replicas_can_be_run() -> bool:
    """Say whether the image of ClickHouse Keeper is here; one is not pulled for that."""
    client = docker.from_env()
    try:
        client.images.get(interpolated(compose_file("compose.scale.yaml")["services"]["keeper"]["image"]))
    except ImageNotFound:
        return False
    finally:
        client.close()
    return True


@pytest.mark.timeout(600)
def test_one_of_each_may_be_killed(project: Project, official: Images, tmp_path: Path, figures: dict[str, str]) -> None:
    """
    Three brokers and two of each program: every cell agrees with the ledger, after any broker or program was killed.
    """
    project.set(
        COMPOSE_FILE="compose.yaml:compose.scale.yaml",
        INGEST_PUBLISHED=project.both_ingests(),
    )
    up = _UP
    if not replicas_can_be_run():
        # Compose looks for the image of a service of which it shall run none.
        project.set(CLICKHOUSE_CLUSTER="", KEEPER_IMAGE=official.clickhouse)
        up += " --scale clickhouse-2=0 --scale keeper=0"
        figures["second ClickHouse replica"] = "not run: the image of ClickHouse Keeper is not here"
    # The audit compares refused bodies with the sent ones.
    project.run(f"./secrets.sh && echo SINKS_REFUSED_BODIES=keep >> .env && {up}")
    clickhouse = ClickHouse(f"http://{project.clickhouse}", "routee", "routee", project.secret("clickhouse_password"))
    ledger = tmp_path / "ledger.ndjson"
    options = shlex.split("--seed 3 --campaigns 2 --recipients 300 --singles 0 --rate 60 --retry-scale 0.02")
    with routee(f"http://{project.ingest}/callbacks/{project.secret('ingest_secrets')}", ledger, *options):
        # In the middle of the traffic.
        eventually(
            lambda: next(clickhouse.rows("SELECT count() AS sms FROM sms"))["sms"] > _SEEN_BEFORE,
            deadline=60,
            every=0.5,
        )
        for service in _KILLED:
            project.run(f"docker kill $(docker compose ps --quiet {service} | head -n 1)")
        project.run(up)
    found = audit(read_ledger(ledger), Sources(clickhouse), quiet_seconds=15.0, deadline_seconds=90.0)
    assert not found.differences
    running = project.run("docker compose ps --status running --format '{{.Service}}'").split()
    assert {name: running.count(name) for name in _KILLED} == {name: 1 if name == "kafka-2" else 2 for name in _KILLED}
