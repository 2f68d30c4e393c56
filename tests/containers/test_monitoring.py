"""
The files of `docker/monitoring` agree with the programs, with each other, and with the code of the dashboards.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.containers.engine import DOCKER
from tests.containers.manifests import compose, containers, workloads
from tests.dashboards.files import DASHBOARDS, contents
from tests.dashboards.grafana import queries_in
from tests.dashboards.panels import COLUMNS, SQL, Dashboard
from tests.support.monitoring import FOLDER

WATCHING = compose("compose.monitoring.yaml")
PROGRAMS = {
    "ingest": 9101,
    "backfill": 9105,
    "console": 9106,
    "streams": 9103,
    "sinks-clickhouse": 9102,
    "sinks-files": 9102,
}


def read(name: str) -> Any:  # noqa: ANN401 - as YAML says
    return yaml.safe_load((FOLDER / name).read_text())


@pytest.mark.parametrize(
    ("file", "text"), [*contents()], ids=lambda value: value.name if isinstance(value, Path) else ""
)
def test_written_files_are_as_the_code_writes_them(file: Path, text: str) -> None:
    """Otherwise run `make dashboards`."""
    assert file.read_text() == text


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_a_dashboard_has_every_query_of_its_panels_and_no_two_panels_at_one_place(dashboard: Dashboard) -> None:
    shown = json.loads((FOLDER / "grafana" / "dashboards" / f"{dashboard.name}.json").read_text())
    wanted = [q.statement if isinstance(q, SQL) else q.expression for panel in dashboard.panels for q in panel.queries]
    assert list(queries_in(shown["panels"])) == wanted
    taken: set[tuple[int, int]] = set()
    for panel in shown["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_panel_says_what_it_shows_and_names_a_data_source_that_is_provisioned() -> None:
    sources = {
        (source["uid"], source["type"])
        for source in read("grafana/provisioning/datasources/routee.yaml")["datasources"]
    }
    for dashboard in DASHBOARDS:
        shown = json.loads((FOLDER / "grafana" / "dashboards" / f"{dashboard.name}.json").read_text())
        assert shown["uid"] == f"routee-{dashboard.name}"
        for panel in shown["panels"]:
            if panel["type"] != "row":
                assert panel["description"], panel["title"]
                named = {(target["datasource"]["uid"], target["datasource"]["type"]) for target in panel["targets"]}
                assert named <= sources, panel["title"]


def test_prometheus_asks_the_pages_of_every_program_under_the_name_of_its_service() -> None:
    jobs = {job["job_name"]: job["dns_sd_configs"][0] for job in read("prometheus.yaml")["scrape_configs"]}
    assert {name: job["port"] for name, job in jobs.items()} == PROGRAMS
    assert {name: job["names"] for name, job in jobs.items()} == {name: [name] for name in PROGRAMS}
    assert PROGRAMS.keys() <= compose("compose.yaml")["services"].keys()


def test_every_file_that_a_container_gets_is_there_and_every_volume_is_named() -> None:
    for name, service in WATCHING["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith("./") else source in WATCHING["volumes"], name


def test_the_watching_containers_have_no_rights_and_are_published_on_loopback_only() -> None:
    for name in WATCHING["services"].keys() - {"ingest"}:
        service = WATCHING["services"][name]
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert service["healthcheck"], name
        assert service["logging"]["options"]["max-size"], name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        assert re.search(r":-(prom|grafana)/\w+:v?\d[\d.]+\}$", service["image"]), name


def test_ingest_reaches_prometheus_besides_and_nothing_else_of_what_watches() -> None:
    services = WATCHING["services"]
    networks = {name: set(service["networks"]) for name, service in services.items()}
    assert {name for name in networks if networks[name] & networks["ingest"]} == {"ingest", "prometheus"}
    assert networks["ingest"] - set(compose("compose.yaml")["services"]["ingest"]["networks"]) == {"watch"}


def test_only_grafana_has_passwords_and_they_are_files() -> None:
    given = {name: set(service.get("secrets", ())) for name, service in WATCHING["services"].items()}
    assert {name for name, secrets in given.items() if secrets} == {"grafana"}
    assert given["grafana"] == {"grafana_password", "clickhouse_password"}


def test_each_pod_monitor_finds_the_pages_of_a_workload() -> None:
    monitors = list(yaml.safe_load_all((FOLDER / "kubernetes" / "pod-monitors.yaml").read_text()))
    assert [monitor["metadata"]["name"] for monitor in monitors] == list(PROGRAMS)
    found = {workload["metadata"]["name"]: workload for workload in workloads()}
    for monitor in monitors:
        spec = monitor["spec"]
        workload = found[monitor["metadata"]["name"]]
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        # The name of the job, on which the rules rest.
        assert labels[spec["jobLabel"]] == monitor["metadata"]["name"]
        ports = {port["name"] for container in containers(workload) for port in container.get("ports", ())}
        assert {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]} <= ports


def test_every_resource_for_kubernetes_is_named_and_there() -> None:
    named = read("kustomization.yaml")
    assert {f"kubernetes/{file.name}" for file in (FOLDER / "kubernetes").iterdir()} == set(named["resources"])
    for generator in named["configMapGenerator"]:
        assert all((FOLDER / file).is_file() for file in generator["files"])
