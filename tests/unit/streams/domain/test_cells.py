"""The counts of a cell move with its SMS."""

from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.domain.cells import CellTallying, Share

WORDS: Final = st.sampled_from(["Queued", "Sent", "Delivered", "Failed", *(f"odd {number}" for number in range(20))])
SHARES: Final = st.tuples(
    WORDS, st.none() | st.sampled_from([0, 432, 10**17]), st.sampled_from([None, "1", "more"]), st.integers(0, 1)
)
FEW_WORDS: Final = st.sampled_from(["Queued", "Sent", "Delivered", "Failed"])
FEW_SHARES: Final = st.tuples(
    FEW_WORDS, st.sampled_from([None, 0, 432]), st.sampled_from([None, "1"]), st.integers(0, 1)
)
ENTERING: Final = st.tuples(SHARES, st.none() | WORDS)


def written(cell: CellTallying) -> bytes:
    """Return the row as it is written: the order of the words counts, too."""
    return msgspec.json.encode(cell.row())


@given(st.lists(st.tuples(ENTERING, st.sampled_from(["enters", "enters", "goes on", "leaves"])), max_size=60))
def test_sms_that_are_counted_as_they_enter_make_the_same_row_as_sms_that_are_added(
    steps: list[tuple[tuple[Share, str | None], str]],
) -> None:
    entered, added = CellTallying(None), CellTallying(None)
    there: list[tuple[Share, str | None]] = []
    for (share, status), step in steps:
        if step == "enters" or not there:
            entered.enter(share, status)
            added.add(share, status, 1)
            there.append((share, status))
            continue
        former, was = there.pop()
        for cell in (entered, added):
            if step == "leaves":
                cell.add(former, was, -1)
            else:
                cell.replace(former, share, was, status if was is not None else None)
        if step == "goes on":
            there.append((share, status if was is not None and status is not None else was))
    assert written(entered) == written(added)
    assert written(CellTallying(msgspec.json.decode(written(entered)))) == written(entered)


@given(st.lists(st.tuples(FEW_SHARES, FEW_WORDS), min_size=1, max_size=9), st.tuples(FEW_SHARES, FEW_WORDS))
def test_a_part_that_goes_on_counts_as_if_it_had_left_and_entered_again(
    there: list[tuple[Share, str]], after: tuple[Share, str]
) -> None:
    gone_on, entered_again = CellTallying(None), CellTallying(None)
    for cell in (gone_on, entered_again):
        for share, status in there:
            cell.add(share, status, 1)
    gone_on.replace(there[0][0], after[0], there[0][1], after[1])
    entered_again.add(*there[0], -1)
    entered_again.add(*after, 1)
    assert gone_on.row() == entered_again.row()
