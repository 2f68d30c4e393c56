"""
compose.secure.yaml at work: callbacks over HTTPS, a Kafka that knows each program, a ClickHouse that speaks HTTPS only.
"""

import time
from typing import Final

import pytest

from tests.containers.engine import DOCKER
from tests.containers.project import Project
from tests.containers.test_readme import here
from tests.e2e.markdown import blocks
from tests.support.wait import eventually

_BY_HAND: Final = "Commands by hand"
_RECIPIENT: Final = "+306900000002"
_SECTION: Final = "TLS and a user for each program"
# As a program would, with a trusted certificate and no password: Kafka lists no topic to strangers.
_STRANGER: Final = """
docker compose exec --no-TTY ingest python -c "
from kafka import KafkaConsumer
KafkaConsumer(bootstrap_servers='kafka:9092', security_protocol='SSL', ssl_cafile='/run/secrets/tls_ca').topics()"
"""
# With the password of ingest, from its own container: it may write callbacks, and read none.
_READER: Final = """
docker compose exec --no-TTY ingest python -c "
import pathlib, kafka
consumer = kafka.KafkaConsumer(
    bootstrap_servers='kafka:9092', security_protocol='SASL_SSL', ssl_cafile='/run/secrets/tls_ca',
    sasl_mechanism='SCRAM-SHA-512', sasl_plain_username='ingest',
    sasl_plain_password=pathlib.Path('/run/secrets/kafka_password_ingest').read_text())
consumer.assign([kafka.TopicPartition('routee.callbacks.raw', 0)])
consumer.seek_to_beginning()
consumer.poll(20000)"
"""


@pytest.mark.timeout(600)
def test_a_callback_goes_through_by_tls_and_strangers_get_nothing(project: Project, figures: dict[str, str]) -> None:
    (block,) = blocks(DOCKER / "README.md", _SECTION, "sh")
    start, send, look = (here(project, step) for step in block.split("\n\n"))
    project.set(COMPOSE_FILE="compose.yaml:compose.secure.yaml")
    began = time.monotonic()
    project.run(start)
    figures["compose.secure.yaml up"] = f"after {time.monotonic() - began:.1f} s"
    began = time.monotonic()
    assert "HTTP/1.1 200" in project.run(send)
    eventually(lambda: "s-2" in project.run(look), deadline=60, every=0.2)
    figures["a callback over TLS in ClickHouse"] = f"after {time.monotonic() - began:.1f} s"

    _erase_by_hand(project)
    assert project.fails(_STRANGER)
    assert "TopicAuthorizationFailed" in project.fails(_READER)
    for address in ["clickhouse", *project.addresses("clickhouse")]:
        assert not project.reaches("ingest", address, 8443), address
    assert project.reaches("sinks-clickhouse", "clickhouse", 8443)
    assert not project.reaches("sinks-clickhouse", "clickhouse", 8123)


def _erase_by_hand(project: Project) -> None:
    """Erase the recipient by the README's own commands: ClickHouse loses the number, and every store can be asked."""
    (block,) = blocks(DOCKER / "README.md", _BY_HAND, "sh")
    erase, verify = (line.partition("#")[0] for line in block.splitlines()[:2])
    project.run(f"echo '{_RECIPIENT}' > numbers.txt")
    numbers = f"SELECT countIf(recipient = '{_RECIPIENT}') FROM routee.sms"  # noqa: S608 - our own words
    assert _asked(project, numbers) == "1"
    project.run(erase)
    eventually(lambda: _asked(project, numbers) == "0", deadline=60, every=0.5)
    assert "clickhouse: found 0," in project.run(verify)


def _asked(project: Project, query: str) -> str:
    """Return the answer of ClickHouse to a query."""
    password = project.secret("clickhouse_password")
    ask = f"curl --silent --fail --cacert secrets/tls_ca.pem --user routee:{password} https://{project.clickhouse}"
    return project.run(f'{ask} --data-binary "{query}"').strip()
