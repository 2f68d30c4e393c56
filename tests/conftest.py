"""
What every test may ask for: a real Kafka and a real ClickHouse engine, started once per run by the sandbox's own code.
"""

import secrets
from collections.abc import Iterator

import pytest

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
