"""
A problem with Kafka is the same line in every program.
"""

from streams.program.kafka_problems import refused_user, topic_problem
from streams.program.settings import CommonSettings

SETTINGS = CommonSettings(kafka_bootstrap_servers="kafka:9092", kafka_partitions=8)


def test_a_topic_with_the_partitions_of_the_settings_is_no_problem() -> None:
    assert topic_problem("routee.sms.status", 8, SETTINGS) is None


def test_a_topic_that_does_not_exist_is_said_to_be_created_by_streams() -> None:
    assert topic_problem("routee.sms.status", 0, SETTINGS) == (
        "topic routee.sms.status does not exist: run `routee-streams topics`"
    )


def test_another_number_of_partitions_names_the_setting() -> None:
    assert topic_problem("routee.sms.status", 4, SETTINGS) == (
        "topic routee.sms.status has 4 partitions, not 8: set KAFKA_PARTITIONS=4"
    )


def test_a_refused_user_is_told_which_settings_may_be_wrong() -> None:
    assert refused_user(SETTINGS, "SaslAuthenticationFailedError") == (
        "Kafka at KAFKA_BOOTSTRAP_SERVERS=kafka:9092 refuses KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME or "
        "KAFKA_SASL_PASSWORD (SaslAuthenticationFailedError)"
    )
