"""
What every test may ask for: a real Kafka and a real ClickHouse engine, started once per run by the sandbox's own code.
"""

import secrets
from collections.abc import Iterator

import pytest

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Give a running broker of its own to the whole run; use `topic_prefix` to be alone on it."""
    cluster = KafkaCluster(tmp_path_factory.mktemp("kafka"), free_port())
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def topic_prefix() -> str:
    """Give a prefix for topics and groups that no other test has."""
    return f"t{secrets.token_hex(4)}."


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """Give a running engine of its own to the whole run; use `database` to be alone in it."""
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"), free_port(), password=secrets.token_hex(8))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def database() -> str:
    """Give the name of a database that no other test has; it is not created."""
    return f"test_{secrets.token_hex(4)}"
