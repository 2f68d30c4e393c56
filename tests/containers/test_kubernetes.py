"""
The manifests are what Kubernetes takes, and ask for nothing that a restricted namespace forbids.
"""

import shutil
import subprocess
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from console.places import parse_places
from tests.containers.manifests import KUBERNETES, containers, kustomization, resources, variables, workloads

# The oldest release that is likely to be met, and the newest whose schemas are known.
_RELEASES: Final = ("1.31", kubernetes_validate.latest_version())
# Mounted in every container, for clusters whose Kafka asks for a password.
_KAFKA_SECRET: Final = "/run/secrets/kafka"  # noqa: S105 - a folder
_NAME: Final = "app.kubernetes.io/name"
_WORKLOADS: Final = workloads()
_EACH: Final = pytest.mark.parametrize("workload", _WORKLOADS, ids=[each["metadata"]["name"] for each in _WORKLOADS])


@pytest.mark.parametrize("release", _RELEASES)
def test_every_resource_fits_its_schema(release: str) -> None:
    """Strictly: a field that the schema does not know is a mistake."""
    for resource in resources():
        kubernetes_validate.validate(resource, release, strict=True)


def test_a_misspelt_field_does_not_fit() -> None:
    wrong = next(resource for resource in resources() if resource["kind"] == "StatefulSet")
    wrong["spec"]["template"]["spec"]["enableServiceLink"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, _RELEASES[0], strict=True)


@pytest.mark.parametrize("release", _RELEASES)
def test_what_kustomize_makes_of_them_fits_too(release: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl on the PATH")
    made = subprocess.run([kubectl, "kustomize", str(KUBERNETES)], check=True, capture_output=True, timeout=60).stdout
    documents = list(yaml.safe_load_all(made))
    assert len(documents) > len(list(resources()))
    for document in documents:
        kubernetes_validate.validate(document, release, strict=True)


def test_every_file_is_named() -> None:
    files = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization()["resources"]) == files


@_EACH
def test_pods_ask_for_no_rights(workload: dict[str, Any]) -> None:
    pod = workload["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in containers(workload):
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}


@_EACH
def test_services_set_no_variables(workload: dict[str, Any]) -> None:
    """A Service named `ingest` would set INGEST_PORT to `tcp://…`."""
    assert workload["spec"]["template"]["spec"]["enableServiceLinks"] is False


@_EACH
def test_pods_have_probes_limits_and_a_disruption_budget(workload: dict[str, Any]) -> None:
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"] == labels
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    assert "admin" in {port["name"] for port in container["ports"]}
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "admin"}
    for each in containers(workload):
        assert set(each["resources"]["requests"]) == {"cpu", "memory"}
        assert each["resources"]["limits"]["memory"]
    budgets = [each for each in resources() if each["kind"] == "PodDisruptionBudget"]
    assert [each["spec"]["selector"]["matchLabels"] for each in budgets].count(labels) == 1


@_EACH
def test_all_that_is_mounted_is_there(workload: dict[str, Any]) -> None:
    pod = workload["spec"]["template"]["spec"]
    claims = workload["spec"].get("volumeClaimTemplates", [])
    volumes = {volume["name"] for volume in pod["volumes"]} | {claim["metadata"]["name"] for claim in claims}
    for container in containers(workload):
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


@_EACH
def test_no_secret_is_a_variable_of_a_container(workload: dict[str, Any]) -> None:
    """A variable is seen by each who may look at the pod or its processes: secrets come as files for the user alone."""
    pod = workload["spec"]["template"]["spec"]
    folders = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    assert all(secret["defaultMode"] == 0o440 for secret in folders.values())
    for container in containers(workload):
        assert [source for source in container["envFrom"] if "secretRef" in source] == []
        mounted = {mount["mountPath"]: mount for mount in container["volumeMounts"] if mount["name"] in folders}
        assert all(mount["readOnly"] for mount in mounted.values())
        files = [value for name, value in variables(container).items() if name.endswith("_FILE")]
        assert {str(PurePath(file).parent) for file in files} == mounted.keys() - {_KAFKA_SECRET}


def test_a_secret_is_mounted_only_where_it_is_needed() -> None:
    """Init containers that prepare topics see the password of Kafka and no other."""
    needed = {
        (workload["metadata"]["name"], container["name"]): {name for name in variables(container) if "_FILE" in name}
        for workload in _WORKLOADS
        for container in containers(workload)
    }
    assert {where: names for where, names in needed.items() if names} == {
        ("ingest", "ingest"): {"INGEST_SECRETS_FILE"},
        ("console", "console"): {
            *("CONSOLE_TOKENS_FILE", "CONSOLE_READ_TOKEN_FILE", "CONSOLE_CLICKHOUSE_PASSWORD_FILE"),
        },
        ("backfill", "backfill"): {"ROUTEE_APPLICATION_SECRET_FILE"},
        ("streams", "streams"): {
            *("STREAMS_READ_TOKENS_FILE", "STREAMS_WORKER_TOKEN_FILE", "ERASURE_KEY_FILE"),
        },
        ("sinks-clickhouse", "schema"): {"CLICKHOUSE_PASSWORD_FILE"},
        ("sinks-clickhouse", "sinks-clickhouse"): {"CLICKHOUSE_PASSWORD_FILE", "ERASURE_KEY_FILE"},
        ("sinks-files", "sinks-files"): {"ERASURE_KEY_FILE"},
    }
    for workload in _WORKLOADS:
        for container in containers(workload):
            assert _KAFKA_SECRET in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_a_worker_keeps_its_name_and_has_a_standby() -> None:
    (streams,) = [each for each in _WORKLOADS if each["kind"] == "StatefulSet"]
    (container,) = streams["spec"]["template"]["spec"]["containers"]
    settings = variables(container)
    assert (settings["STREAMS_INSTANCE_ID"], settings["STREAMS_STANDBY"]) == ("$(POD_NAME)", "on")
    assert streams["spec"]["replicas"] >= 2


def test_health_asks_every_pod_of_every_program() -> None:
    """By a name without an address of its own: each pod's is found, also while it is not ready."""
    pods = {each["metadata"]["name"]: each["spec"]["template"]["spec"]["containers"] for each in _WORKLOADS}
    services = {each["metadata"]["name"]: each["spec"] for each in resources() if each["kind"] == "Service"}
    (console,) = pods.pop("console")
    places = parse_places(variables(console)["CONSOLE_PROGRAMS"])
    assert {place.name for place in places} == pods.keys()
    for place in places:
        url = urlsplit(place.url)
        service = services[str(url.hostname)]
        assert service["clusterIP"] == "None"
        assert service["publishNotReadyAddresses"] is True
        assert service["selector"] == {_NAME: place.name}
        ports = {port["name"]: port["containerPort"] for container in pods[place.name] for port in container["ports"]}
        assert url.port == ports["admin"]
