"""
Comparing the finals derived from SMS callbacks with those Routee reported, in messages or in parts.

Routee does not name the unit of its counts. It follows from the reports alone, never from the comparison: the unit that
fits better would hide the loss that the comparison exists to show.
"""

from collections.abc import Mapping
from typing import NamedTuple

from streams.contract.records import Reconciliation, Unit
from streams.domain.report import ENDED, FINISHED, Report
from streams.domain.statuses import FINALS

Numbers = Mapping[str, int]


class Verdict(NamedTuple):
    """Result of comparing derived with reported finals; the unit is None where nothing is compared."""

    reconciliation: Reconciliation
    unit: Unit | None
    drift: dict[str, int]


def unit_of(report: Report, *, is_steady: bool = False) -> Unit | None:
    """
    Return the unit of a report's counts as their sum tells it; `is_steady` as in `Reports`. None: it does not.

    A recipient gets one message, so a sum above the recipients counts parts. The counts of a finished campaign are
    complete: a sum up to the recipients counts messages (Routee leaves out recipients, blacklisted ones for example).
    While a campaign runs, or when it failed, its parts may pass the number of recipients: there a sum that equals them
    counts messages only when it stays, or at the end.
    """
    recipients, counts = report["total_recipients"], report["counts"]
    if not recipients or not counts:
        return None
    total = sum(counts.values())
    if total > recipients:
        return Unit.PARTS
    if report["campaign_status"] == FINISHED:
        return Unit.MESSAGES
    is_complete = is_steady or report["campaign_status"] in ENDED
    return Unit.MESSAGES if total == recipients and is_complete else None


def decided(*units: Unit | None) -> Unit | None:
    """
    Return the unit of a campaign from all that tells of it.

    A sum above the recipients is a proof, and beats a sum that only did not exceed them yet. So messages may turn
    into parts once, and nothing else changes a unit. Taken for messages wrongly, parts are compared with fewer
    messages: that may show a loss that is none, and never hides one.
    """
    if Unit.PARTS in units:
        return Unit.PARTS
    return Unit.MESSAGES if Unit.MESSAGES in units else None


def reconcile(messages: Numbers, parts: Numbers, report: Report | None, unit: Unit | None) -> Verdict:
    """
    Compare the finals among derived counts (of messages, of parts) with those of the newest report, in its unit.

    A report without numbers is as good as none once an SMS callback came.
    """
    if report is not None and not messages:
        return Verdict(Reconciliation.UNDERIVED, None, {})
    reported = report and report["counts"]
    if not reported:
        return Verdict(Reconciliation.UNREPORTED, None, {})
    if unit is None:
        return Verdict(Reconciliation.UNDECIDED, None, {})
    drift = _drift(parts if unit == Unit.PARTS else messages, reported)
    return Verdict(_judged(drift), unit, drift)


def _drift(derived: Numbers, reported: Numbers) -> dict[str, int]:
    drift = {word: derived.get(word, 0) - reported.get(word, 0) for word in FINALS}
    return {word: difference for word, difference in drift.items() if difference}


def _judged(drift: dict[str, int]) -> Reconciliation:
    more = any(difference > 0 for difference in drift.values())
    less = any(difference < 0 for difference in drift.values())
    if more and less:
        return Reconciliation.MIXED
    if more:
        return Reconciliation.AHEAD
    return Reconciliation.BEHIND if less else Reconciliation.CONSISTENT
