"""
Errors of Kafka that waiting does not mend, and the change that each asks for.
"""

from collections.abc import Sequence
from typing import Final

from kafka.errors import (
    AuthorizationError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

from streams.program.kafka_problems import refused_user
from streams.program.settings import CommonSettings

_AUTHENTICATION: Final = (SaslAuthenticationFailedError, UnsupportedSaslMechanismError, IllegalSaslStateError)


def refusal(error: KafkaError, settings: CommonSettings, topics: Sequence[str], group: str) -> str | None:
    """Return one line that says what to change, None when waiting may mend it."""
    name = type(error).__name__
    if isinstance(error, AuthorizationError):
        return (
            f"{_user(settings)} needs the right to READ the group {group} and to READ and DESCRIBE the topics "
            f"{', '.join(topics)} ({name})"
        )
    if isinstance(error, _AUTHENTICATION):
        return refused_user(settings, name)
    if isinstance(error, UnsupportedVersionError):
        return f"KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}: the brokers are too old ({name})"
    return None


def _user(settings: CommonSettings) -> str:
    """Return the user of the settings; without SASL it is the one of the certificate, or anonymous."""
    name = settings.kafka_sasl_username
    return "the user (no KAFKA_SASL_USERNAME is set)" if name is None else f"KAFKA_SASL_USERNAME={name}"
