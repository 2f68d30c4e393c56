"""
One row per partition with its stream time and the totals of its verdicts.

It is written in the same batch as the rows it counts, so its totals stay exact through crashes:
accepted = applied + duplicate + stale + conflict + report + rejected.
"""

from typing import Any, Final, NotRequired, TypedDict

from streams.domain.row_forms import filled
from streams.domain.stage import GENERATION_KEY, Rows

TALLY_KEY: Final = b"v:"


class Tally(TypedDict):
    """Stream time and verdicts of one partition, from the first record on."""

    clock: int
    """Stream time in ms, 0 until the first date; see `expiry`."""
    makeshift: NotRequired[int]
    """Stands for stream time until the first date, in ms."""
    ahead: NotRequired[list[int]]
    """First and last bucket of the makeshift time whose messages are still listed ahead of stream time."""
    forgotten: NotRequired[int]
    """The moment in ms before which messages may have been forgotten; it only rises. See `expiry.forgotten_before`."""
    forgotten_at: NotRequired[int]
    """`accepted` when `forgotten` was noted last: another number now means that an older version worked since."""
    first_window: NotRequired[int]
    """The oldest window that has cells; missing before the first, and when there is none. See `deliveries`."""
    oldest: int
    """The first bucket of the expiry index that may still have keys."""
    generation: int
    """That of the message that began last: it begins with the generation of the rows, and grows with every message."""
    accepted: int
    verdicts: dict[str, int]
    """applied, duplicate, stale, conflict, report, rejected."""
    rejected: dict[str, int]
    """By reason."""
    notes: dict[str, int]
    """
    How often each field was left out as not understood; `unknown-status`, `future-date`: both are kept;
    `closed-cell`, `coarse-cell`: see `deliveries`.
    """


def read_tally(rows: Rows) -> Tally:
    """Return the totals of one partition, all zero before its first record."""
    row: Any = rows.get(TALLY_KEY) or {}
    generation = row["generation"] if "generation" in row else rows.get(GENERATION_KEY) or 0
    new = Tally(clock=0, oldest=0, generation=generation, accepted=0, verdicts={}, rejected={}, notes={})
    tally: Tally = filled(new, row)
    return tally


def keep_tally(rows: Rows) -> Tally:
    """Return the totals of one partition, to be changed in place; the next flush writes them."""
    tally: Tally | None = rows.kept(TALLY_KEY)
    if tally is None:
        tally = read_tally(rows)
        rows.keep(TALLY_KEY, tally)
    return tally


def count(numbers: dict[str, int], name: str) -> None:
    """Add one."""
    numbers[name] = numbers.get(name, 0) + 1
