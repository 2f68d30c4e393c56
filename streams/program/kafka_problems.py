"""
Problems with Kafka that every program finds in its own way, in the same words: one line, with what to do.
"""

from streams.program.settings import CommonSettings


def missing_topic(name: str) -> str:
    """Return the problem of a topic that does not exist."""
    return f"topic {name} does not exist: run `routee-streams topics`"


def topic_problem(name: str, partitions: int, settings: CommonSettings) -> str | None:
    """Return the problem of a topic with so many partitions, 0 when it does not exist; None when it is as it should."""
    if not partitions:
        return missing_topic(name)
    if partitions != settings.kafka_partitions:
        wanted = settings.kafka_partitions
        return f"topic {name} has {partitions} partitions, not {wanted}: set KAFKA_PARTITIONS={partitions}"
    return None


def refused_user(settings: CommonSettings, why: str) -> str:
    """Return the problem of a user whom the brokers do not let in; `why` is the client's name for it."""
    servers = f"KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}"
    return f"Kafka at {servers} refuses KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD ({why})"
