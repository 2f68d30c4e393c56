"""
The counts of one campaign in one source partition: absolute numbers that move with the messages they are made of.

They are kept as a row beside the messages and written in the same batch, so they can not drift from them.
"""

from typing import Final, TypedDict

from streams.domain.message import Contribution

COUNTS_PREFIX: Final = b"c:"


class Counts(TypedDict):
    """The row of a campaign's counts."""

    id: str
    """As received first."""
    name: str | None
    v: int
    """Offset of the source record that moved the counts last: of two versions the greater is the newer."""
    messages: dict[str, int]
    parts: dict[str, int]
    price: int
    conflicts: int
    first: int
    last: int


def counts_key(campaign: str) -> bytes:
    """Return the key of a campaign's counts; ids are the same in any case."""
    return COUNTS_PREFIX + campaign.lower().encode()


def copied(row: Counts) -> Counts:
    """Return counts that may be moved without changing the row they come from."""
    return {**row, "messages": {**row["messages"]}, "parts": {**row["parts"]}}


def no_counts(campaign: str, received: int) -> Counts:
    """Return the counts of a campaign that is seen for the first time."""
    return Counts(
        id=campaign, name=None, v=0, messages={}, parts={}, price=0, conflicts=0, first=received, last=received
    )


def add(counts: Counts, what: Contribution, sign: int, received: int, offset: int) -> None:
    """Add what a message contributes (sign 1), or take away what it did (-1)."""
    _add(counts["messages"], what.status, sign)
    for status in what.part_statuses:
        _add(counts["parts"], status, sign)
    counts["price"] += sign * what.price
    counts["conflicts"] += sign * what.conflicts
    counts["v"] = offset
    counts["first"] = min(counts["first"], received)
    counts["last"] = max(counts["last"], received)
    if what.name is not None and (counts["name"] is None or what.name > counts["name"]):
        counts["name"] = what.name  # of several names the greatest: the same for every order of arrival


def _add(numbers: dict[str, int], status: str, change: int) -> None:
    number = numbers.get(status, 0) + change
    if number:
        numbers[status] = number
    else:
        numbers.pop(status, None)
