"""What a worker keeps at hand of the partitions of others."""

from streams.state.succession.shares import Shares
from streams.state.succession.standby import Standby


def standby(shares: Shares, myself: str = "a") -> Standby:
    """Return the standby of one worker, by what each was given."""
    mine = Standby([], 4)
    mine.reassign(shares, myself)
    return mine


def test_of_two_workers_each_stands_by_for_the_other() -> None:
    shares = {"a": {0, 2}, "b": {1, 3}}
    assert standby(shares).partitions == {1, 3}
    assert standby(shares, "b").partitions == {0, 2}


def test_a_worker_that_was_given_nothing_yet_stands_by_for_nobody() -> None:
    assert Standby([], 4).partitions == set()


def test_a_worker_that_stands_by_for_nobody_has_nothing_at_hand_after_an_assignment() -> None:
    mine = Standby([], 4, is_off=True)
    mine.at_hand = {0, 1}
    mine.reassign({"a": {0, 3}, "b": {1, 2}}, "a")
    assert mine.at_hand == mine.partitions == set()


def test_after_an_assignment_only_those_are_at_hand_that_are_kept_from_now_on() -> None:
    mine = Standby([], 4)
    mine.at_hand = {0, 1}
    mine.reassign({"a": {0, 3}, "b": {1, 2}}, "a")
    assert mine.at_hand == {1}
