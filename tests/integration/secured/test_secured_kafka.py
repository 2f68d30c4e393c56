"""
All three programs with a Kafka that requires TLS and authentication.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess
from uuid import uuid4

import orjson
import pytest

from sandbox.ports import free_port
from sandbox.process import Process
from streams.contract.codec import format_time
from tests.builders import sms_callback
from tests.e2e.posting import post
from tests.integration.ingest.process import environment, ingest
from tests.integration.secured.brokers import PASSWORD, TLS, USER, SecuredKafka
from tests.support.forks import preload, run_forked
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

preload("ingest.check", "sinks.cli", "streams.cli")

CHECKS = ("routee-ingest", "routee-streams", "routee-sinks")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with SecuredKafka(tmp_path_factory.mktemp("secured") / "kafka") as kafka:
        kafka.add_user()
        yield kafka


def by_password(kafka: SecuredKafka, mechanism: str, password: str = PASSWORD) -> dict[str, str]:
    return kafka.settings("SASL_SSL") | {
        "KAFKA_SASL_MECHANISM": mechanism,
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": password,
    }


def by_certificate(kafka: SecuredKafka) -> dict[str, str]:
    files = {"KAFKA_SSL_CERTFILE": str(TLS / "cert.pem"), "KAFKA_SSL_KEYFILE": str(TLS / "key.pem")}
    return kafka.settings("SSL") | files


def run(program: str, argument: str, settings: Mapping[str, str]) -> CompletedProcess[str]:
    return run_forked(program.removeprefix("routee-"), argument, environment={**os.environ, **settings})


class Pipeline:
    """Ingest, streams and the sink of files with one way to reach Kafka; `users` are further settings, by user."""

    def __init__(
        self,
        folder: Path,
        kafka: Mapping[str, str],
        prefix: str,
        users: Mapping[str, Mapping[str, str]] | None = None,
        partitions: int = 2,
    ) -> None:
        self._users = users or {}
        self._files = folder / "files"
        self._folder = folder
        self._settings = {
            **os.environ,
            **kafka,
            "KAFKA_TOPIC_PREFIX": prefix,
            "KAFKA_PARTITIONS": str(partitions),
            "STREAMS_DATA_DIR": str(folder / "state"),
            "STREAMS_WEB_PORT": str(free_port()),
            "STREAMS_ADMIN_PORT": str(free_port()),
            "SINKS_ADMIN_PORT": "0",
            "SINKS_FILES_ROOT": str(self._files),
            "SINKS_FILES_FORMAT": "ndjson",
            "SINKS_BATCH_SECONDS": "0.1",
        }
        made = run("routee-streams", "topics", self._of("topics"))
        assert made.returncode == 0, made.stderr
        self._stack = ExitStack()
        self._ingest = self._stack.enter_context(ingest(folder, environment("", prefix) | self._ours()))
        for program, argument in (("streams", "worker"), ("sinks", "files")):
            self._start(program, argument)

    def _of(self, user: str) -> dict[str, str]:
        return {**self._settings, **self._users.get(user, {})}

    def _ours(self) -> dict[str, str]:
        return {name: value for name, value in self._of("ingest").items() if name.startswith("KAFKA_")}

    def _start(self, program: str, argument: str) -> None:
        path = str(Path(sys.executable).with_name(f"routee-{program}"))
        process = Process(program, (path, argument), self._folder / f"{program}.log", self._of(program))
        process.start()
        self._stack.callback(process.stop, 20)

    def post(self, body: bytes) -> int:
        self._ingest.wait_ready()
        return post(f"http://127.0.0.1:{self._ingest.port}/callbacks", body)

    def has_row(self) -> bool:
        return any(self._files.glob("sms_status/date=*/[!.]*.ndjson.gz"))

    def close(self) -> None:
        self._stack.close()


def test_a_callback_reaches_the_files_by_password(secured: SecuredKafka, tmp_path: Path) -> None:
    expect_a_row(Pipeline(tmp_path, by_password(secured, "SCRAM-SHA-512"), "password."))


def test_a_callback_reaches_the_files_by_certificate(secured: SecuredKafka, tmp_path: Path) -> None:
    expect_a_row(Pipeline(tmp_path, by_certificate(secured), "certificate."))


def expect_a_row(pipeline: Pipeline) -> None:
    """Post one callback, and wait until it comes out at the other end."""
    try:
        body = sms_callback(at=format_time(datetime.now(UTC)), message_id=str(uuid4()))
        assert pipeline.post(orjson.dumps(body)) == 200
        eventually(pipeline.has_row, 60)
    finally:
        pipeline.close()


@pytest.fixture(scope="module")
def topics(secured: SecuredKafka) -> str:
    """Give the prefix of topics that exist."""
    made = run("routee-streams", "topics", by_certificate(secured) | {"KAFKA_TOPIC_PREFIX": "check."})
    assert made.returncode == 0, made.stderr
    return "check."


def check(program: str, kafka: Mapping[str, str], prefix: str, folder: Path) -> str:
    """Return a program's problem with Kafka; its other problems do not matter here."""
    folders = {"STREAMS_DATA_DIR": str(folder / "state"), "SINKS_FILES_ROOT": str(folder / "files")}
    said = run(
        program,
        "check",
        {**kafka, **folders, "INGEST_HOST": "127.0.0.1", "KAFKA_TOPIC_PREFIX": prefix, "LOG_FORMAT": "text"},
    )
    assert said.returncode in {0, 1}, said.stderr
    lines = (said.stdout + said.stderr).splitlines()
    return "\n".join(
        line for line in lines if "KAFKA_" in line and not line.startswith("warning: what Kafka acknowledges")
    )


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("program", CHECKS)
def test_every_mechanism_is_known_to_every_program(
    secured: SecuredKafka, topics: str, tmp_path: Path, program: str, mechanism: str
) -> None:
    assert check(program, by_password(secured, mechanism), topics, tmp_path) == ""


@pytest.mark.parametrize("program", CHECKS)
def test_a_wrong_password_is_one_line_that_does_not_repeat_it(
    secured: SecuredKafka, topics: str, tmp_path: Path, program: str
) -> None:
    kafka = by_password(secured, "SCRAM-SHA-512", "not-the-password")
    said = check(program, kafka, topics, tmp_path)
    servers = f"Kafka at KAFKA_BOOTSTRAP_SERVERS={kafka['KAFKA_BOOTSTRAP_SERVERS']}"
    assert f"{servers} refuses KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD" in said
    assert "\n" not in said
    assert "not-the-password" not in said


@pytest.mark.parametrize("program", CHECKS)
def test_a_broker_of_an_unknown_authority_is_one_line(
    secured: SecuredKafka, topics: str, tmp_path: Path, program: str
) -> None:
    kafka = {name: value for name, value in by_password(secured, "PLAIN").items() if name != "KAFKA_SSL_CAFILE"}
    said = check(program, kafka, topics, tmp_path)
    assert f"Kafka does not answer at KAFKA_BOOTSTRAP_SERVERS={kafka['KAFKA_BOOTSTRAP_SERVERS']} (" in said
    assert "self-signed certificate" in said
    assert "\n" not in said


@pytest.mark.parametrize("program", CHECKS)
def test_a_broker_that_wants_a_certificate_is_one_line(
    secured: SecuredKafka, topics: str, tmp_path: Path, program: str
) -> None:
    said = check(program, secured.settings("SSL"), topics, tmp_path)
    assert f"KAFKA_BOOTSTRAP_SERVERS={secured.settings('SSL')['KAFKA_BOOTSTRAP_SERVERS']}" in said
    assert "\n" not in said
