"""
All three programs with a Kafka whose user may use the topics, and may not see their settings.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
)

from sandbox.kafka import KafkaCluster
from sandbox.ports import free_port
from tests.integration.ingest.process import COMMAND, environment, ingest
from tests.integration.secured.test_secured_kafka import run

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

WARNING = "this user may not see the settings of"
PREFIX = "hidden."


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a broker with topics that are not as they should be, which the user cannot know."""
    properties = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        "unclean.leader.election.enable": "true",
    }
    with KafkaCluster(tmp_path_factory.mktemp("permissions"), free_port(), properties=properties) as kafka:
        made = run("routee-streams", "topics", kafka_at(kafka.bootstrap_servers))
        assert made.returncode == 0, made.stderr
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
        topics = ResourcePattern(ResourceType.TOPIC, PREFIX, ACLResourcePatternType.PREFIXED)
        admin.create_acls(
            [
                ACL("User:ANONYMOUS", "*", operation, permission, topics)
                for operation, permission in (
                    (ACLOperation.ALL, ACLPermissionType.ALLOW),
                    (ACLOperation.DESCRIBE_CONFIGS, ACLPermissionType.DENY),
                )
            ]
        )
        admin.close()
        yield kafka.bootstrap_servers


def kafka_at(servers: str) -> dict[str, str]:
    return {"KAFKA_BOOTSTRAP_SERVERS": servers, "KAFKA_TOPIC_PREFIX": PREFIX, "KAFKA_PARTITIONS": "4"}


def test_ingest_warns_and_starts(servers: str, tmp_path: Path) -> None:
    env = environment(servers, PREFIX)
    check = subprocess.run(
        [*COMMAND, "check"], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (check.returncode, check.stderr) == (0, "")
    assert f"warning: {WARNING} {PREFIX}callbacks.raw, {PREFIX}callbacks.rejected: " in check.stdout
    with ingest(tmp_path, env) as server:
        server.wait_ready()
        assert server.log.count(WARNING) == 1


def test_streams_warns_and_finds_its_topics_in_order(servers: str, tmp_path: Path) -> None:
    said = run("routee-streams", "check", kafka_at(servers) | {"STREAMS_DATA_DIR": str(tmp_path / "state")})
    assert (said.returncode, said.stderr) == (0, "")
    assert f"warning: {WARNING} {PREFIX}callbacks.raw, " in said.stdout


def test_sinks_warn(servers: str, tmp_path: Path) -> None:
    settings = {"CLICKHOUSE_URL": "http://127.0.0.1:1", "SINKS_FILES_ROOT": str(tmp_path)}
    said = run("routee-sinks", "check", kafka_at(servers) | settings)
    assert f"warning: {WARNING} {PREFIX}sms.status, " in said.stdout
    assert "topic " not in said.stderr
