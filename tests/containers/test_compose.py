"""
The compose files as Docker Compose reads them, and the proof that verify.sh gives.
"""

import json
import os
import subprocess
from typing import Any, Final

import pytest

from tests.containers.engine import DOCKER, Images

_OLDEST: Final = (2, 24)


@pytest.fixture(scope="module")
def compose(official: Images) -> str:  # noqa: ARG001 - where no engine is, Compose is of no use
    """Give the command's name when it is there and new enough to read the files."""
    asked = subprocess.run(["docker", "compose", "version", "--short"], capture_output=True, text=True, check=False)
    version = tuple(int(part) for part in asked.stdout.strip().removeprefix("v").split(".")[:2] if part.isdigit())
    if version < _OLDEST:
        pytest.skip("needs `docker compose` 2.24 or later")
    return "docker compose"


def merged(command: str, *files: str, **environment: str) -> dict[str, Any]:
    arguments = [argument for file in files for argument in ("--file", str(DOCKER / file))]
    made = subprocess.run(
        [*command.split(), *arguments, "config", "--format", "json"],
        env={**os.environ, "CLICKHOUSE_PASSWORD": "x", **environment},
        capture_output=True,
        check=True,
    )
    return dict(json.loads(made.stdout))


def test_a_password_has_to_be_chosen(compose: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        merged(compose, "compose.yaml", CLICKHOUSE_PASSWORD="", SETTINGS_FILE="/dev/null")
    assert b"CLICKHOUSE_PASSWORD" in error.value.stderr


def test_three_brokers_differ_in_nothing_but_their_names(compose: str) -> None:
    services = merged(compose, "compose.yaml", "compose.scale.yaml")["services"]
    brokers = [services[name]["environment"] for name in ("kafka", "kafka-2", "kafka-3")]
    assert [broker.pop("KAFKA_NODE_ID") for broker in brokers] == ["1", "2", "3"]
    names = [broker.pop("KAFKA_ADVERTISED_LISTENERS") for broker in brokers]
    assert names == [f"PLAINTEXT://{name}:9092" for name in ("kafka", "kafka-2", "kafka-3")]
    assert brokers[0] == brokers[1] == brokers[2]
    assert brokers[0]["KAFKA_MIN_INSYNC_REPLICAS"] == "2"
    folders = {services[name]["volumes"][0]["source"] for name in ("kafka", "kafka-2", "kafka-3")}
    assert len(folders) == 3


def test_every_program_runs_twice_when_scaled(compose: str) -> None:
    services = merged(compose, "compose.yaml", "compose.scale.yaml")["services"]
    for name in ("ingest", "streams", "sinks-clickhouse", "sinks-files"):
        assert services[name]["scale"] == 2, name
        assert services[name]["environment"]["KAFKA_REPLICATION_FACTOR"] == "3", name
    assert services["schema"]["environment"]["CLICKHOUSE_CLUSTER"] == "routee"


@pytest.mark.timeout(420)
def test_a_cut_wire_loses_nothing(compose: str, image: str, official: Images) -> None:
    """verify.sh: good callbacks, the wire to Kafka cut, refused ones, the wire restored, the refused ones again."""
    assert compose
    environment = {
        **os.environ,
        "ROUTEE_IMAGE": image,
        "KAFKA_IMAGE": official.kafka,
        "CLICKHOUSE_IMAGE": official.clickhouse,
    }
    script = [str(DOCKER / "verify.sh"), "--no-build", "--pull", "never"]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing lost" in done.stdout
