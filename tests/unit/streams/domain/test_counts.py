"""The counts of a campaign move with its messages."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streams.domain.counts import Tallying, no_counts
from streams.domain.message import Contribution

WORDS = st.sampled_from(["Queued", "Sent", "Delivered", "Odd"])
CONTRIBUTIONS = st.tuples(
    st.just("c"),
    st.none() | st.sampled_from(["Autumn sale", "Spring sale"]),
    WORDS,
    st.lists(WORDS, min_size=1, max_size=3).map(tuple),
    st.integers(-5, 5),
    st.integers(0, 2),
)


def counts_of(contributions: list[Contribution]) -> Tallying:
    counts = Tallying(no_counts("c", 0))
    for one in contributions:
        counts.add(one, 1)
    return counts


@given(st.lists(CONTRIBUTIONS, min_size=1, max_size=8), CONTRIBUTIONS)
def test_a_move_takes_the_former_share_away_and_adds_the_present_one(
    counted: list[Contribution], after: Contribution
) -> None:
    moved, added = counts_of(counted), counts_of(counted)
    moved.move(counted[0], after)
    added.add(counted[0], -1)
    added.add(after, 1)
    assert moved.row() == added.row()


@given(st.lists(CONTRIBUTIONS, max_size=8), CONTRIBUTIONS.map(lambda one: (*one[:3], one[3][:1], *one[4:])))
def test_a_new_message_enters_as_it_would_be_added(counted: list[Contribution], new: Contribution) -> None:
    entered, added = counts_of(counted), counts_of(counted)
    entered.enter(new)
    added.add(new, 1)
    assert orjson.dumps(entered.row()) == orjson.dumps(added.row())
    assert entered.size == added.size


def test_counts_are_over_when_their_last_change_lies_before_a_moment() -> None:
    counts = Tallying(no_counts("c", 1_000))
    assert (counts.is_over(1_000), counts.is_over(1_001)) == (False, True)
    counts.reach(2_000, 7, 1, 5_000)
    assert (counts.is_over(5_000), counts.is_over(5_001)) == (False, True)
    assert not counts.is_over(0)


def test_a_share_that_is_added_and_taken_away_leaves_nothing_but_the_name() -> None:
    counts = counts_of([("c", "Autumn sale", "Sent", ("Sent", "Odd"), 7, 1)])
    counts.add(("c", "Autumn sale", "Sent", ("Sent", "Odd"), 7, 1), -1)
    assert counts.row() == {**no_counts("c", 0), "name": "Autumn sale"}
