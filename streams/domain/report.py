"""
The reports of a campaign, put in an order: Routee gives them none.

A report is a snapshot: counts are replaced, never added. It carries no time and no number, so the newer of two is
the one with more final messages, then with the later campaign status, then the one that arrived later.
"""

from typing import Any, Final, TypedDict

from streams.domain.row_forms import filled
from streams.domain.statuses import FINALS

ENDED: Final = frozenset(("Finished", "Failed"))
CAMPAIGN_STATUSES: Final = {"Scheduled": 0, "Queued": 1, "Running": 2, "Sent": 3, "Finished": 4, "Failed": 4}
"""Status words of campaigns in Routee's spelling, and their rank."""

_UNKNOWN_RANK: Final = 2  # an unknown word says that something is going on


class Report(TypedDict):
    """One report, normalised; null is what it did not say."""

    name: str | None
    campaign_status: str | None
    strategy: str | None
    total_recipients: int | None
    counts: dict[str, int] | None
    """Status in Routee's spelling → how many, zeros left out."""


def finals_of(counts: dict[str, int] | None) -> int:
    """Return how many are final."""
    return sum(number for word, number in counts.items() if word in FINALS) if counts else 0


NO_REPORT: Final = Report(name=None, campaign_status=None, strategy=None, total_recipients=None, counts=None)


def newer(known: Report | None, report: Report) -> Report | None:
    """Return the report that stands after one more came, None when that one is stale; what it left out is kept."""
    if known is None:
        return filled(NO_REPORT, report)
    known = filled(NO_REPORT, known)
    said: Any = {name: value for name, value in report.items() if value is not None and value != ""}
    merged: Report = {**known, **said}
    return merged if _place(merged) >= _place(known) else None


def _place(report: Report) -> tuple[int, int]:
    status: Any = report["campaign_status"]
    return finals_of(report["counts"]), -1 if status is None else CAMPAIGN_STATUSES.get(status, _UNKNOWN_RANK)
