"""
The health check finds the program that the container runs, and believes only a 200.
"""

import runpy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pytest

from tests.containers.engine import DOCKER

_PROBE: Final[dict[str, Any]] = runpy.run_path(str(DOCKER / "probe.py"))
port_of: Final[Callable[[Sequence[str], Mapping[str, str]], int | None]] = _PROBE["port_of"]


@pytest.mark.parametrize(
    ("command", "port"),
    [
        ("routee-ingest serve", 9101),
        ("/opt/routee/bin/python /opt/routee/bin/routee-ingest serve", 9101),
        ("routee-ingest backfill --watch", 9105),
        ("routee-console serve", 9106),
        ("/sbin/docker-init -- routee-streams worker", 9103),
        ("/opt/routee/bin/python /opt/routee/bin/routee-sinks clickhouse", 9102),
        ("/opt/routee/bin/python /opt/routee/bin/routee-sinks files", 9102),
    ],
)
def test_a_server_is_asked_on_its_port(command: str, port: int) -> None:
    assert port_of(command.split(), {}) == port


def test_the_port_is_the_one_that_is_set() -> None:
    assert port_of(["routee-streams", "worker"], {"STREAMS_ADMIN_PORT": "7077", "INGEST_ADMIN_PORT": "1"}) == 7077
    assert port_of(["routee-streams", "worker"], {"STREAMS_ADMIN_PORT": ""}) == 9103


@pytest.mark.parametrize(
    "command",
    ["routee-streams topics", "routee-sinks schema", "routee-ingest check", "routee-ingest backfill", "sh", ""],
)
def test_what_ends_by_itself_is_not_asked(command: str) -> None:
    assert port_of(command.split(), {}) is None
