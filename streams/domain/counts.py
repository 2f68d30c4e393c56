"""
The counts of one campaign in one source partition: absolute numbers that move with the messages they are made of.

They are kept as a row beside the messages and written in the same batch, so they can not drift from them.
"""

from typing import Final, TypedDict

from streams.domain.message import Contribution
from streams.domain.statuses import is_known

COUNTS_PREFIX: Final = b"c:"


OTHER: Final = "other"
"""Stands for unknown status words when there are too many of them: a row must not grow with what strangers post."""
_WORDS_KEPT: Final = 16


class Counts(TypedDict):
    """The row of a campaign's counts."""

    id: str
    """As received first."""
    name: str | None
    v: int
    """Offset of the source record that moved the counts last: of two versions of a generation the greater is newer."""
    messages: dict[str, int]
    parts: dict[str, int]
    price: str
    """Units of 1e-8 as text: a sum may outgrow the 64 bits of a JSON writer, which would stop the pipeline."""
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
        id=campaign, name=None, v=0, messages={}, parts={}, price="0", conflicts=0, first=received, last=received
    )


def move(counts: Counts, before: Contribution | None, after: Contribution | None, received: int, offset: int) -> None:
    """Take away what a message contributed before, and add what it contributes now (None: nothing)."""
    price, conflicts = 0, 0
    if before is not None:
        _, _, status, part_statuses, price, conflicts = before
        _add(counts["messages"], status, -1)
        for part_status in part_statuses:
            _add(counts["parts"], part_status, -1)
        price, conflicts = -price, -conflicts
    if after is not None:
        _, name, status, part_statuses, new_price, new_conflicts = after
        _add(counts["messages"], status, 1)
        for part_status in part_statuses:
            _add(counts["parts"], part_status, 1)
        price, conflicts = price + new_price, conflicts + new_conflicts
        if name is not None and (counts["name"] is None or name > counts["name"]):
            counts["name"] = name  # of several names the greatest: the same for every order of arrival
    if price:
        counts["price"] = str(int(counts["price"]) + price)
    counts["conflicts"] += conflicts
    counts["v"] = offset
    counts["first"] = min(counts["first"], received)
    counts["last"] = max(counts["last"], received)


def _add(numbers: dict[str, int], status: str, change: int) -> None:
    """Whatever was added can be taken away again: a word that is not in the row must be among the others."""
    if status not in numbers and (change < 0 or (len(numbers) >= _WORDS_KEPT and not is_known(status))):
        status = OTHER
    number = numbers.get(status, 0) + change
    if number:
        numbers[status] = number
    else:
        numbers.pop(status, None)
