"""
The real Prometheus looks at the real programs: every query of every panel is answered, and no alarm is raised.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from sandbox.audit.clickhouse import ClickHouse
from sandbox.audit.http import fetch
from sandbox.stack import Sandbox
from tests.dashboards.asking import Sources, Span
from tests.dashboards.delivery import DELIVERY
from tests.dashboards.operations import OPERATIONS
from tests.dashboards.panels import SQL, Dashboard, Panel, PromQL
from tests.support.monitoring import FOLDER, Prometheus, what_is_missing
from tests.support.wait import eventually

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.clickhouse,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(what_is_missing("prometheus")), reason=str(what_is_missing("prometheus"))),
]

EMULATE = str(Path(sys.executable).with_name("routee-sandbox"))
# For longer than these tests take: on a busy machine, too, they see traffic.
TRAFFIC = "--campaigns 2 --recipients 20000 --singles 60 --seed 5 --rate 30 --malformed 0 --reorder 0"
# An operator of the demo that breaks is the alarms' own matter. TLS is not on here, and no backfill runs.
NOT_ON_THESE_PAGES = {
    "routee_ingest_certificate_end_seconds",
    "routee_backfill_ready",
    "routee_backfill_round_end_seconds",
    "routee_backfill_gone",
    "routee_backfill_oldest_deadline_seconds",
}
# The disk of this machine may be as it likes, and so may its load.
OF_THE_MACHINE = {"DiskLow", "DiskFull", "IngestSlow", "IngestRefuses"}


class Watched(NamedTuple):
    sources: Sources
    began: float


@pytest.fixture(scope="module")
def watched(sandbox: Sandbox, database: ClickHouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Give Prometheus and ClickHouse while traffic flows, which Prometheus has seen from its beginning."""
    with Prometheus(tmp_path_factory.mktemp("prometheus"), sandbox.addresses.pages) as prometheus:
        pages = len(sandbox.addresses.pages)
        eventually(lambda: len([1 for _, value in prometheus.now("up") if value == 1]) == pages)
        # The dashboard shows a day, and the traffic of the emulator may take that long in Routee's time.
        start = datetime.now(UTC) - timedelta(hours=22)
        url = sandbox.addresses.callback_url
        command = [EMULATE, "emulate", "--url", url, "--start", start.isoformat(), *TRAFFIC.split()]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as emulator:
            try:
                yield Watched(Sources(prometheus, database), time.time())
            finally:
                emulator.terminate()
        # The next tests count callbacks, too.
        eventually(lambda: [value for _, value in prometheus.now("sum(routee_streams_lag_records)")] == [0], every=1)


def panels() -> Iterator[tuple[Dashboard, Panel]]:
    for dashboard in (OPERATIONS, DELIVERY):
        yield from ((dashboard, panel) for panel in dashboard.panels)


@pytest.mark.parametrize(
    ("dashboard", "panel"),
    [pytest.param(dashboard, panel, id=f"{dashboard.name}: {panel.title}") for dashboard, panel in panels()],
)
def test_every_panel_has_an_answer(watched: Watched, dashboard: Dashboard, panel: Panel) -> None:
    """An error of a query ends the test at once."""

    def answered() -> bool:
        now = time.time()
        scraped, shown_by_grafana = Span(watched.began, now, 5), Span(now - dashboard.hours * 3600, now, 60)
        is_sql = isinstance(panel.queries[0], SQL)
        answer = watched.sources.answer(panel, shown_by_grafana if is_sql else scraped)
        shown = any(answer.lines.values()) or (answer.number is not None if panel.kind == "number" else answer.rows)
        return bool(shown or panel.may_be_empty)

    assert eventually(answered, every=0.5)


def test_every_rule_can_be_evaluated_and_no_alarm_is_raised_or_near(watched: Watched) -> None:
    written = yaml.safe_load((FOLDER / "rules.yaml").read_text())

    def is_quiet() -> bool:
        rules = [rule for group in watched.sources.prometheus.ask("rules")["groups"] for rule in group["rules"]]
        assert len(rules) == sum(len(group["rules"]) for group in written["groups"])
        assert {rule["name"]: rule["health"] for rule in rules if rule["health"] != "ok"} == {}
        raised = {rule["name"] for rule in rules if rule.get("state", "inactive") != "inactive"}
        assert raised <= OF_THE_MACHINE
        return True

    assert eventually(is_quiet, every=1)


def test_every_metric_that_is_asked_for_is_one_of_the_programs(sandbox: Sandbox) -> None:
    pages = b"\n".join(fetch(f"{url}/metrics") for url in sandbox.addresses.pages.values()).decode()
    served = {
        name + suffix
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)", pages, re.MULTILINE)
        for suffix in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
    }
    rules = yaml.safe_load((FOLDER / "rules.yaml").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    expressions += [query.expression for _, panel in panels() for query in panel.queries if isinstance(query, PromQL)]
    asked = {name for text in expressions for name in re.findall(r"(?<![\w:])(?:routee|process)_\w+(?![\w:])", text)}
    assert asked - served == NOT_ON_THESE_PAGES
    assert "_created" not in pages
    assert set(re.findall(r'^routee_disk_free_bytes{store="(\w+)"', pages, re.MULTILINE)) == {
        "state",
        "files",
        "clickhouse",
    }
    assert set(re.findall(r'^routee_build_info{program="([\w-]+)"', pages, re.MULTILINE)) == {*sandbox.addresses.pages}
