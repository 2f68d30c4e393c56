"""
The compose files as Docker Compose reads and merges them.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.containers.engine import DOCKER


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


def test_a_secret_reaches_only_who_needs_it(compose: str, tmp_path: Path) -> None:
    """Every program reads the file that holds them: each service blanks the secrets it does not need."""
    settings = tmp_path / "settings"
    settings.write_text("CLICKHOUSE_PASSWORD=of-clickhouse\nINGEST_SECRETS=of-the-url\n")
    secrets = {"CLICKHOUSE_PASSWORD": "of-clickhouse", "INGEST_SECRETS": "of-the-url", "SETTINGS_FILE": str(settings)}
    services = merged(compose, "compose.yaml", "compose.scale.yaml", **secrets)["services"]

    def having(name: str) -> set[str]:
        return {service for service, what in services.items() if what.get("environment", {}).get(name)}

    assert having("CLICKHOUSE_PASSWORD") == {"clickhouse", "clickhouse-2", "schema", "sinks-clickhouse"}
    assert having("INGEST_SECRETS") == {"ingest"}


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


def test_the_second_replica_differs_in_nothing_but_its_name(compose: str) -> None:
    services = merged(compose, "compose.yaml", "compose.scale.yaml")["services"]
    first, second = services["clickhouse"], services["clickhouse-2"]
    assert first["environment"].pop("REPLICA") == "clickhouse-1"
    assert second["environment"].pop("REPLICA") == "clickhouse-2"
    for same in ("environment", "image", "healthcheck", "mem_limit", "restart", "depends_on"):
        assert first[same] == second[same], same
    folders, settings = ({mount["target"]: mount["source"] for mount in each["volumes"]} for each in (first, second))
    assert folders.pop("/var/lib/clickhouse") != settings.pop("/var/lib/clickhouse")
    assert folders == settings
    assert "ports" not in second


def test_either_replica_answers_to_the_name_that_the_programs_have(compose: str) -> None:
    """Each replica has its service's name, the common alias, and the name in replicas.xml."""
    services = merged(compose, "compose.yaml", "compose.scale.yaml")["services"]
    assert services["sinks-clickhouse"]["environment"]["CLICKHOUSE_URL"] == "http://clickhouse:8123"
    assert services["clickhouse-2"]["networks"]["default"]["aliases"] == ["clickhouse"]
    assert services["clickhouse"]["networks"]["default"]["aliases"] == ["clickhouse-1"]


def test_every_service_added_for_scale_has_limits_health_and_a_restart_policy(compose: str) -> None:
    """The programs' health check is the image's."""
    whole = merged(compose, "compose.yaml", "compose.scale.yaml")
    for name, service in whole["services"].items():
        assert service["mem_limit"], name
        assert service["restart"] in ("unless-stopped", "on-failure"), name
        assert service["logging"]["options"]["max-size"], name
        assert "healthcheck" in service or "routee-callbacks" in service["image"], name
    volumes = {
        mount["source"]
        for service in whole["services"].values()
        for mount in service.get("volumes", ())
        if mount["type"] == "volume"
    }
    assert volumes == set(whole["volumes"])
