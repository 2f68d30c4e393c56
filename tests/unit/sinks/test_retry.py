"""
The delays between attempts to write the same rows.
"""

from sinks.retry import Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(first=0.5, longest=3.0)
    assert [backoff.delay(failures) for failures in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_store_may_be_away_for_a_year() -> None:
    assert Backoff().delay(3_000_000) == Backoff().longest
