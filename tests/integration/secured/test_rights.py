"""
The users of `docker/kafka_users.py` on the real Kafka: each program can do its own work, and no other.
"""

import os
import runpy
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ACL, KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAuthorizationFailedError

from tests.integration.secured.brokers import TLS, SecuredKafka
from tests.integration.secured.test_secured_kafka import Pipeline, expect_a_row, run
from tests.support.forks import run_forked
from tests.support.markdown import ROOT

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

_USERS: Final[dict[str, Any]] = runpy.run_path(str(ROOT / "docker" / "kafka_users.py"))
NAMES: Final[list[str]] = list(_USERS["USERS"])
credentials: Final[Callable[[Mapping[str, str]], list[Any]]] = _USERS["credentials"]
acls: Final[Callable[[str], list[ACL]]] = _USERS["acls"]
PREFIX: Final = "rights."
TOPICS: Final = {"KAFKA_TOPIC_PREFIX": PREFIX, "KAFKA_PARTITIONS": "2"}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    properties = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with SecuredKafka(tmp_path_factory.mktemp("rights") / "kafka", properties=properties) as kafka:
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
        admin.alter_user_scram_credentials(credentials({name: f"password-of-{name}" for name in NAMES}))
        assert admin.create_acls(acls(PREFIX))["failed"] == []
        admin.close()
        made = run("routee-streams", "topics", of(kafka, "topics") | TOPICS)
        assert (made.returncode, made.stderr) == (0, "")
        yield kafka


def of(kafka: SecuredKafka, user: str) -> dict[str, str]:
    return kafka.by_password(user, f"password-of-{user}")


def client_of(kafka: SecuredKafka, user: str) -> dict[str, Any]:
    settings = of(kafka, user)
    return {
        "bootstrap_servers": settings["KAFKA_BOOTSTRAP_SERVERS"],
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(TLS / "cert.pem"),
        "sasl_mechanism": settings["KAFKA_SASL_MECHANISM"],
        "sasl_plain_username": user,
        "sasl_plain_password": settings["KAFKA_SASL_PASSWORD"],
    }


def test_a_callback_goes_through_with_a_user_for_each_program(secured: SecuredKafka, tmp_path: Path) -> None:
    expect_a_row(Pipeline(tmp_path, {}, PREFIX, {name: of(secured, name) for name in NAMES}))


@pytest.mark.parametrize("program", ["ingest", "streams"])
def test_each_program_may_see_the_settings_of_its_topics(secured: SecuredKafka, tmp_path: Path, program: str) -> None:
    settings = of(secured, program) | TOPICS | {"STREAMS_DATA_DIR": str(tmp_path), "INGEST_HOST": "127.0.0.1"}
    said = run(f"routee-{program}", "check", settings)
    assert (said.returncode, said.stderr) == (0, "")
    assert "may not see" not in said.stdout


@pytest.mark.parametrize("user", ["ingest", "sinks", "topics"])
def test_only_streams_writes_the_status_of_an_sms(secured: SecuredKafka, user: str) -> None:
    with KafkaProducer(**client_of(secured, user)) as producer:
        sent = producer.send(f"{PREFIX}sms.status", b"x")
        with pytest.raises(KafkaError):
            sent.get(20)


@pytest.mark.parametrize("user", ["ingest", "topics"])
def test_a_user_that_only_writes_reads_nothing(secured: SecuredKafka, user: str) -> None:
    with KafkaConsumer(**client_of(secured, user)) as consumer:
        consumer.assign([TopicPartition(f"{PREFIX}callbacks.raw", 0)])
        with pytest.raises(TopicAuthorizationFailedError):
            consumer.poll(20_000)


@pytest.mark.parametrize("user", ["ingest", "streams", "sinks"])
def test_a_program_makes_no_topic(secured: SecuredKafka, user: str) -> None:
    admin = KafkaAdminClient(**client_of(secured, user))
    with pytest.raises(KafkaError):
        admin.create_topics([NewTopic(f"{PREFIX}sms.other", 1, 1)])
    admin.close()


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("streams", ("erase", "--recipient", "+306912345678")),
        ("streams", ("erase", "--recipient", "+306912345678", "--verify")),
        ("streams", ("alarms", "mute", "account", "--hours", "1")),
        ("ingest", ("redrive", "--since", "2026-11-22T03:00:00Z")),
    ],
)
def test_a_command_by_hand_has_a_user_who_may(
    secured: SecuredKafka, tmp_path: Path, program: str, arguments: tuple[str, ...]
) -> None:
    settings = (
        of(secured, "tools") | TOPICS | {"STREAMS_DATA_DIR": str(tmp_path), "ERASURE_KEY": sha256(b"a key").hexdigest()}
    )
    said = run_forked(program, *arguments, environment={**os.environ, **settings})
    assert (said.returncode, "may not" in said.stdout + said.stderr) == (0, False), said.stderr


def test_no_right_reaches_beyond_the_prefix() -> None:
    assert {acl.resource_pattern.resource_name.startswith(PREFIX) for acl in acls(PREFIX)} == {True}
