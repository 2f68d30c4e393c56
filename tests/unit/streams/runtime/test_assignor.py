"""Sharing partitions out at a rebalance."""

from faust.assignor.client_assignment import CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.assignor import StickyAssignor
from streams.state.succession.shares import share_out, standby_of

TOPICS = {"source", "changelog"}


def assigned(
    before: dict[str, set[int]], partitions: int, assignor: type[CopartitionedAssignor] = StickyAssignor
) -> dict[str, set[int]]:
    """Return the partitions of each worker after a rebalance, given its partitions before."""
    workers = {name: CopartitionedAssignment(set(had), set(), TOPICS) for name, had in before.items()}
    shares = assignor(TOPICS, workers, partitions, replicas=0).get_assignment()
    return {name: set(share.actives) for name, share in shares.items()}


def moves(before: dict[str, set[int]], after: dict[str, set[int]]) -> int:
    """Count the partitions that moved to another worker."""
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


def test_a_partition_that_must_move_goes_to_a_worker_that_has_its_rows() -> None:
    held = {"a": {0, 1, 2, 3}, "b": {4, 5, 6, 7}, "back again": set[int](), "new": set[int]()}
    given = share_out(held, {"back again": {1, 5}}, 8)
    assert given["back again"] == {1, 5}
    assert share_out(held, {"back again": {1, 2, 3, 4}}, 8)["back again"] < {1, 2, 3, 4}


def test_warm_rows_alone_move_no_partition() -> None:
    held = {"a": {0, 1}, "b": {2, 3}}
    assert share_out(held, {"a": {2}, "b": {0, 1}}, 4) == held


@given(st.integers(1, 40), st.integers(2, 8), st.data())
def test_the_partitions_of_a_leaving_worker_go_to_its_standbys(
    partitions: int, workers: int, data: st.DataObject
) -> None:
    every = data.draw(st.permutations(range(partitions)))
    held = {str(number): set(every[number::workers]) for number in range(workers)}
    ready = {name: standby_of(held, name, partitions) for name in held}
    assert not any(ready[name] & had for name, had in held.items())
    assert sum(map(len, ready.values())) == partitions, "one worker for each partition"
    gone = data.draw(st.sampled_from([*held]))
    left = {name: held[name] for name in data.draw(st.permutations([*held])) if name != gone}
    after = share_out(left, ready, partitions)
    assert all(share - held[name] <= ready[name] for name, share in after.items())
    assert set[int]().union(*after.values()) == set(range(partitions))


def test_a_single_worker_has_no_standby_partitions() -> None:
    assert standby_of({"alone": {0, 1}}, "alone", 2) == set()


@given(st.integers(1, 40), st.integers(1, 8), st.data())
def test_a_warmed_up_worker_is_given_the_share_that_it_computed(
    partitions: int, workers: int, data: st.DataObject
) -> None:
    every = data.draw(st.permutations(range(partitions)))
    held = share_out({f"worker {number}": set() for number in range(workers)}, {}, partitions)
    moved = dict(zip(every, range(partitions), strict=True))
    held = {name: {moved[number] for number in share} for name, share in held.items()}
    expected = share_out({**held, "": set()}, {}, partitions)[""]
    names = data.draw(st.permutations([*held]))
    renamed: dict[str, set[int]] = {"joins": set(), **{f"{name}'": held[name] for name in names}}
    assert share_out(renamed, {"joins": expected}, partitions)["joins"] == expected


def test_after_an_assignment_there_are_no_standbys() -> None:
    workers = {
        "a": CopartitionedAssignment({0, 1}, set(), TOPICS),
        "joins": CopartitionedAssignment(set(), {0, 1}, TOPICS),
    }
    shares = StickyAssignor(TOPICS, workers, 2, replicas=0).get_assignment()
    assert [(len(share.actives), share.standbys) for share in shares.values()] == [(1, set()), (1, set())]
