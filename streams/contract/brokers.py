"""
How the Kafka clients are told to reach the brokers. aiokafka and kafka-python use the same words.
"""

import ssl
from typing import Any

from streams.contract.settings import CommonSettings


def ssl_context(settings: CommonSettings) -> ssl.SSLContext | None:
    """Return the TLS context for the brokers, None when the protocol has no TLS; OSError for unreadable files."""
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_ssl_certfile:
        context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    return context


def client_options(settings: CommonSettings) -> dict[str, Any]:
    """Return the keyword arguments that aiokafka's and kafka-python's clients share."""
    return {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": ssl_context(settings),
        **_sasl(settings),
    }


def _sasl(settings: CommonSettings) -> dict[str, Any]:
    if not settings.kafka_security_protocol.startswith("SASL"):
        return {}
    password = settings.kafka_sasl_password
    return {
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else None,
    }
