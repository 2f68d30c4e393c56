"""A webhook works as Compose runs the workers, and its secret reaches no other program."""

import runpy
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from streams.contract import permissions

DOCKER: Final = Path(__file__).parents[3] / "docker"


def test_the_user_of_the_workers_may_do_what_a_webhook_needs() -> None:
    users: dict[str, Any] = runpy.run_path(str(DOCKER / "kafka_users.py"))["USERS"]
    assert {*permissions.worker("p."), *permissions.webhook("p.")} == {*users["streams"]("p.")}


@pytest.mark.parametrize("name", ["STREAMS_ALARM_WEBHOOK", "STREAMS_ALARM_WEBHOOK_SECRET"])
def test_a_webhook_and_its_secret_reach_the_workers_alone(name: str) -> None:
    """Neither without the other: `routee-streams topics` would refuse its settings."""
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    told = {of: one["environment"].get(name) for of, one in compose["services"].items() if "env_file" in one}
    assert told.pop("streams") is None, "a value here would hide that of the file"
    assert len(told) > 3
    assert {*told.values()} == {""}
