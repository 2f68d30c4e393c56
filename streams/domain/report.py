"""
Campaign reports (Case 1): read from what Routee posts, and put in an order that Routee does not give.

A report is a snapshot: counts are replaced, never added. It carries no time and no number, so the newer of two is
the one with more final messages, then with the later campaign status, then the one that arrived later.
"""

from typing import Any, Final, NamedTuple, TypedDict

from streams.contract.records import Reason
from streams.domain.refusal import ID_MAX_CHARS, Refusal, usable_id
from streams.domain.routee import coercion
from streams.domain.routee.shapes import Body
from streams.domain.statuses import FINALS, is_known, spelled

ENDED: Final = frozenset(("Finished", "Failed"))
_STATUS_RANKS: Final = {"Scheduled": 0, "Queued": 1, "Running": 2, "Sent": 3, "Finished": 4, "Failed": 4}
_SPELLINGS: Final = {word.lower(): word for word in _STATUS_RANKS}
_UNKNOWN_RANK: Final = 2  # an unknown word says that something is going on
_WORDS_KEPT: Final = 64
_WORD_MAX_CHARS: Final = 64


class Report(TypedDict):
    """One report, normalised; null is what it did not say."""

    name: str | None
    campaign_status: str | None
    strategy: str | None
    total_recipients: int | None
    counts: dict[str, int] | None
    """Status in Routee's spelling → how many, zeros left out."""


class Read(NamedTuple):
    """A report and the campaign it is of; `notes` are the names of fields that were not understood."""

    campaign: str
    report: Report
    notes: list[str]


def read_report(body: Body) -> Read | Refusal:
    """Read a body whose shape is that of a campaign report."""
    campaign = body.get("trackingId")
    if not usable_id(campaign):
        return Refusal(Reason.INVALID_FIELD, f"trackingId: expected text of 1 to {ID_MAX_CHARS} characters")
    notes: list[str] = []
    callback_info = body.get("callbackInfo")
    strategy = callback_info.get("strategy") if isinstance(callback_info, dict) else None
    status = coercion.text(body.get("campaignStatus"), "campaignStatus", notes)
    report = Report(
        name=coercion.text(body.get("name"), "name", notes),
        campaign_status=status and _SPELLINGS.get(status.lower(), status),
        strategy=coercion.text(strategy, "callbackInfo.strategy", notes),
        total_recipients=coercion.count(body.get("totalRecipients"), "totalRecipients", notes),
        counts=_read_counts(body, notes),
    )
    return Read(str(campaign), report, notes)


def _read_counts(body: Body, notes: list[str]) -> dict[str, int] | None:
    """
    Return `messageStatuses`, and status words that stand beside it: the form that Routee's own page shows.

    None when there is neither. Two spellings of one status are added.
    """
    given = body.get("messageStatuses")
    if given is not None and not isinstance(given, dict):
        notes.append("messageStatuses")
        given = None
    beside = {name: number for name, number in body.items() if is_known(name) and name not in (given or {})}
    if given is None and not beside:
        return None
    counts: dict[str, int] = {}
    for name, value in [*(given or {}).items(), *beside.items()]:
        number = coercion.count(value, "messageStatuses", notes)
        word = spelled(name)
        if number and len(word) <= _WORD_MAX_CHARS and (word in counts or len(counts) < _WORDS_KEPT):
            counts[word] = min(counts.get(word, 0) + number, coercion.MAX_COUNT)
    return counts


def finals_of(counts: dict[str, int] | None) -> int:
    """Return how many are final."""
    return sum(number for word, number in counts.items() if word in FINALS) if counts else 0


def newer(known: Report | None, report: Report) -> Report | None:
    """Return the report that stands after one more came, None when that one is stale; what it left out is kept."""
    if known is None:
        return report
    merged = Report(
        name=report["name"] or known["name"],
        campaign_status=report["campaign_status"] or known["campaign_status"],
        strategy=report["strategy"] or known["strategy"],
        total_recipients=known["total_recipients"]
        if report["total_recipients"] is None
        else report["total_recipients"],
        counts=known["counts"] if report["counts"] is None else report["counts"],
    )
    return merged if _place(merged) >= _place(known) else None


def _place(report: Report) -> tuple[int, int]:
    status: Any = report["campaign_status"]
    return finals_of(report["counts"]), -1 if status is None else _STATUS_RANKS.get(status, _UNKNOWN_RANK)
