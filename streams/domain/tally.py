"""
One row per partition that says how far its callbacks are taken in, and what became of each of them.

It is written with the rows it speaks of, so its totals are exact through crashes:
accepted = applied + duplicate + stale + conflict + report + rejected.
"""

from typing import Any, Final, NotRequired, TypedDict

from streams.domain.row_forms import filled
from streams.domain.stage import Rows

TALLY_KEY: Final = b"v:"


class Tally(TypedDict):
    """What became of the callbacks of one partition, from the first record on."""

    clock: int
    """Stream time, in ms; see `expiry`. 0 until the first date."""
    makeshift: NotRequired[int]
    """What stands for it until then."""
    oldest: int
    """The first bucket of the expiry index that may still have keys."""
    accepted: int
    verdicts: dict[str, int]
    """applied, duplicate, stale, conflict, report, rejected."""
    rejected: dict[str, int]
    """By reason."""
    notes: dict[str, int]
    """How often something in a callback was left out: the field that was not understood, `future-date`, …"""


def read_tally(rows: Rows) -> Tally:
    """Return the totals of one partition, all zero before its first record."""
    row: Any = rows.get(TALLY_KEY)
    new = Tally(clock=0, oldest=0, accepted=0, verdicts={}, rejected={}, notes={})
    return new if row is None else filled(new, row)


def keep_tally(rows: Rows) -> Tally:
    """Return the totals of one partition to be changed in place."""
    tally: Tally | None = rows.kept(TALLY_KEY)
    if tally is None:
        tally = read_tally(rows)
        rows.keep(TALLY_KEY, tally)
    return tally


def count(numbers: dict[str, int], name: str) -> None:
    """Add one."""
    numbers[name] = numbers.get(name, 0) + 1
