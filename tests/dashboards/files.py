"""
The files that follow from the dashboards and the rules.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from tests.dashboards.delivery import DELIVERY
from tests.dashboards.grafana import as_json
from tests.dashboards.operations import OPERATIONS
from tests.support.monitoring import FOLDER

DASHBOARDS: Final = (OPERATIONS, DELIVERY)
_HEAD: Final = "# Written by `make dashboards` from ../rules.yaml: change that file.\n"


def contents() -> Iterator[tuple[Path, str]]:
    """Yield each file and its text."""
    for dashboard in DASHBOARDS:
        yield FOLDER / "grafana" / "dashboards" / f"{dashboard.name}.json", as_json(dashboard)
    yield FOLDER / "kubernetes" / "rules.yaml", _prometheus_rule()


def write() -> None:
    """Write all files."""
    for file, text in contents():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _prometheus_rule() -> str:
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "routee-callbacks"},
        "spec": yaml.safe_load((FOLDER / "rules.yaml").read_text(encoding="utf-8")),
    }
    return f"{_HEAD}{yaml.safe_dump(resource, sort_keys=False, width=120)}"
