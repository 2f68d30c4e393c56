"""
Routee's status words: the one table of the known words, the final ones, and their order.

Words are matched in any case and written in Routee's spelling. An unknown word is no error: it is kept as received
and ranks beside `Sent`, because only a word known to be final may close an SMS.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final, Literal

from streams.contract.remembered import remembered
from streams.contract.visible import visible

QUEUED: Final = "Queued"
SENT: Final = "Sent"
DELIVERED: Final = "Delivered"

FINAL_RANK: Final = 2
# Rank, then precedence among words of the same rank and time: of two finals of the same second, Delivered stands.
_PLACES: Final = {
    "Queued": (0, 0),
    "Sent": (1, 0),
    "Unsent": (FINAL_RANK, 0),
    "Failed": (FINAL_RANK, 1),
    "Undelivered": (FINAL_RANK, 2),
    "Delivered": (FINAL_RANK, 3),
}
_UNKNOWN_PLACE: Final = (1, 1)

WORDS: Final = frozenset(_PLACES)
"""All known words, in Routee's spelling."""

FINALS: Final = ("Delivered", "Undelivered", "Failed", "Unsent")
_WORST_FIRST: Final = ("Failed", "Unsent", "Undelivered")

FinalsRule = Literal["latest", "first"]
"""
Which of two different finals stands: the one with the later of Routee's dates, or the earlier.

The dates count as given and no clock of ours does, so that the same callbacks mean the same at any time. The price is
that a wrong clock of the provider can win between two finals: with `latest` one that is ahead, with `first` one that
is behind. Between a final and any other status dates decide nothing.
"""

Standing = tuple[int, int, int, str]
"""Position of (status, date) in the order: rank, date, precedence, word. The greatest is the state of the SMS."""

_NO_DATE: Final = -(1 << 62)


def spellings(words: Iterable[str]) -> Mapping[str, str]:
    """Return lower case → Routee's spelling, of one vocabulary."""
    return {word.lower(): word for word in words}


_STATUSES: Final = spellings(_PLACES)


as_known: Final = {word: word for word in _PLACES}.get
"""
Return a known word that is in Routee's spelling, None for any other.

It is always the same object, which dictionaries find sooner than an equal one.
"""


def spelled(word: str, vocabulary: Mapping[str, str] = _STATUSES) -> str:
    """
    Return a word of a callback or a report in Routee's spelling: the one reader of words.

    White space, invisible characters and quote marks around a word are no part of it, and a run of the first two within
    is one space. An unknown word is returned so, with its quote marks.
    """
    tidied = visible(word)
    return vocabulary.get(visible(tidied.strip("\"'")).lower(), tidied)


def is_known(word: str) -> bool:
    """Tell whether the word, in any spelling, is one of Routee's statuses."""
    return word in _PLACES or spelled(word) in _PLACES


is_final: Final = frozenset(FINALS).__contains__
"""Tell whether a word in Routee's spelling ends the life of an SMS."""


def standing(word: str, date: int, rule: FinalsRule) -> Standing:
    """
    Return the position of a status in the order of all statuses of one SMS; `date` in ms, 0 when Routee gave none.

    The order is total, so the greatest of a set of callbacks does not depend on their order of arrival. A status
    without a date stands below the dated ones of its rank.
    """
    rank, precedence = _PLACES.get(word, _UNKNOWN_PLACE)
    if not date:
        date = _NO_DATE
    elif rule == "first" and rank == FINAL_RANK:
        date = -date
    return rank, date, precedence, word


# The SMS of a message have few words: nearly all messages have had the statuses of one before.
@remembered(4096)
def rolled_up(words: tuple[str, ...]) -> str:
    """
    Return the status of a message from the statuses of its parts (the caller gives `Sent` for a part not seen yet).

    It is the least advanced one; when all are final, `Delivered` only if every part is, else the worst.
    """
    standings = [(*_PLACES.get(word, _UNKNOWN_PLACE), word) for word in words]
    least = min(standings)
    if least[0] < FINAL_RANK:
        return least[2]
    finals = {word for _, _, word in standings}
    return next((word for word in _WORST_FIRST if word in finals), DELIVERED)


def changes_of_mind(finals: list[list[int | str]]) -> int:
    """Return how often a different final follows a final; `finals` are [date, word] in the order of `sort_finals`."""
    return 0 if not finals else sum(earlier[1] != later[1] for earlier, later in pairwise(finals))


def sort_finals(finals: Iterable[list[int | str]]) -> list[list[int | str]]:
    """Return [date, word] pairs by date, then precedence: an order independent of policy and arrival."""
    return sorted(finals, key=lambda final: (final[0], _PLACES[str(final[1])]))
