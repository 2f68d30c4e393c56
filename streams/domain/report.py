"""
The order of a campaign's reports; Routee gives them none.

A report is a snapshot: its counts replace the known ones and are never added. It carries no time and no number, so
the newer of two is the one with more final messages, then the later campaign status, then the later arrival.
"""

from typing import Any, Final, TypedDict

from streams.domain.row_forms import filled
from streams.domain.statuses import FINALS

ENDED: Final = frozenset(("Finished", "Failed"))
CAMPAIGN_STATUSES: Final = {"Scheduled": 0, "Queued": 1, "Running": 2, "Sent": 3, "Finished": 4, "Failed": 4}
"""Campaign status in Routee's spelling → rank."""

_UNKNOWN_RANK: Final = 2  # as `Running`: an unknown word shows that the campaign is active


class Report(TypedDict):
    """One report, normalised; null where the report gives no value."""

    name: str | None
    campaign_status: str | None
    strategy: str | None
    total_recipients: int | None
    counts: dict[str, int] | None
    """Status in Routee's spelling → how many, zeros left out."""


def finals_of(counts: dict[str, int] | None) -> int:
    """Return how many have a final status."""
    return sum(number for word, number in counts.items() if word in FINALS) if counts else 0


NO_REPORT: Final = Report(name=None, campaign_status=None, strategy=None, total_recipients=None, counts=None)


def newer(known: Report | None, report: Report) -> Report | None:
    """Return `known` updated by a further report, values it leaves out kept; None when `report` is stale."""
    if known is None:
        return filled(NO_REPORT, report)
    known = filled(NO_REPORT, known)
    said: Any = {name: value for name, value in report.items() if value is not None and value != ""}
    merged: Report = {**known, **said}
    return merged if _place(merged) >= _place(known) else None


def _place(report: Report) -> tuple[int, int]:
    status: Any = report["campaign_status"]
    return finals_of(report["counts"]), -1 if status is None else CAMPAIGN_STATUSES.get(status, _UNKNOWN_RANK)
