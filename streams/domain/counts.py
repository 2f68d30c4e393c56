"""
The counts of one campaign in one source partition: absolute numbers that move with the messages they are made of.

They are kept as a row beside the messages and written in the same batch, so they can not drift from them.
"""

from typing import Final, NotRequired, TypedDict

from streams.domain.message import Contribution
from streams.domain.row_forms import filled
from streams.domain.statuses import is_known

COUNTS_PREFIX: Final = b"c:"


OTHER: Final = "other"
"""Stands for unknown status words when there are too many of them: a row must not grow with what strangers post."""
_WORDS_KEPT: Final = 16

_BYTES_PER_CHAR: Final = 6  # of JSON, at most
_WORD_BYTES: Final = 64 * _BYTES_PER_CHAR + 24
_NUMBERS_BYTES: Final = 300


class Counts(TypedDict):
    """The row of a campaign's counts."""

    id: str
    """As received first."""
    name: str | None
    v: int
    """Offset of the source record that moved the counts last: of two versions of a generation the greater is newer."""
    taken: NotRequired[int]
    """How many of its callbacks were taken in by then; the greater is newer. Rows of older versions do not have it."""
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


def counts_of(row: Counts | None, campaign: str, received: int) -> Counts:
    """Return the counts of a row, whichever version wrote it; None begins those of a campaign."""
    new = no_counts(campaign, received)
    return new if row is None else filled(new, row)


def no_counts(campaign: str, received: int) -> Counts:
    """Return the counts of a campaign that is seen for the first time: the default of each field."""
    return Counts(
        id=campaign,
        name=None,
        v=0,
        taken=0,
        messages={},
        parts={},
        price="0",
        conflicts=0,
        first=received,
        last=received,
    )


class Tallying:
    """
    The counts of one campaign while messages move them.

    What becomes of them does not depend on when they are written, and read again.
    """

    __slots__ = ("_messages", "_parts", "_price", "_row")

    def __init__(self, row: Counts) -> None:
        """Begin with a row, which is used up."""
        self._row = row
        self._messages = row["messages"]
        self._parts = row["parts"]
        self._price = int(row["price"])

    @property
    def size(self) -> int:
        """How long the row is, at most."""
        names = len(self._row["id"]) + len(self._row["name"] or "")
        return _BYTES_PER_CHAR * names + _WORD_BYTES * (len(self._messages) + len(self._parts)) + _NUMBERS_BYTES

    def move(self, before: Contribution | None, after: Contribution | None) -> None:
        """Take away what a message contributed before, and add what it contributes now (None: nothing)."""
        if before is not None:
            _, _, status, part_statuses, price, conflicts = before
            _add(self._messages, status, -1)
            for part_status in part_statuses:
                _add(self._parts, part_status, -1)
            self._price -= price
            self._row["conflicts"] -= conflicts
        if after is not None:
            _, name, status, part_statuses, price, conflicts = after
            _add(self._messages, status, 1)
            for part_status in part_statuses:
                _add(self._parts, part_status, 1)
            self._price += price
            self._row["conflicts"] += conflicts
            self._be_named(name)

    def _be_named(self, name: str | None) -> None:
        """Of several names the greatest stays: the same for every order of arrival."""
        known = self._row["name"]
        if name != known and name is not None and (known is None or name > known):
            self._row["name"] = name

    def reach(self, received: int, offset: int, taken: int) -> None:
        """Note that the counts contain so many callbacks of the envelope at this offset, received at this time."""
        row = self._row
        row["v"] = offset
        row["taken"] = taken
        row["first"] = min(row["first"], received)
        row["last"] = max(row["last"], received)

    def row(self) -> Counts:
        """Return the row."""
        self._row["price"] = str(self._price)
        return self._row


def _add(numbers: dict[str, int], status: str, change: int) -> None:
    """Whatever was added can be taken away again: a word that is not in the row must be among the others."""
    if status not in numbers and (change < 0 or (len(numbers) >= _WORDS_KEPT and not is_known(status))):
        status = OTHER
    number = numbers.get(status, 0) + change
    if number:
        numbers[status] = number
    else:
        del numbers[status]
