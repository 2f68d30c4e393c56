"""
A lasting refusal of Kafka names the setting to change; every other error is waited out.
"""

import pytest
from kafka.errors import (
    CorruptRecordError,
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
    UnknownError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)
from pydantic import SecretStr

from sinks.kafka.refusal import refusal
from streams.program.settings import CommonSettings

SETTINGS = CommonSettings(
    kafka_bootstrap_servers="kafka:9092",
    kafka_security_protocol="SASL_PLAINTEXT",
    kafka_sasl_mechanism="PLAIN",
    kafka_sasl_username="reader",
    kafka_sasl_password=SecretStr("secret"),
)
RIGHTS = (
    "KAFKA_SASL_USERNAME=reader needs the right to READ the group routee.files and to READ and DESCRIBE the topics "
    "routee.sms.status, routee.campaign.progress"
)
LOGIN = (
    "Kafka at KAFKA_BOOTSTRAP_SERVERS=kafka:9092 refuses KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME or "
    "KAFKA_SASL_PASSWORD"
)
VERSION = "KAFKA_BOOTSTRAP_SERVERS=kafka:9092: the brokers are too old"


def line(error: KafkaError, settings: CommonSettings = SETTINGS) -> str | None:
    return refusal(error, settings, ["routee.sms.status", "routee.campaign.progress"], "routee.files")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (GroupAuthorizationFailedError("routee.files"), RIGHTS),
        (TopicAuthorizationFailedError({"routee.sms.status"}), RIGHTS),
        (SaslAuthenticationFailedError(), LOGIN),
        (UnsupportedSaslMechanismError(), LOGIN),
        (UnsupportedVersionError(), VERSION),
        (IncompatibleBrokerVersion(), VERSION),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refusal_names_the_setting_to_change(error: KafkaError, expected: str) -> None:
    assert line(error) == f"{expected} ({type(error).__name__})"


def test_a_user_without_a_name_is_called_so() -> None:
    found = line(GroupAuthorizationFailedError(), CommonSettings())
    assert found is not None
    assert found.startswith("the user (no KAFKA_SASL_USERNAME is set) needs the right to READ the group routee.files")


@pytest.mark.parametrize(
    "error",
    [KafkaConnectionError(), KafkaTimeoutError(), UnknownError(), CorruptRecordError(), KafkaError()],
    ids=lambda value: type(value).__name__,
)
def test_any_other_error_is_waited_out(error: KafkaError) -> None:
    assert line(error) is None
