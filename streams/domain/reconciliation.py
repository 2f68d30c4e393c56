"""
Comparing the finals derived from SMS callbacks with those Routee reported, in messages or in parts.

Routee does not name the unit of its counts. It follows from the reports alone, never from the comparison: the unit that
fits better would hide the loss that the comparison exists to show.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from streams.contract.records import Reconciliation, Unit
from streams.domain.report import ENDED, FINISHED, Report
from streams.domain.statuses import FINALS, WORDS

Numbers = Mapping[str, int]


class Verdict(NamedTuple):
    """Result of comparing derived with reported finals; the unit is None where nothing is compared."""

    reconciliation: Reconciliation
    unit: Unit | None
    drift: dict[str, int]


class Told(NamedTuple):
    """The unit of a campaign's reports, as far as they tell it."""

    unit: Unit | None
    equal: Numbers | None
    """The counts of a report whose sum is the number of recipients."""


def tell(known: Told, report: Report) -> Told:
    """
    Return the unit after one more report, which tells by itself; so their order does not matter.

    A recipient gets one message, so a sum above the recipients counts parts. The counts of a finished campaign are
    complete: a sum up to the recipients counts messages (Routee leaves out recipients, blacklisted ones for example).
    While a campaign runs, or when it failed, its parts may pass the number of recipients: a sum that equals them counts
    messages when the campaign moved on and the sum did not, or at the end.

    A decided unit is kept, but for one change: a sum above the recipients proves parts, and beats sums that only did
    not exceed them. Taken for messages wrongly, parts are compared with fewer messages: that may show a loss that is
    none, and never hides one.
    """
    recipients, counts, status = report["total_recipients"], report["counts"], report["campaign_status"]
    if not recipients or not counts:
        return known
    total = sum(counts.values())
    if total > recipients:
        return known._replace(unit=Unit.PARTS)
    is_equal = total == recipients
    moved_on = is_equal and known.equal not in (None, counts)
    if moved_on or status == FINISHED or (is_equal and status in ENDED):
        known = known._replace(unit=known.unit or Unit.MESSAGES)
    return known if known.equal or not is_equal else known._replace(equal=counts)


def reconcile(messages: Numbers, parts: Numbers, report: Report | None, unit: Unit | None) -> Verdict:
    """
    Compare the finals among derived counts (of messages, of parts) with those of the newest report, in its unit.

    A report without numbers is as good as none once an SMS callback came. Unknown words of a finished campaign are
    compared, too: no message of it is under way, and passed over they would hide the loss of theirs.
    """
    if report is not None and not messages:
        return Verdict(Reconciliation.UNDERIVED, None, {})
    reported = report and report["counts"]
    if not reported:
        return Verdict(Reconciliation.UNREPORTED, None, {})
    if unit is None:
        return Verdict(Reconciliation.UNDECIDED, None, {})
    others = reported.keys() - WORDS if report and report["campaign_status"] == FINISHED else ()
    drift = _drift(parts if unit == Unit.PARTS else messages, reported, [*FINALS, *sorted(others)])
    return Verdict(_judged(drift), unit, drift)


def _drift(derived: Numbers, reported: Numbers, words: Iterable[str]) -> dict[str, int]:
    drift = {word: derived.get(word, 0) - reported.get(word, 0) for word in words}
    return {word: difference for word, difference in drift.items() if difference}


def _judged(drift: dict[str, int]) -> Reconciliation:
    more = any(difference > 0 for difference in drift.values())
    less = any(difference < 0 for difference in drift.values())
    if more and less:
        return Reconciliation.MIXED
    if more:
        return Reconciliation.AHEAD
    return Reconciliation.BEHIND if less else Reconciliation.CONSISTENT
