"""
The answers of `/livez`, `/readyz` and `/metrics`.
"""

from sinks.metrics import Metrics, Readiness
from sinks.source import TopicPartition
from sinks.web import pages
from streams.program.vitals import Vitals
from tests.support.problems import problem_in

ZERO = TopicPartition("routee.sms.status", 0)
VITALS = Vitals("sinks-files")


def ready(readiness: Readiness) -> tuple[int, str | None]:
    page = pages(Metrics().registry, readiness, VITALS).ready()
    if page.status == 200:
        return page.status, page.text
    assert isinstance(page.body, bytes)
    return page.status, problem_in(page.content_type, page.status, page.body)["detail"]


def test_it_is_alive_while_it_answers() -> None:
    assert pages(Metrics().registry, Readiness(), VITALS).live().status == 200


def test_it_is_ready_without_reasons_and_tells_the_reasons_otherwise() -> None:
    readiness = Readiness()
    assert ready(readiness) == (503, "group: not a member of the consumer group yet")
    readiness.fine("group")
    assert ready(readiness) == (200, "ready\n")
    readiness.trouble("store", "ClickHouse says no answer")
    assert ready(readiness) == (503, "store: ClickHouse says no answer")
    readiness.trouble("group", "none")
    assert ready(readiness) == (503, "group: none\nstore: ClickHouse says no answer")


def test_lag_is_shown_by_topic_and_partition() -> None:
    metrics = Metrics()
    metrics.show_lag({ZERO: 110}, {ZERO: (100, 5_000)}, now_ms=7_500)
    text = pages(metrics.registry, Readiness(), VITALS).metrics().decode()
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
    assert b"routee_sinks_lag_records{" not in pages(metrics.registry, Readiness(), VITALS).metrics()


def test_no_counter_has_a_series_with_the_time_of_its_creation() -> None:
    metrics = Metrics()
    metrics.rows.labels("sms_status").inc()
    metrics.write_seconds.observe(0.1)
    text = pages(metrics.registry, Readiness(), VITALS).metrics().decode()
    assert 'routee_sinks_rows_total{table="sms_status"} 1.0' in text
    assert "_created" not in text
    assert 'routee_build_info{program="sinks-files"' in text
