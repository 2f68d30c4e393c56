"""
The real Prometheus and the real Alertmanager, with the project's own configuration, on ports of their own.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.error import HTTPError
from urllib.parse import urlencode

import yaml

from sandbox.audit.http import fetch
from sandbox.ports import LOOPBACK, free_port
from sandbox.probes import answers_ok
from sandbox.process import Process
from tests.support.markdown import ROOT

FOLDER: Final = ROOT / "docker" / "monitoring"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0

# By the name of Debian's packages, then by that of Prometheus' own archives.
_NAMES: Final = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
}


def found(program: str) -> str | None:
    """Return the path of a program of Prometheus, None when it is not installed."""
    return next(filter(None, map(shutil.which, _NAMES[program])), None)


def what_is_missing(*programs: str) -> str | None:
    """Return a line that says how to install the missing ones of these programs; None when all are there."""
    missing = [program for program in programs if found(program) is None]
    if not missing:
        return None
    return f"needs {', '.join(missing)}: apt install prometheus prometheus-alertmanager (Debian, Ubuntu)"


class QueryError(Exception):
    """Prometheus does not answer a query; the message is its own."""


class _Server:
    """A server of Prometheus' family as a child process, within a block."""

    def __init__(self, folder: Path, program: str, arguments: list[str]) -> None:
        self.address = f"{LOOPBACK}:{free_port()}"
        self.url = f"http://{self.address}"
        command = [found(program) or program, *arguments, f"--web.listen-address={self.address}", "--log.level=warn"]
        self._process = Process(program, command, folder / f"{program}.log")

    def __enter__(self) -> Self:
        self._process.start()
        self._process.wait_until(lambda: answers_ok(f"{self.url}/-/ready"), _START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop(_STOP_SECONDS)


class Prometheus(_Server):
    """
    Prometheus with the rules and the jobs of `docker/monitoring`, which looks every second.

    `targets` are the addresses of the pages by the name of their job, `http://host:port`.
    """

    def __init__(self, folder: Path, targets: Mapping[str, str], alertmanager: str | None = None) -> None:
        config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(FOLDER / "rules.yaml")]
        config["scrape_configs"] = [
            {"job_name": job["job_name"], "static_configs": [{"targets": [targets[job["job_name"]].split("//")[1]]}]}
            for job in config["scrape_configs"]
            if job["job_name"] in targets
        ]
        managers = [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []
        config["alerting"] = {"alertmanagers": managers}
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "prometheus.yaml"
        file.write_text(yaml.safe_dump(config))
        super().__init__(
            folder, "prometheus", [f"--config.file={file}", f"--storage.tsdb.path={folder / 'prometheus'}"]
        )

    def ask(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - as the API says
        """Return the data of an answer of the API; QueryError for an error."""
        try:
            return json.loads(fetch(f"{self.url}/api/v1/{path}?{urlencode(parameters)}"))["data"]
        except HTTPError as error:
            raise QueryError(error.read().decode()) from error

    def now(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series now."""
        answer = self.ask("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in answer]

    def over_time(
        self, expression: str, start: float, end: float, step: float
    ) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """Return labels and points of each series."""
        span = {"start": str(start), "end": str(end), "step": str(step)}
        answer = self.ask("query_range", query=expression, **span)["result"]
        return [(series["metric"], [(at, float(value)) for at, value in series["values"]]) for series in answer]


class Alertmanager(_Server):
    """Alertmanager with the routes of `docker/monitoring`, which tells `receiver`, a URL, of all alarms, at once."""

    def __init__(self, folder: Path, receiver: str) -> None:
        config = yaml.safe_load((FOLDER / "alertmanager.yaml").read_text())
        config["route"]["group_wait"] = "0s"
        for each in config["receivers"]:
            each["webhook_configs"] = [{"url": receiver}]
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "alertmanager.yaml"
        file.write_text(yaml.safe_dump(config))
        super().__init__(
            folder,
            "alertmanager",
            [f"--config.file={file}", f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address="],
        )
