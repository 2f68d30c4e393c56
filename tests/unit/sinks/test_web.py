"""
The answers of `/livez`, `/readyz` and `/metrics`.
"""

from sinks.metrics import Metrics, Readiness
from sinks.source import TopicPartition
from sinks.web import answer

ZERO = TopicPartition("routee.sms.status", 0)


def test_it_is_alive_while_it_answers() -> None:
    assert answer("/livez", Metrics().registry, Readiness())[0] == 200


def test_it_is_ready_without_reasons_and_tells_the_reasons_otherwise() -> None:
    readiness = Readiness()
    assert answer("/readyz", Metrics().registry, readiness)[::2] == (
        503,
        b"group: not a member of the consumer group yet\n",
    )
    readiness.fine("group")
    assert answer("/readyz", Metrics().registry, readiness)[::2] == (200, b"ready\n")
    readiness.trouble("store", "ClickHouse says no answer")
    assert answer("/readyz?verbose", Metrics().registry, readiness)[::2] == (503, b"store: ClickHouse says no answer\n")


def test_other_paths_are_not_found() -> None:
    assert answer("/", Metrics().registry, Readiness())[0] == 404


def test_lag_is_shown_by_topic_and_partition() -> None:
    metrics = Metrics()
    metrics.show_lag({ZERO: 110}, {ZERO: (100, 5_000)}, now_ms=7_500)
    text = answer("/metrics", metrics.registry, Readiness())[2].decode()
    assert 'routee_sinks_lag_records{partition="0",topic="routee.sms.status"} 10.0' in text
    assert 'routee_sinks_lag_seconds{partition="0",topic="routee.sms.status"} 2.5' in text


def test_a_partition_without_lag_has_no_age() -> None:
    metrics = Metrics()
    metrics.show_lag({ZERO: 100}, {ZERO: (100, 5_000)}, now_ms=7_500_000)
    assert metrics.registry.get_sample_value("routee_sinks_lag_seconds", {"topic": ZERO.topic, "partition": "0"}) == 0


def test_the_lag_of_a_revoked_partition_is_no_longer_shown() -> None:
    metrics = Metrics()
    metrics.show_lag({ZERO: 100}, {}, now_ms=0)
    metrics.show_lag({}, {}, now_ms=0)
    assert b"routee_sinks_lag_records{" not in answer("/metrics", metrics.registry, Readiness())[2]
