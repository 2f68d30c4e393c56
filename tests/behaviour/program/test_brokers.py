"""
Why Kafka cannot be reached, in one line; and which file of the settings is to blame.
"""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.ports import LOOPBACK, free_port
from streams.program.brokers import UnusableFilesError, ssl_context, why_unreachable
from streams.program.settings import CommonSettings

TLS = Path(__file__).parents[2] / "integration" / "ingest" / "tls"
CERT, KEY = str(TLS / "cert.pem"), str(TLS / "key.pem")


def settings(**given: Any) -> CommonSettings:  # noqa: ANN401 - as pydantic takes them
    return CommonSettings(**given)


@pytest.fixture
def silent() -> Iterator[str]:
    """Give an address where a server listens that is no Kafka."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield f"{LOOPBACK}:{listening.getsockname()[1]}"


def test_no_server_listens() -> None:
    servers = f"{LOOPBACK}:{free_port()},no-such-host.invalid:9092"
    why = why_unreachable(settings(kafka_bootstrap_servers=servers), TimeoutError())
    first, second = servers.split(",")
    assert why.startswith(f"Kafka does not answer at KAFKA_BOOTSTRAP_SERVERS={servers} ({first}: Connection refused; ")
    assert f"{second}: " in why


def test_a_port_that_cannot_be() -> None:
    why = why_unreachable(settings(kafka_bootstrap_servers=f"{LOOPBACK}:99999"), TimeoutError())
    assert why.startswith(f"Kafka does not answer at KAFKA_BOOTSTRAP_SERVERS={LOOPBACK}:99999 (")


def test_another_server_listens(silent: str) -> None:
    assert why_unreachable(settings(kafka_bootstrap_servers=silent), TimeoutError()) == (
        f"what listens at KAFKA_BOOTSTRAP_SERVERS={silent} is no Kafka that speaks KAFKA_SECURITY_PROTOCOL=PLAINTEXT, "
        "or is stuck (TimeoutError)"
    )


def test_a_password_is_only_one_of_the_possible_reasons(silent: str) -> None:
    sasl = {"kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "a", "kafka_sasl_password": "b"}
    given = settings(kafka_bootstrap_servers=silent, kafka_security_protocol="SASL_PLAINTEXT", **sasl)
    assert why_unreachable(given, TimeoutError()) == (
        f"Kafka at KAFKA_BOOTSTRAP_SERVERS={silent} refuses KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME or "
        "KAFKA_SASL_PASSWORD, or does not speak KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT, or is stuck (TimeoutError)"
    )


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone.pem"
    with pytest.raises(UnusableFilesError, match=f"^KAFKA_SSL_CAFILE={gone}: No such file or directory$"):
        ssl_context(settings(kafka_security_protocol="SSL", kafka_ssl_cafile=str(gone)))


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (CERT, f"KAFKA_SSL_KEYFILE={CERT}: no private key is in it"),
        ("/gone.pem", "KAFKA_SSL_KEYFILE=/gone.pem: No such file or directory"),
        (None, f"KAFKA_SSL_CERTFILE={CERT}: no private key is in it, and KAFKA_SSL_KEYFILE is not set"),
    ],
)
def test_a_certificate_without_its_key_is_named(key: str | None, line: str) -> None:
    with pytest.raises(UnusableFilesError) as wrong:
        ssl_context(settings(kafka_security_protocol="SSL", kafka_ssl_certfile=CERT, kafka_ssl_keyfile=key))
    assert str(wrong.value) == line


def test_each_file_that_cannot_be_used_is_named_at_once() -> None:
    files = {"kafka_ssl_cafile": KEY, "kafka_ssl_certfile": "/gone.pem", "kafka_ssl_keyfile": CERT}
    with pytest.raises(UnusableFilesError) as wrong:
        ssl_context(settings(kafka_security_protocol="SSL", **files))
    assert [line.split(" (")[0] for line in str(wrong.value).splitlines()] == [
        f"KAFKA_SSL_CAFILE={KEY}: no certificate is in it",
        "KAFKA_SSL_CERTFILE=/gone.pem: No such file or directory",
        f"KAFKA_SSL_KEYFILE={CERT}: no private key is in it",
    ]


def test_both_files_together_are_taken() -> None:
    protocol = "SASL_SSL"
    sasl = {"kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "a", "kafka_sasl_password": "b"}
    given = settings(kafka_security_protocol=protocol, kafka_ssl_certfile=CERT, kafka_ssl_keyfile=KEY, **sasl)
    assert isinstance(ssl_context(given), ssl.SSLContext)
