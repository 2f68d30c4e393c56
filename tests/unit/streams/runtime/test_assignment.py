"""Who is given which partitions when the group changes."""

from faust.assignor.client_assignment import CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from hypothesis import given
from hypothesis import strategies as st

from streams.state.assignment import StickyAssignor

TOPICS = {"source", "changelog"}


def assigned(
    before: dict[str, set[int]], partitions: int, assignor: type[CopartitionedAssignor] = StickyAssignor
) -> dict[str, set[int]]:
    """Give the partitions of each worker after a change of the group, by those that they had before."""
    workers = {name: CopartitionedAssignment(set(had), set(), TOPICS) for name, had in before.items()}
    shares = assignor(TOPICS, workers, partitions, replicas=0).get_assignment()
    return {name: set(share.actives) for name, share in shares.items()}


def moves(before: dict[str, set[int]], after: dict[str, set[int]]) -> int:
    """Count the partitions that workers are given which they did not have."""
    return sum(len(share - before[name]) for name, share in after.items())


@given(st.integers(1, 40), st.integers(1, 8), st.data())
def test_every_partition_has_one_owner_shares_are_even_and_nothing_moves_that_need_not(
    partitions: int, workers: int, data: st.DataObject
) -> None:
    owners = st.sampled_from([*map(str, range(workers)), "gone"])
    before: dict[str, set[int]] = {str(number): set() for number in range(workers)}
    for partition in range(partitions):
        before.get(data.draw(owners), set()).add(partition)
    after = assigned(before, partitions)
    assert sorted(partition for share in after.values() for partition in share) == [*range(partitions)]
    sizes = sorted(map(len, after.values()))
    assert sizes[-1] - sizes[0] <= 1
    least, more = divmod(partitions, workers)
    had = sorted(map(len, before.values()), reverse=True)
    kept = sum(min(size, least + (place < more)) for place, size in enumerate(had))
    assert moves(before, after) == partitions - kept
    assert assigned(after, partitions) == after, "as long as the group is the same"


def test_a_worker_that_joins_takes_no_more_than_its_share_and_the_others_exchange_nothing() -> None:
    before = {"a": {0, 2, 3, 7}, "b": {1, 4, 5, 6}, "joins": set[int]()}
    after = assigned(before, 8)
    assert (len(after["joins"]), moves(before, after)) == (2, 2)
    assert moves(before, assigned(before, 8, CopartitionedAssignor)) > 2, "by Faust's own rule"


def test_a_partition_that_two_workers_take_for_theirs_is_given_to_one() -> None:
    after = assigned({"a": {0, 1}, "b": {1, 2}, "c": {2}}, 3)
    assert sorted(map(sorted, after.values())) == [[0], [1], [2]]
