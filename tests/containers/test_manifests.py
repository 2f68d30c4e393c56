"""
The container files agree with the programs: commands, settings, ports, versions.
"""

import re
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import pytest
from docker.utils import exclude_paths

import ingest.cli
import sinks.cli
import streams.cli
from console.cli import main as console
from console.settings import ConsoleSettings
from ingest.backfill.settings import BackfillSettings
from ingest.settings import IngestSettings
from sandbox.jars import KAFKA_VERSION
from sinks.settings import SinksSettings
from streams.program.environment import SECRET_SETTINGS
from streams.settings import StreamsSettings
from tests.containers.engine import DOCKER, ROOT
from tests.containers.manifests import COMPOSE_FILES, compose, containers, kustomization, workloads

_PROGRAMS = {
    "routee-ingest": ingest.cli.main,
    "routee-streams": streams.cli.main,
    "routee-sinks": sinks.cli.main,
    "routee-console": console,
}
_OF_KAFKA = compose("compose.secure.yaml")["services"]["kafka"]["environment"].keys()
_MODELS = (IngestSettings, BackfillSettings, StreamsSettings, SinksSettings, ConsoleSettings)
_SETTINGS = {name.upper() for model in _MODELS for name in model.model_fields}
_DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_VERSION = _PROJECT["version"]


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
    for service in compose("compose.secure.yaml")["services"].values():
        yield from (name for name in service.get("environment", ()) if name not in _OF_KAFKA)
    for workload in workloads():
        for container in containers(workload):
            yield from (variable["name"] for variable in container.get("env", ()))
    for generator in kustomization()["configMapGenerator"]:
        yield from (literal.split("=")[0] for literal in generator["literals"])
    yield from re.findall(r"^\s+((?:STREAMS|SINKS|INGEST|BACKFILL|CONSOLE)_\w+)=", _DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("command", [pytest.param(command, id=" ".join(command)) for command in commands()])
def test_every_command_exists(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    program, verb, *options = command
    if program == "python":
        assert (DOCKER / PurePath(verb).name).is_file()
        return
    with pytest.raises(SystemExit) as exit_:
        _PROGRAMS[program]([verb, *options, "--help"])
    assert exit_.value.code == 0
    assert verb in capsys.readouterr().out


def test_every_variable_is_a_setting_of_a_program() -> None:
    """Or the file of a secret one; or what Kubernetes and OpenSSL call it."""
    others = set(named_settings()) - _SETTINGS - {"POD_NAME", "SSL_CERT_FILE"}
    assert {name.removesuffix("_FILE") for name in others} <= SECRET_SETTINGS


def test_the_image_is_built_from_files_that_may_enter_its_build() -> None:
    """A folder that `.dockerignore` keeps out is missed by the builder alone, and only where an engine answers."""
    kept_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    entering = {*exclude_paths(str(ROOT), [line for line in kept_out if line and not line.startswith("#")])}
    tracked = subprocess.run(
        ["git", "ls-files", *_copied()], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {PurePath(file).parts[0] for file in tracked} >= {PurePath(path).parts[0] for path in _copied()}
    assert {*tracked} - entering == set()


def test_every_package_is_in_the_image() -> None:
    packages = {module.partition(".")[0] for module in _PROJECT["scripts"].values()}
    assert packages - {*_copied()} == set()


def _copied() -> list[str]:
    """Return the files and folders that the image takes from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", _DOCKERFILE, re.MULTILINE)
    return [path for line in lines for path in line.split()]


def test_the_ports_are_the_programs_defaults() -> None:
    exposed = re.search(r"^EXPOSE (.+)$", _DOCKERFILE, re.MULTILINE)
    assert exposed
    defaults = {
        "INGEST_PORT": IngestSettings.model_fields["ingest_port"].default,
        "STREAMS_WEB_PORT": StreamsSettings.model_fields["streams_web_port"].default,
        "CONSOLE_PORT": ConsoleSettings.model_fields["console_port"].default,
        "INGEST_ADMIN_PORT": IngestSettings.model_fields["ingest_admin_port"].default,
        "SINKS_ADMIN_PORT": SinksSettings.model_fields["sinks_admin_port"].default,
        "STREAMS_ADMIN_PORT": StreamsSettings.model_fields["streams_admin_port"].default,
        "BACKFILL_ADMIN_PORT": BackfillSettings.model_fields["backfill_admin_port"].default,
        "CONSOLE_ADMIN_PORT": ConsoleSettings.model_fields["console_admin_port"].default,
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


def test_every_service_runs_with_no_rights() -> None:
    """Kafka and ClickHouse, too: what they write to is a volume or memory."""
    for name, service in (services() | {"keeper": compose("compose.scale.yaml")["services"]["keeper"]}).items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] > 0, name
        assert "cap_add" not in service, name
        assert "privileged" not in service, name


def test_ingest_shares_a_network_with_kafka_and_with_nothing_else() -> None:
    """It faces the internet: a program that was taken over there reaches neither ClickHouse nor the read API."""
    networks = {name: set(service["networks"]) for name, service in services().items()}
    beside = {name for name in networks if networks[name] & networks["ingest"]}
    assert beside == {"ingest", "kafka"}
    assert set.union(*networks.values()) == set(compose("compose.yaml")["networks"]) == {"front", "back"}


def test_the_cut_of_the_wire_cuts_ingest_off() -> None:
    faults = compose("compose.faults.yaml")
    assert set(faults["services"]["kafka"]["networks"]) & set(services()["ingest"]["networks"]) == set()
    assert faults["services"]["ingest"]["networks"] == ["wire"]


def test_a_secret_reaches_only_who_needs_it() -> None:
    plain, secure = compose("compose.yaml"), compose("compose.secure.yaml")
    given: dict[str, set[str]] = {}
    for name, service in [*plain["services"].items(), *secure["services"].items()]:
        for secret in service.get("secrets", ()):
            given.setdefault(secret if isinstance(secret, str) else secret["source"], set()).add(name)
    assert given == {
        "ingest_secrets": {"ingest"},
        "routee_application_secret": {"backfill"},
        "streams_read_tokens": {"streams"},
        "streams_worker_token": {"streams"},
        "streams_hmac_key": {"streams", "tools"},
        "erasure_key": {"streams", "sinks-clickhouse", "sinks-files", "tools"},
        "console_tokens": {"console"},
        "console_read_token": {"console"},
        "clickhouse_password": {"schema", "sinks-clickhouse", "console", "tools"},
        "clickhouse_user": {"clickhouse"},
        "tls_ca": {
            *("kafka", "kafka-users", "topics", "schema", "ingest", "backfill", "streams"),
            *("sinks-clickhouse", "sinks-files", "console", "tools"),
        },
        "tls_kafka": {"kafka"},
        "tls_admin": {"kafka-users"},
        "tls_clickhouse": {"clickhouse"},
        "tls_ingest": {"ingest"},
        "kafka_password_topics": {"topics", "kafka-users"},
        "kafka_password_ingest": {"ingest", "kafka-users"},
        "kafka_password_backfill": {"backfill", "kafka-users"},
        "kafka_password_console": {"console", "kafka-users"},
        "kafka_password_streams": {"streams", "kafka-users"},
        "kafka_password_sinks": {"sinks-clickhouse", "sinks-files", "kafka-users"},
        "kafka_password_tools": {"tools", "kafka-users"},
    }
    assert given.keys() == plain["secrets"].keys() | secure["secrets"].keys()


def test_no_secret_is_the_value_of_a_variable() -> None:
    for file in COMPOSE_FILES:
        for name, service in compose(file)["services"].items():
            set_ = {variable for variable, value in service.get("environment", {}).items() if value}
            assert set_ & SECRET_SETTINGS == set(), (file, name)


def test_a_secret_that_comes_as_a_file_is_no_variable_of_any_program() -> None:
    """A value of `.env` beside the file would end the start: one of both is told."""
    files = {name for service in program_services().values() for name in service["environment"] if "_FILE" in name}
    assert "ERASURE_KEY_FILE" in files
    for name, service in program_services().items():
        told = {file: service["environment"].get(file.removesuffix("_FILE")) for file in files}
        assert told == dict.fromkeys(files, ""), name


def test_the_files_and_folders_of_a_persons_data_are_where_commands_are_run_by_hand() -> None:
    """`routee-streams erase --verify` looks at every store."""
    of, mounts = services(), "volumes"
    assert {*of["tools"][mounts]} == {*of["streams"][mounts], *of["sinks-files"][mounts]}


def test_every_program_has_a_user_of_kafka_with_tls() -> None:
    users = {}
    for name, service in compose("compose.secure.yaml")["services"].items():
        settings = service["environment"] if name in {*program_services()} - {"schema"} else None
        if settings:
            assert settings["KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL", name
            assert (
                settings["KAFKA_SASL_PASSWORD_FILE"] == f"/run/secrets/kafka_password_{settings['KAFKA_SASL_USERNAME']}"
            )
            users[name] = settings["KAFKA_SASL_USERNAME"]
    assert users == {
        "topics": "topics",
        "ingest": "ingest",
        "backfill": "backfill",
        "console": "console",
        "streams": "streams",
        "sinks-clickhouse": "sinks",
        "sinks-files": "sinks",
        "tools": "tools",
    }


def test_nothing_of_the_secure_variant_listens_without_tls() -> None:
    kafka = compose("compose.secure.yaml")["services"]["kafka"]["environment"]
    protocols = dict(pair.split(":") for pair in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert {listener.split("://")[0] for listener in kafka["KAFKA_LISTENERS"].split(",")} == protocols.keys()
    assert set(protocols.values()) == {"SASL_SSL", "SSL"}
    for listener in (name for name, protocol in protocols.items() if protocol == "SSL"):
        assert kafka[f"KAFKA_LISTENER_NAME_{listener}_SSL_CLIENT_AUTH"] == "required"

    clickhouse = ET.parse(DOCKER / "clickhouse" / "tls.xml").getroot()  # noqa: S314 - our own file
    open_ = {port.tag for port in clickhouse if port.tag.endswith("_port") and port.get("remove") is None}
    assert open_ == {"https_port"}


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
        "backfill": {"topics"},
        "console": {"topics", "schema"},
        "streams": {"topics"},
        "sinks-clickhouse": {"topics", "schema"},
        "sinks-files": {"topics"},
        "tools": {"topics"},
    }


def test_every_state_has_a_named_volume() -> None:
    whole = compose("compose.yaml")
    mounted = {mount.split(":")[0] for service in whole["services"].values() for mount in service.get("volumes", ())}
    assert mounted == set(whole["volumes"]) == {"kafka", "clickhouse", "streams", "files"}


def test_nothing_is_published_beyond_this_host() -> None:
    for name, service in services().items():
        for port in service.get("ports", ()):
            assert "127.0.0.1:" in port, name


def test_the_proof_publishes_no_port_that_a_running_pipeline_has() -> None:
    """`verify.sh` runs beside it, and must not meet its ports."""
    published = {port for file in ("compose.yaml", "compose.faults.yaml") for port in _published(file)}
    variables = {name for port in published for name in re.findall(r"\$\{(\w+)", port)}
    (exported,) = re.findall(r"^export (.*_PUBLISHED.*)$", (DOCKER / "verify.sh").read_text("utf-8"), re.MULTILINE)
    assert len(variables) == len(published)
    assert {name for name, value in re.findall(r"(\w+)=(\S+)", exported) if value.endswith("0")} == variables


def _published(file: str) -> list[str]:
    """Return the ports that the services of a file publish."""
    return [port for service in compose(file)["services"].values() for port in service.get("ports", ())]


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
    assert hosts <= {*services, *services["clickhouse"]["networks"]["back"]["aliases"]}

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
