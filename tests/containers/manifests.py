"""
The files of `docker/` as data, for tests that need no engine.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from tests.containers.engine import DOCKER

KUBERNETES: Final = DOCKER / "kubernetes"
COMPOSE_FILES: Final = ("compose.yaml", "compose.scale.yaml", "compose.faults.yaml", "compose.secure.yaml")
_COMPOSE_TAG: Final = re.compile(r"!(override|reset) ")


def compose(name: str) -> dict[str, Any]:
    """Return one compose file, merged with no other."""
    text = (DOCKER / name).read_text(encoding="utf-8")
    return dict(yaml.safe_load(_COMPOSE_TAG.sub("", text)))


def kustomization() -> dict[str, Any]:
    """Return what kustomization.yaml says."""
    return dict(yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8")))


def resources() -> Iterator[dict[str, Any]]:
    """Yield every resource that kustomization.yaml names."""
    for name in kustomization()["resources"]:
        yield from yaml.safe_load_all((KUBERNETES / name).read_text(encoding="utf-8"))


def workloads() -> list[dict[str, Any]]:
    """Return the resources that run pods."""
    return [resource for resource in resources() if resource["kind"] in ("Deployment", "StatefulSet")]


def containers(workload: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all containers of a workload's pods, init containers included."""
    pod = workload["spec"]["template"]["spec"]
    return [*pod.get("initContainers", ()), *pod["containers"]]


def variables(container: dict[str, Any]) -> dict[str, str]:
    """Return the variables that a container sets to a fixed value."""
    return {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}
