"""
How the Kafka clients are told to reach the brokers. aiokafka and kafka-python use the same words.
"""

import socket
import ssl
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any, Final

from streams.program.certificates import NO_PASSWORD, certificates_problems, pair_problems
from streams.program.kafka_problems import unreachable
from streams.program.settings import CommonSettings

_ASK_SECONDS: Final = 3.0


class UnusableFilesError(Exception):
    """Files of KAFKA_SSL_… cannot be read, or are not what they should be. `str()` is a line for each that names it."""


def ssl_context(settings: CommonSettings) -> ssl.SSLContext | None:
    """Return the TLS context for the brokers, None when the protocol has no TLS; UnusableFilesError."""
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    authorities, certificate, key = settings.kafka_ssl_cafile, settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile
    if problems := list(kafka_file_problems(vars(settings))):
        raise UnusableFilesError("\n".join(problems))
    context = ssl.create_default_context(cafile=authorities)
    if certificate:
        context.load_cert_chain(certificate, key, password=NO_PASSWORD)
    return context


def kafka_file_problems(named: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each file of KAFKA_SSL_… that cannot be used; `named` has the settings that are valid."""
    if not str(named.get("kafka_security_protocol", "SSL")).endswith("SSL"):
        return
    if authorities := named.get("kafka_ssl_cafile"):
        yield from certificates_problems("KAFKA_SSL_CAFILE", authorities)
    yield from pair_problems(named, "kafka_ssl_certfile", "kafka_ssl_keyfile")


def client_options(settings: CommonSettings) -> dict[str, Any]:
    """Return the keyword arguments that aiokafka's and kafka-python's clients share; UnusableFilesError."""
    return {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": ssl_context(settings),
        **_sasl(settings),
    }


def why_unreachable(settings: CommonSettings, error: Exception) -> str:
    """
    Say in one line why no client gets an answer from the brokers, as far as connecting to them tells.

    `error` is the client's own, raised when its time was up; kafka-python raises the same for every reason. Takes a
    few seconds.
    """
    servers = f"KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}"
    told = f"({type(error).__name__})"
    reasons: list[str] = []
    deadline = monotonic() + _ASK_SECONDS
    for server in settings.bootstrap_servers:
        host, _, port = server.rpartition(":")
        if reasons and monotonic() > deadline:
            reasons.append("and so on")
            break
        try:
            _connect(host, int(port), ssl_context(settings))
        except (OSError, OverflowError, UnicodeError, UnusableFilesError) as refused:
            reasons.append(f"{server}: {_reason(refused)}")
            continue
        return f"{_what_may_be_wrong(settings, servers)} {told}"
    return unreachable(settings, "; ".join(reasons))


def _what_may_be_wrong(settings: CommonSettings, servers: str) -> str:
    """Return why a server that takes connections may not answer."""
    protocol = f"KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol}"
    if settings.kafka_security_protocol.startswith("SASL"):
        names = "KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD"
        return f"Kafka at {servers} refuses {names}, or does not speak {protocol}, or is stuck"
    needs = "" if settings.kafka_ssl_certfile or protocol.endswith("TEXT") else ", or wants a KAFKA_SSL_CERTFILE"
    return f"what listens at {servers} is no Kafka that speaks {protocol}{needs}, or is stuck"


def _connect(host: str, port: int, context: ssl.SSLContext | None) -> None:
    with socket.create_connection((host, port), timeout=_ASK_SECONDS) as connection:
        if context is not None:
            context.wrap_socket(connection, server_hostname=host).close()


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    return getattr(error, "strerror", None) or str(error)


def _sasl(settings: CommonSettings) -> dict[str, Any]:
    if not settings.kafka_security_protocol.startswith("SASL"):
        return {}
    password = settings.kafka_sasl_password
    return {
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else None,
    }
