"""
Errors of Kafka that waiting does not mend, and the change that each asks for.
"""

from collections.abc import Sequence
from typing import Final

from kafka.errors import (
    AuthorizationError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

from streams.contract.permissions import Kind, Operation, Resource
from streams.program.kafka_problems import missing_permission, refused_user
from streams.program.settings import CommonSettings

_AUTHENTICATION: Final = (SaslAuthenticationFailedError, UnsupportedSaslMechanismError, IllegalSaslStateError)


def refusal(error: KafkaError, settings: CommonSettings, topics: Sequence[str], group: str) -> str | None:
    """Return one line that says what to change, None when waiting may mend it."""
    name = type(error).__name__
    if isinstance(error, GroupAuthorizationFailedError):
        return missing_permission(Resource(Kind.GROUP, group), [Operation.READ])
    if isinstance(error, AuthorizationError):
        named = [topic for topic in topics if topic in str(error)] or topics
        return "; ".join(missing_permission(Resource(Kind.TOPIC, topic), [Operation.READ]) for topic in named)
    if isinstance(error, _AUTHENTICATION):
        return refused_user(settings, name)
    if isinstance(error, UnsupportedVersionError):
        return f"KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}: the brokers are too old ({name})"
    return None
