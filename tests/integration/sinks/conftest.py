"""
A database with the schema, and sinks as real processes.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.clickhouse.process import ClickHouseServer
from sandbox.kafka import KafkaCluster
from sinks.cli import run_schema
from sinks.clickhouse.client import ClickHouse, connect
from sinks.settings import SinksSettings
from tests.behaviour.sinks.kafka_topics import Topics, create_topics
from tests.integration.sinks.running import Running
from tests.integration.sinks.spare_databases import SpareDatabases
from tests.support.s3.bucket import Bucket
from tests.support.s3.server import S3Server
from tests.support.s3.wire import S3Wire

PARTITIONS = 3
FOR_EVER = [name for name in SinksSettings.model_fields if "_retention_days" in name]


@pytest.fixture(scope="session")
def spare_databases() -> SpareDatabases:
    return SpareDatabases()


@pytest.fixture
def database(request: pytest.FixtureRequest, database: str, spare_databases: SpareDatabases) -> str:
    """Give the name of a database that no other test has; with `tables`, of one that has the schema if one is spare."""
    if "tables" in request.fixturenames and spare_databases.names:
        return spare_databases.names.pop()
    return database


@pytest.fixture
def settings(clickhouse: ClickHouseServer, database: str) -> SinksSettings:
    return SinksSettings(
        clickhouse_url=clickhouse.url,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,
        clickhouse_database=database,
        # The records of tests have dates of their own, which are old one day.
        **dict.fromkeys(FOR_EVER, 0),
    )


@pytest.fixture
def empty(clickhouse: ClickHouseServer, settings: SinksSettings) -> Iterator[ClickHouse]:
    """Give a connection to an empty database."""
    del clickhouse
    anywhere = connect(settings, database="")
    anywhere.execute(f"CREATE DATABASE `{settings.clickhouse_database}`")
    anywhere.close()
    connection = connect(settings)
    yield connection
    connection.execute(f"DROP DATABASE `{settings.clickhouse_database}`")
    connection.close()


@pytest.fixture
def tables(settings: SinksSettings, spare_databases: SpareDatabases) -> Iterator[ClickHouse]:
    """Give a connection to a database of one's own that has the schema, and no rows."""
    name = settings.clickhouse_database
    anywhere = connect(settings, database="")
    is_spare = (name,) in anywhere.rows("SELECT name FROM system.databases")
    if not is_spare and spare_databases.form:
        spare_databases.copy(name, anywhere)
    elif not is_spare:
        run_schema(settings)
    connection = connect(settings)
    if not spare_databases.form:
        spare_databases.learn(connection)
    yield connection
    if not spare_databases.offer(name, connection):
        connection.execute(f"DROP DATABASE `{name}`")
    connection.close()
    anywhere.close()


@pytest.fixture
def topics(kafka: KafkaCluster, topic_prefix: str) -> Iterator[Topics]:
    """Give the topics, to produce to."""
    create_topics(kafka.bootstrap_servers, topic_prefix, PARTITIONS)
    opened = Topics(kafka.bootstrap_servers, topic_prefix)
    yield opened
    opened.close()


@pytest.fixture
def running(kafka: KafkaCluster, topic_prefix: str, settings: SinksSettings, tmp_path: Path) -> Iterator[Running]:
    """Give a way to start sinks as processes; those still running at the end are killed."""
    started = Running(
        tmp_path,
        {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA_TOPIC_PREFIX": topic_prefix,
            "KAFKA_PARTITIONS": str(PARTITIONS),
            "SINKS_ADMIN_PORT": "0",
            "SINKS_BATCH_SECONDS": "0.2",
            "SINKS_FILES_ROOT": str(tmp_path / "files"),
            "CLICKHOUSE_URL": settings.clickhouse_url,
            "CLICKHOUSE_USER": settings.clickhouse_user,
            "CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
            "CLICKHOUSE_DATABASE": settings.clickhouse_database,
            "LOG_FORMAT": "json",
            **{name.upper(): "0" for name in FOR_EVER},
        },
    )
    yield started
    started.kill_all()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Give a running S3 server to the whole run; use `bucket` to be alone on it."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server) -> Iterator[Bucket]:
    """Give an empty bucket that no other test has, behind a wire that may fail."""
    with S3Wire(s3.port) as wire:
        yield Bucket(s3, s3.make_bucket(f"test-{secrets.token_hex(6)}"), wire)
