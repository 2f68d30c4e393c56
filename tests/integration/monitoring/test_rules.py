"""Each alarm comes when it has to, and stays away otherwise: promtool runs the cases."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.monitoring import FOLDER, found, what_is_missing

RULES = FOLDER / "rules.yaml"
CASES = sorted(FOLDER.glob("*.test.yaml"))
NEEDS_PROMTOOL = pytest.mark.skipif(bool(what_is_missing("promtool")), reason=str(what_is_missing("promtool")))


def alarms() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


@NEEDS_PROMTOOL
@pytest.mark.parametrize("file", CASES, ids=lambda file: file.name)
def test_the_cases_hold(file: Path) -> None:
    ran = subprocess.run(
        [found("promtool") or "", "test", "rules", file.name], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@NEEDS_PROMTOOL
def test_promtool_has_no_fault_with_the_configuration() -> None:
    ran = subprocess.run(
        [found("promtool") or "", "check", "config", "prometheus.yaml"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alarm_has_a_case_in_which_it_comes_and_one_in_which_it_does_not() -> None:
    tests = [
        test for file in CASES for case in yaml.safe_load(file.read_text())["tests"] for test in case["alert_rule_test"]
    ]
    assert {test["alertname"] for test in tests if test["exp_alerts"]} == alarms().keys()
    assert {test["alertname"] for test in tests if not test["exp_alerts"]} == alarms().keys()


def test_every_alarm_has_a_severity_and_a_section_of_the_runbook_that_says_where_to_look_and_what_to_do() -> None:
    _, *sections = (FOLDER / "RUNBOOK.md").read_text().split("\n## ")
    told = {section.partition("\n")[0]: section for section in sections}
    assert told.keys() == alarms().keys()
    for name, rule in alarms().items():
        assert rule["labels"]["severity"] in ("page", "warning"), name
        assert rule["annotations"]["runbook"] == f"RUNBOOK.md#{name.lower()}", name
        assert rule["annotations"]["summary"], name
        assert "\n- **Look**: " in told[name], name
        assert "\n- **Do**: " in told[name], name
