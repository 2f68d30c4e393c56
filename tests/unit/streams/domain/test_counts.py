"""The counts of a campaign move with its messages."""

from hypothesis import given
from hypothesis import strategies as st

from streams.domain.counts import Tallying, no_counts
from streams.domain.message import Contribution

WORDS = st.sampled_from(["Queued", "Sent", "Delivered", "Odd"])
CONTRIBUTIONS = st.tuples(
    st.just("c"),
    st.none() | st.sampled_from(["Autumn sale", "Spring sale"]),
    WORDS,
    st.lists(WORDS, min_size=1, max_size=3),
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


def test_a_share_that_is_added_and_taken_away_leaves_nothing_but_the_name() -> None:
    counts = counts_of([("c", "Autumn sale", "Sent", ["Sent", "Odd"], 7, 1)])
    counts.add(("c", "Autumn sale", "Sent", ["Sent", "Odd"], 7, 1), -1)
    assert counts.row() == {**no_counts("c", 0), "name": "Autumn sale"}
