"""
The container files agree with the programs: commands, settings, ports, versions.
"""

import re
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest

import ingest.cli
import sinks.cli
import streams.cli
from ingest.settings import IngestSettings
from sandbox.jars import KAFKA_VERSION
from sinks.settings import SinksSettings
from streams.settings import StreamsSettings
from tests.containers.engine import DOCKER, ROOT
from tests.containers.manifests import COMPOSE_FILES, compose, containers, kustomization, workloads

_PROGRAMS = {"routee-ingest": ingest.cli.main, "routee-streams": streams.cli.main, "routee-sinks": sinks.cli.main}
_SETTINGS = {name.upper() for model in (IngestSettings, StreamsSettings, SinksSettings) for name in model.model_fields}
_DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
_VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def services() -> dict[str, dict[str, Any]]:
    return dict(compose("compose.yaml")["services"])


def program_services() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in services().items() if "routee-callbacks" in service["image"]}


def commands() -> Iterator[list[str]]:
    """Every command that the compose files, the manifests or the image run."""
    for name in COMPOSE_FILES:
        yield from (service["command"] for service in compose(name)["services"].values() if "command" in service)
    yield from (container["command"] for workload in workloads() for container in containers(workload))
    yield ["routee-ingest", "serve"]


def named_settings() -> Iterator[str]:
    """Every variable that is set for the programs."""
    for name in COMPOSE_FILES:
        yield from (compose(name).get("x-program") or {}).get("environment", ())
    for service in program_services().values():
        yield from service["environment"]
    for workload in workloads():
        for container in containers(workload):
            yield from (variable["name"] for variable in container.get("env", ()))
    for generator in kustomization()["configMapGenerator"]:
        yield from (literal.split("=")[0] for literal in generator["literals"])
    yield from re.findall(r"^\s+((?:STREAMS|SINKS|INGEST)_\w+)=", _DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("command", [pytest.param(command, id=" ".join(command)) for command in commands()])
def test_every_command_exists(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    program, verb, *options = command
    with pytest.raises(SystemExit) as exit_:
        _PROGRAMS[program]([verb, *options, "--help"])
    assert exit_.value.code == 0
    assert verb in capsys.readouterr().out


def test_every_variable_is_a_setting_of_a_program() -> None:
    assert set(named_settings()) - {"POD_NAME"} <= _SETTINGS


def test_the_ports_are_the_programs_defaults() -> None:
    exposed = re.search(r"^EXPOSE (.+)$", _DOCKERFILE, re.MULTILINE)
    assert exposed
    defaults = {
        "INGEST_PORT": IngestSettings.model_fields["ingest_port"].default,
        "STREAMS_WEB_PORT": StreamsSettings.model_fields["streams_web_port"].default,
        "SINKS_METRICS_PORT": SinksSettings.model_fields["sinks_metrics_port"].default,
    }
    assert exposed[1].split() == [str(port) for port in defaults.values()]
    for service in program_services().values():
        assert {name: int(service["environment"][name]) for name in defaults} == defaults


def test_one_version_is_named_everywhere() -> None:
    for service in program_services().values():
        assert service["image"].endswith(f"routee-callbacks:{_VERSION}}}")
    assert [image["newTag"] for image in kustomization()["images"]] == [_VERSION]


def test_the_official_images_are_named_with_their_version() -> None:
    for name, service in services().items():
        if name not in program_services():
            assert re.search(r":-(apache/kafka|clickhouse/clickhouse-server):\d[\d.]+\}$", service["image"]), name


def test_the_broker_is_the_one_that_the_sandbox_tests() -> None:
    assert services()["kafka"]["image"].endswith(f":{KAFKA_VERSION}}}")


def test_every_service_has_limits_health_and_a_restart_policy() -> None:
    """The programs' health check is the image's."""
    for name, service in services().items():
        assert service["mem_limit"], name
        assert service["restart"] in ("unless-stopped", "on-failure"), name
        assert service["logging"]["options"]["max-size"], name
        assert "healthcheck" in service or "routee-callbacks" in service["image"], name


def test_every_program_runs_with_no_rights() -> None:
    for name, service in program_services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_each_service_that_waits_names_a_condition() -> None:
    """`depends_on` alone would wait for a start, and nothing here is ready when it starts."""
    for name, service in program_services().items():
        conditions = {on["condition"] for on in service["depends_on"].values()}
        assert conditions <= {"service_healthy", "service_completed_successfully"}, name
    waits = {name: set(service["depends_on"]) for name, service in program_services().items()}
    assert waits == {
        "topics": {"kafka"},
        "schema": {"clickhouse"},
        "ingest": {"topics"},
        "streams": {"topics"},
        "sinks-clickhouse": {"topics", "schema"},
        "sinks-files": {"topics"},
    }


def test_every_state_has_a_named_volume() -> None:
    whole = compose("compose.yaml")
    mounted = {mount.split(":")[0] for service in whole["services"].values() for mount in service.get("volumes", ())}
    assert mounted == set(whole["volumes"]) == {"kafka", "clickhouse", "streams", "files"}


def test_nothing_is_published_beyond_this_host() -> None:
    for name, service in services().items():
        for port in service.get("ports", ()):
            assert "127.0.0.1:" in port, name


def test_the_replicas_are_where_their_configuration_says() -> None:
    """The cluster that the schema is made on, its hosts and its keeper are services of compose.scale.yaml."""
    scale = compose("compose.scale.yaml")
    services = scale["services"]
    replicas = ET.parse(DOCKER / "clickhouse" / "replicas.xml")  # noqa: S314 - our own file
    keeper = ET.parse(DOCKER / "clickhouse" / "keeper.xml")  # noqa: S314 - our own file

    cluster = replicas.find("remote_servers/*")
    assert cluster is not None
    assert scale["x-program"]["environment"]["CLICKHOUSE_CLUSTER"] == f"${{CLICKHOUSE_CLUSTER-{cluster.tag}}}"
    hosts = {host.text for host in cluster.iter("host")}
    assert hosts == {services[name]["environment"]["REPLICA"] for name in ("clickhouse", "clickhouse-2")}
    assert hosts <= {*services, *services["clickhouse"]["networks"]["default"]["aliases"]}

    assert replicas.findtext("zookeeper/node/host") == "keeper"
    assert keeper.findtext(".//raft_configuration/server/hostname") == "keeper"
    assert replicas.findtext("zookeeper/node/port") == keeper.findtext("keeper_server/tcp_port")
    asked = keeper.findtext("keeper_server/http_control/port")
    assert f"http://127.0.0.1:{asked}/ready" in services["keeper"]["healthcheck"]["test"][1]


def test_the_replicas_name_themselves() -> None:
    """Each takes its name from the environment; its paths in the keeper and its address follow from it."""
    replicas = ET.parse(DOCKER / "clickhouse" / "replicas.xml")  # noqa: S314 - our own file
    for path in ("macros/replica", "interserver_http_host"):
        named = replicas.find(path)
        assert named is not None, path
        assert named.get("from_env") == "REPLICA", path
    assert replicas.findtext("macros/shard")
