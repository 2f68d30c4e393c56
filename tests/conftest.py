"""
Fixtures for every test, and the ban on network access in unit tests.

A real Kafka and a real ClickHouse engine are started once per run, by the sandbox's own code, for the first test that
asks. Tests below `unit/` and `project/` fail when they reach for the network, even if the code swallows the error.
"""

import os
import secrets
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from tests.support.kafka_sockets import close_sockets_of_failed_attempts
from tests.support.network import NetworkGuard

_HERE = Path(__file__).parent
_OFFLINE = (_HERE / "unit", _HERE / "project")
_GUARD = NetworkGuard()

# The time of an example depends on the load of the machine, not on the code under test.
_PATIENT = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("local", _PATIENT, max_examples=100)
hypothesis.settings.register_profile("ci", _PATIENT, max_examples=100, derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the tests marked `full` too: faults and soak, minutes")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "full: takes minutes; runs with --full only")
    sys.addaudithook(_GUARD)
    close_sockets_of_failed_attempts()
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # Under `nohup` the programs would ignore it, too. A new program inherits no handler, so it ends at the signal.
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: run `make faults`, or pytest with --full"))


@pytest.fixture(autouse=True)
def _offline(request: pytest.FixtureRequest) -> Iterator[None]:
    if not any(request.path.is_relative_to(folder) for folder in _OFFLINE):
        yield
        return
    with _GUARD.watching() as attempts:
        yield
    assert not attempts, f"a unit test reached for the network: {attempts}"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Give a running broker of its own to the whole run; use `topic_prefix` to be alone on it."""
    with KafkaCluster(tmp_path_factory.mktemp("kafka"), free_port()) as cluster:
        yield cluster


@pytest.fixture
def topic_prefix() -> str:
    """Give a prefix for topics and groups that no other test has."""
    return f"t{secrets.token_hex(4)}."


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """Give a running engine of its own to the whole run; use `database` to be alone in it."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with ClickHouseServer(folder, free_port(), password=secrets.token_hex(8)) as server:
        yield server


@pytest.fixture
def database() -> str:
    """Give the name of a database that no other test has; it is not created."""
    return f"test_{secrets.token_hex(4)}"
