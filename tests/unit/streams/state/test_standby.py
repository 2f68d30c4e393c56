"""Hot standby: the partitions of other workers whose rows a worker keeps at hand."""

from streams.state.succession.shares import Shares
from streams.state.succession.standby import Standby


def standby(shares: Shares, myself: str = "a") -> Standby:
    """Return the standby of one worker after an assignment."""
    mine = Standby([], 4)
    mine.reassign(shares, myself)
    return mine


def test_each_of_two_workers_stands_by_for_the_other() -> None:
    shares = {"a": {0, 2}, "b": {1, 3}}
    assert standby(shares).partitions == {1, 3}
    assert standby(shares, "b").partitions == {0, 2}


def test_a_worker_before_its_first_assignment_has_no_standby_partitions() -> None:
    assert Standby([], 4).partitions == set()


def test_with_standby_off_a_worker_has_nothing_at_hand_after_an_assignment() -> None:
    mine = Standby([], 4, is_off=True)
    mine.at_hand = {0, 1}
    mine.reassign({"a": {0, 3}, "b": {1, 2}}, "a")
    assert mine.at_hand == mine.partitions == set()


def test_after_an_assignment_only_standby_partitions_stay_at_hand() -> None:
    mine = Standby([], 4)
    mine.at_hand = {0, 1}
    mine.reassign({"a": {0, 3}, "b": {1, 2}}, "a")
    assert mine.at_hand == {1}
