"""The counts, and the sums over all workers."""

import os

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ingest.causes import Cause
from ingest.metrics import Metrics, Pages
from streams.contract.records import Reason


def lines(metrics: Metrics) -> dict[str, float]:
    text = metrics.render().decode()
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    }


def test_any_worker_serves_the_sum_of_all() -> None:
    pages = Pages(2)
    first, second = Metrics(pages, 0), Metrics(pages, 1)
    first.stored_callbacks(3)
    second.stored_callbacks(4)
    second.stored_rejections([Reason.NO_KEY, Reason.NO_KEY, Reason.NOT_JSON])
    first.refused(Cause.NOT_FOUND)
    for metrics in (first, second):
        told = lines(metrics)
        assert told["routee_ingest_accepted_total"] == 7
        assert told['routee_ingest_rejected_total{reason="no-key"}'] == 2
        assert told['routee_ingest_rejected_total{reason="not-json"}'] == 1
        assert told['routee_ingest_refused_total{cause="not-found"}'] == 1


def test_a_worker_in_the_place_of_a_dead_one_keeps_its_counters_and_not_its_gauges() -> None:
    pages = Pages(1)
    dead = Metrics(pages)
    dead.stored_callbacks(5)
    dead.state(pending_bytes=9, connections=2, ready=True)
    told = lines(Metrics(pages))
    assert told["routee_ingest_accepted_total"] == 5
    assert told["routee_ingest_pending_bytes"] == told["routee_ingest_connections"] == told["routee_ingest_ready"] == 0


def test_the_parent_of_the_workers_has_a_page_and_reads_their_heartbeats() -> None:
    pages = Pages(2)
    parent, workers = Metrics(pages, pages.of_parent), [Metrics(pages, 0), Metrics(pages, 1)]
    for worker in (0, 1, 1):
        workers[worker].beat()
    assert list(pages.beats) == [1, 2]
    parent.missing_workers(1)
    parent.replaced_worker()
    for metrics in workers:
        told = lines(metrics)
        assert told["routee_ingest_workers_missing"] == told["routee_ingest_workers_replaced_total"] == 1
    assert list(pages.beats) == [1, 2], "no number of a page is a beat"


def test_answer_times_fall_into_cumulative_buckets() -> None:
    metrics = Metrics()
    metrics.answered([0.0, 9.0, 9.996, 9.9995], 10.0)
    told = lines(metrics)
    name = "routee_ingest_answer_seconds"
    assert told[f'{name}_bucket{{le="0.001"}}'] == 1
    assert told[f'{name}_bucket{{le="0.005"}}'] == 2
    assert told[f'{name}_bucket{{le="1.0"}}'] == 3
    assert told[f'{name}_bucket{{le="2.0"}}'] == 3
    assert told[f'{name}_bucket{{le="+Inf"}}'] == told[f"{name}_count"] == 4
    assert round(told[f"{name}_sum"], 4) == 11.0045


@given(st.lists(st.integers(2_480, 2_560), min_size=1).map(sorted))
def test_each_of_many_answer_times_falls_into_its_bucket(sixteenths: list[int]) -> None:
    metrics, times = Metrics(), [sixteenth / 16 for sixteenth in sixteenths]
    metrics.answered(times, 160.0)
    told = lines(metrics)
    for bound in ("0.001", "0.25", "0.5", "1.0", "1.5", "2.0"):
        within = sum(160.0 - time <= float(bound) for time in times)
        assert told[f'routee_ingest_answer_seconds_bucket{{le="{bound}"}}'] == within
    assert told["routee_ingest_answer_seconds_count"] == len(times)


def test_envelopes_are_observed_whole() -> None:
    metrics = Metrics()
    metrics.acknowledged(40, 35_000, 0.004)
    told = lines(metrics)
    assert told["routee_ingest_envelope_callbacks_sum"] == 40
    assert told['routee_ingest_envelope_bytes_bucket{le="64000"}'] == 1
    assert told['routee_ingest_kafka_ack_seconds_bucket{le="0.0025"}'] == 0
    assert told['routee_ingest_kafka_ack_seconds_bucket{le="0.005"}'] == 1


def test_of_the_certificates_of_all_workers_the_one_is_shown_that_ends_first() -> None:
    pages = Pages(2)
    first, second = Metrics(pages, 0), Metrics(pages, 1)
    assert "routee_ingest_certificate_end_seconds" not in lines(first), "without TLS there is none"
    first.certificate_ends(2_000)
    assert lines(second)["routee_ingest_certificate_end_seconds"] == 2_000
    second.certificate_ends(1_000)
    assert lines(first)["routee_ingest_certificate_end_seconds"] == 1_000
    second.certificate_ends(3_000)
    assert lines(first)["routee_ingest_certificate_end_seconds"] == 2_000


def test_every_worker_and_their_parent_are_known_by_their_process() -> None:
    pages = Pages(2)
    Metrics(pages, pages.of_parent)
    metrics = Metrics(pages, 1)
    assert metrics.processes() == {"1": os.getpid(), "parent": os.getpid()}
    assert Metrics().processes() == {"": os.getpid()}, "a lone process needs no name"
    assert list(pages.beats) == [0, 0]


def test_prometheus_reads_the_page() -> None:
    metrics = Metrics()
    metrics.stored_callbacks(3)
    metrics.stored_repaired(2)
    metrics.acknowledged(40, 35_000, 0.004)
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    kinds = {name.removeprefix("routee_ingest_"): family.type for name, family in families.items()}
    assert kinds == {
        "accepted": "counter",
        "repaired": "counter",
        "rejected": "counter",
        "refused": "counter",
        "stored_late": "counter",
        "answer_seconds": "histogram",
        "envelope_callbacks": "histogram",
        "envelope_bytes": "histogram",
        "kafka_ack_seconds": "histogram",
        "pending_bytes": "gauge",
        "connections": "gauge",
        "ready": "gauge",
        "workers_missing": "gauge",
        "workers_replaced": "counter",
    }
    assert metrics.total("repaired") == 2
    assert all(family.documentation and family.samples for family in families.values())
    assert {sample.labels["cause"] for sample in families["routee_ingest_refused"].samples} == set(Cause)
