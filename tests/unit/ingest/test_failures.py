"""
When failed appends are a reason to connect anew.
"""

from ingest.kafka_log import Failures


def failures(*times: float) -> Failures:
    seen = Failures()
    for time in times:
        seen.add(time)
    return seen


def test_one_failure_is_never_hopeless() -> None:
    """However long nothing comes after it."""
    assert not failures(0.0).hopeless


def test_failures_over_more_than_ten_seconds_are_hopeless() -> None:
    assert failures(0.0, 4.0, 8.0, 10.1).hopeless


def test_failures_within_ten_seconds_are_not_hopeless() -> None:
    assert not failures(0.0, 4.0, 8.0, 9.9).hopeless


def test_two_failures_with_nothing_between_are_not_one_long_failure() -> None:
    assert not failures(0.0, 3600.0).hopeless
    assert not failures(0.0, 3600.0, 3609.0).hopeless


def test_a_success_or_a_new_connection_begins_anew() -> None:
    seen = failures(0.0, 5.0, 10.1)
    seen.clear()
    assert not seen.hopeless
    seen.add(10.2)
    assert not seen.hopeless
