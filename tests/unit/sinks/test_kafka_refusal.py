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
        (SaslAuthenticationFailedError(), LOGIN),
        (UnsupportedSaslMechanismError(), LOGIN),
        (UnsupportedVersionError(), VERSION),
        (IncompatibleBrokerVersion(), VERSION),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refusal_names_the_setting_to_change(error: KafkaError, expected: str) -> None:
    assert line(error) == f"{expected} ({type(error).__name__})"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (GroupAuthorizationFailedError("routee.files"), "this user needs Read on group routee.files: grant it"),
        (
            TopicAuthorizationFailedError({"routee.sms.status"}),
            "this user needs Read on topic routee.sms.status: grant it",
        ),
        (
            TopicAuthorizationFailedError(),
            (
                "this user needs Read on topic routee.sms.status: grant it; "
                "this user needs Read on topic routee.campaign.progress: grant it"
            ),
        ),
    ],
    ids=["group", "one topic", "topics"],
)
def test_a_permission_that_was_taken_away_is_named(error: KafkaError, expected: str) -> None:
    assert line(error) == expected


@pytest.mark.parametrize(
    "error",
    [KafkaConnectionError(), KafkaTimeoutError(), UnknownError(), CorruptRecordError(), KafkaError()],
    ids=lambda value: type(value).__name__,
)
def test_any_other_error_is_waited_out(error: KafkaError) -> None:
    assert line(error) is None
