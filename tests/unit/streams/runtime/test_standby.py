"""What a worker keeps at hand of the partitions of others."""

from streams.state.assignment import Shares
from streams.state.standby import Standby


def standby(shares: Shares, myself: str = "a") -> Standby:
    """Return the standby of one worker, by what each was given."""
    return Standby([], lambda: shares, myself, 4)


def test_of_two_workers_each_stands_by_for_the_other() -> None:
    shares = {"a": {0, 2}, "b": {1, 3}}
    assert standby(shares).partitions() == {1, 3}
    assert standby(shares, "b").partitions() == {0, 2}


def test_a_worker_that_was_given_nothing_yet_stands_by_for_nobody() -> None:
    assert standby({"b": {0, 1, 2, 3}}).partitions() == set()


def test_a_worker_that_stands_by_for_nobody_has_nothing_at_hand_after_an_assignment() -> None:
    mine = standby({})
    mine.at_hand = {0, 1}
    mine.reassign()
    assert mine.at_hand == set()


def test_after_an_assignment_only_those_are_at_hand_that_are_kept_from_now_on() -> None:
    mine = standby({"a": {0, 3}, "b": {1, 2}})
    mine.at_hand = {0, 1}
    mine.reassign()
    assert mine.at_hand == {1}
