"""
The compose files as Docker Compose reads and merges them.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.containers.engine import DOCKER


def merged(command: str, *files: str, **environment: str) -> dict[str, Any]:
    arguments = [argument for file in files for argument in ("--file", str(DOCKER / file))]
    made = subprocess.run(
        [*command.split(), *arguments, "config", "--format", "json"],
        env={**os.environ, "SECRETS_FOLDER": "x", **environment},
        capture_output=True,
        check=True,
    )
    return dict(json.loads(made.stdout))


def test_secrets_have_to_be_made(compose: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        merged(compose, "compose.yaml", SECRETS_FOLDER="")
    assert b"run ./secrets.sh once" in error.value.stderr


def test_a_secret_of_dot_env_reaches_no_program(compose: str, tmp_path: Path) -> None:
    """A file `.env` of an earlier version holds them; every program reads it, and they come as files now."""
    settings = tmp_path / "settings"
    settings.write_text("CLICKHOUSE_PASSWORD=of-clickhouse\nINGEST_SECRETS=of-the-url\nSTREAMS_HMAC_KEY=of-the-hash\n")
    services = merged(compose, "compose.yaml", "compose.scale.yaml", SETTINGS_FILE=str(settings))["services"]
    for name, service in services.items():
        for secret in ("CLICKHOUSE_PASSWORD", "INGEST_SECRETS", "STREAMS_HMAC_KEY"):
            assert not service.get("environment", {}).get(secret), (name, secret)


@pytest.mark.parametrize("variant", ["compose.scale.yaml", "compose.faults.yaml", "compose.secure.yaml"])
def test_ingest_is_beside_kafka_and_nothing_else_in_every_variant(compose: str, variant: str) -> None:
    services = merged(compose, "compose.yaml", variant)["services"]
    networks = {name: set(service["networks"]) for name, service in services.items()}
    beside = {name for name in networks if networks[name] & networks["ingest"]}
    assert beside - {"ingest"} == {name for name in services if re.fullmatch(r"kafka(-\d)?", name)}


@pytest.mark.parametrize("variant", ["compose.scale.yaml", "compose.faults.yaml", "compose.secure.yaml"])
def test_every_service_runs_with_no_rights_in_every_variant(compose: str, variant: str) -> None:
    for name, service in merged(compose, "compose.yaml", variant)["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] > 0, name


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
    assert services["clickhouse-2"]["networks"]["back"]["aliases"] == ["clickhouse"]
    assert services["clickhouse"]["networks"]["back"]["aliases"] == ["clickhouse-1"]


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
