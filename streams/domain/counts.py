"""
The counts of one campaign in one source partition: absolute numbers that move with the campaign's messages.

Their row lies beside those of the messages and is written in the same batch, so the two cannot drift apart.
"""

from collections.abc import Sequence
from typing import Final, NotRequired, TypedDict

from streams.contract.remembered import remembered
from streams.domain.message import Contribution
from streams.domain.row_forms import filled
from streams.domain.silence import touched_at
from streams.domain.statuses import is_known

COUNTS_PREFIX: Final = b"c:"


OTHER: Final = "other"
"""Stands for unknown status words beyond the first few: strangers' posts must not make a row grow."""
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
    """Offset of the source record that moved the counts last: within a generation the greater is newer."""
    taken: NotRequired[int]
    """Callbacks of that record taken in so far; the greater is newer. Rows of older versions lack it."""
    messages: dict[str, int]
    parts: dict[str, int]
    price: str
    """In units of 1e-8, as text: a sum may exceed the 64 bits of a JSON writer, which would stop the pipeline."""
    conflicts: int
    first: int
    last: int
    begun: NotRequired[int]
    """Offset of the source record that the counts began with. Stage 2 has the counts that were forgotten before it."""
    touched: NotRequired[Sequence[int]]
    """[v, stream time in ms] of the last change, see `silence`."""


NOT_TOUCHED: Final = (0, 0)
"""Stands for `touched` in the row of an older version."""


def last_change(counts: Counts) -> int:
    """Return the stream time (ms) at which the counts were changed last."""
    return touched_at(counts.get("touched", NOT_TOUCHED), counts["v"], counts["last"])


# The SMS of a campaign come together, and each piece of an envelope asks anew.
@remembered(4096)
def counts_key(campaign: str) -> bytes:
    """Return the key of a campaign's counts; ids are the same in any case."""
    return COUNTS_PREFIX + campaign.lower().encode()


def counts_of(row: Counts, campaign: str, received: int) -> Counts:
    """Return the counts of a row that any version wrote."""
    return filled(no_counts(campaign, received), row)


def begun_counts(campaign: str, received: int, offset: int) -> Counts:
    """Return the counts of a campaign that begins with the source record at this offset."""
    return Counts(**no_counts(campaign, received), begun=offset)


def no_counts(campaign: str, received: int) -> Counts:
    """Return the counts of a campaign seen for the first time: the default of each field."""
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

    Writing them and reading them back at any point does not change the result.
    """

    __slots__ = ("_messages", "_named_bytes", "_noted", "_parts", "_price", "_row")

    def __init__(self, row: Counts) -> None:
        """Begin with a row; the row belongs to this object from then on."""
        self._row = row
        self._messages = row["messages"]
        self._parts = row["parts"]
        self._price = int(row["price"])
        self._noted = 0
        self._named_bytes = _named_bytes(row)

    @property
    def size(self) -> int:
        """Upper bound of the row's length in bytes."""
        return self._named_bytes + _WORD_BYTES * (len(self._messages) + len(self._parts))

    def enter(self, counted: Contribution) -> None:
        """Add the contribution of a new message: as `add`, with fewer steps where others have its words."""
        _, name, status, (word,), price, conflicts = counted
        messages, parts = self._messages, self._parts
        try:  # `get` takes longer, and nearly always both are there
            of_status, of_word = messages[status], parts[word]
        except KeyError:
            of_status = of_word = 0
        if conflicts or of_status <= 0 or of_word <= 0:
            self.add(counted, 1)
            return
        messages[status] = of_status + 1
        parts[word] = of_word + 1
        self._price += price
        if name != self._row["name"]:
            self._be_named(name)

    def add(self, counted: Contribution, change: int) -> None:
        """Add the contribution of a message, or take it away (`change` -1)."""
        _, name, status, statuses, price, conflicts = counted
        add(self._messages, status, change)
        for one in statuses:
            add(self._parts, one, change)
        self._price += change * price
        if conflicts:
            self._row["conflicts"] += change * conflicts
        if change > 0 and name != self._row["name"]:
            self._be_named(name)

    def move(self, before: Contribution, after: Contribution) -> None:
        """Take a message's previous contribution away, and add its present one."""
        _, _, was, old_words, old_price, old_conflicts = before
        _, name, now, words, price, conflicts = after
        if len(old_words) == len(words) == 1:  # an SMS goes on, nearly always
            replace(self._messages, was, now)
            replace(self._parts, old_words[0], words[0])
            self._price += price - old_price
            if conflicts != old_conflicts:
                self._row["conflicts"] += conflicts - old_conflicts
            if name != self._row["name"]:
                self._be_named(name)
        else:
            self.add(before, -1)
            self.add(after, 1)

    def _be_named(self, name: str | None) -> None:
        """Keep the greatest of several names, which does not depend on the order of arrival."""
        known = self._row["name"]
        if name is not None and (known is None or name > known):
            self._row["name"] = name
            self._named_bytes = _named_bytes(self._row)

    @property
    def last_change(self) -> int:
        """The stream time (ms) at which the counts were changed last."""
        return last_change(self._row)

    def is_over(self, before: int) -> bool:
        """Tell whether the last change lies before a moment of stream time (ms)."""
        # A change that this object noted tells it alone, nearly always: the last change is no earlier.
        return self._noted < before and self.last_change < before

    def reach(self, received: int, offset: int, taken: int, clock: int) -> None:
        """
        Note that the counts contain the first `taken` callbacks of the envelope at `offset`, received at that ms.

        `clock` is stream time by then in ms, 0 before the first date.
        """
        row = self._row
        row["touched"] = [offset, clock]
        row["v"] = offset
        row["taken"] = taken
        if not row["first"] <= received <= row["last"]:
            row["first"] = min(row["first"], received)
            row["last"] = max(row["last"], received)
        self._noted = clock

    def row(self) -> Counts:
        """Return the row."""
        self._row["price"] = str(self._price)
        return self._row


def _named_bytes(row: Counts) -> int:
    """Return the upper bound of a row's length in bytes without its words."""
    return _BYTES_PER_CHAR * (len(row["id"]) + len(row["name"] or "")) + _NUMBERS_BYTES


def add(numbers: dict[str, int], status: str, change: int) -> None:
    """Add `change` under a status; a word to subtract that is not in the row was counted under OTHER."""
    known = numbers.get(status)
    if known and (number := known + change):  # nearly always
        numbers[status] = number
        return
    if status not in numbers and (change < 0 or (len(numbers) >= _WORDS_KEPT and not is_known(status))):
        status = OTHER
    number = numbers.get(status, 0) + change
    if number:
        numbers[status] = number
    else:
        del numbers[status]


def replace(numbers: dict[str, int], old: str, new: str) -> None:
    """Take one away under a status, and add one under another."""
    try:  # `get` takes longer, and nearly always both are there
        of_old, of_new = numbers[old], numbers[new]
    except KeyError:
        of_old = of_new = 0
    if of_old > 1 and of_new > 0:
        numbers[old] = of_old - 1
        numbers[new] += 1  # both may be the same word
    else:
        add(numbers, old, -1)
        add(numbers, new, 1)
