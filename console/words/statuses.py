"""
Statuses in the order of a bar, and the rest of it: recipients of whom nothing has come yet.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from console.words.numbers import grouped

FINALS: Final = ("Delivered", "Undelivered", "Failed", "Unsent")
OPEN: Final = ("Sent", "Queued")
_KNOWN: Final = frozenset((*FINALS, *OPEN))
WIDE: Final = 1000.0
"""The width of a bar in its own units."""


class Segment(NamedTuple):
    """A part of a bar: the status (`unknown` for words that are not known), its class, number, place and width."""

    status: str
    css: str
    number: int
    x: float
    width: float


def css_of(status: str | None) -> str:
    """Return the class, which is the glyph too: a word of Routee's that is not known is `unknown`."""
    return status.lower() if status in _KNOWN else "unknown"


def in_order(counts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield statuses with counts: finals, words that are not known as one, then those on their way."""
    for status in FINALS:
        yield status, counts.get(status, 0)
    yield "unknown", sum(count for status, count in counts.items() if status not in _KNOWN)
    for status in OPEN:
        yield status, counts.get(status, 0)


def segments(counts: Mapping[str, int], total: int) -> list[Segment]:
    """Return the parts of a bar; each known status is there, also with none, so that a live update finds it."""
    found, x = [], 0.0
    for status, count in in_order(counts):
        width = count / total * WIDE if total else 0.0
        found.append(Segment(status, css_of(status), count, round(x, 2), round(width, 2)))
        x += width
    return found


def final_of(counts: Mapping[str, int]) -> int:
    """Return how many are final."""
    return sum(counts.get(status, 0) for status in FINALS)


def told(counts: Mapping[str, int], total: int = 0) -> str:
    """Return a bar in words, for people who do not see it."""
    parts = [f"{grouped(count)} {status}" for status, count in in_order(counts) if count]
    unseen = total - sum(counts.values())
    return ", ".join(parts + ([f"{grouped(unseen)} not seen yet"] if unseen > 0 else [])) or "nothing yet"
