"""
The progress of one campaign: the partial counts of all source partitions combined with the newest report.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict, cast

from streams.contract.codec import format_time_ms
from streams.contract.records import Unit
from streams.domain.counts import NOT_TOUCHED, Counts, no_counts
from streams.domain.money import MOST_UNITS, money_text
from streams.domain.reconciliation import Numbers, Told, reconcile, tell
from streams.domain.report import ENDED, NO_REPORTS, Report, Reports, finals_of, lacks_last_numbers
from streams.domain.row_forms import filled
from streams.domain.silence import touched_at
from streams.domain.statuses import DELIVERED


class Sums(TypedDict):
    """Counts that move no more."""

    name: str | None
    messages: dict[str, int]
    parts: dict[str, int]
    price: str
    conflicts: int


class PartitionCounts(Counts):
    """The counts of a campaign in one source partition."""

    generation: int
    """Generation of the rows that the counts were made from; the greater is newer."""
    before: NotRequired[Sums]
    """The counts that the partition has forgotten before it began with these, in the same generation."""


class Campaign(TypedDict):
    """The row of a campaign in stage 2."""

    id: str
    """As first received: the key of the public topic must not change with the case of a later callback."""
    revision: int
    sources: dict[str, PartitionCounts]
    """Source partition → its newest counts."""
    report: Reports | None
    report_generation: int
    """Generation of the rows beside which the last report was taken in; see `PartitionCounts`."""
    report_place: list[int] | None
    """[partition, offset, index] of the last report taken in, stale ones included."""
    stale_reports: int
    unordered_reports: int
    unit: Unit | None
    equal_counts: Mapping[str, int] | None
    """See `reconciliation.Told`."""
    first: int
    last: int
    finished: int
    """Time of receipt (ms) of the counts or report that made the campaign final, 0 while it is not."""
    touched: Sequence[int]
    """[revision, stream time in ms] of the last change, see `silence`."""


def new_campaign(campaign: str, received: int) -> Campaign:
    """Return the row of a campaign seen for the first time: the default of each field."""
    return Campaign(
        id=campaign,
        revision=0,
        sources={},
        report=None,
        report_generation=0,
        report_place=None,
        stale_reports=0,
        unordered_reports=0,
        unit=None,
        equal_counts=None,
        first=received,
        last=received,
        finished=0,
        touched=NOT_TOUCHED,
    )


def read_campaign(row: Mapping[str, Any]) -> Campaign:
    """Return the campaign of a row that any version wrote; the stored report of an older one tells the unit."""
    campaign = filled(new_campaign("", 0), cast("Campaign", row))
    if campaign["report"] is None:
        return campaign
    reports = filled(NO_REPORTS, campaign["report"])
    campaign = {**campaign, "report": reports}
    return campaign if "unit" in row else with_unit(campaign, reports)


def last_change(campaign: Campaign) -> int:
    """Return the stream time (ms) at which a campaign was changed last."""
    return touched_at(campaign["touched"], campaign["revision"], campaign["last"])


def read_counts(line: Mapping[str, Any]) -> tuple[str, PartitionCounts]:
    """Return the source partition and the counts of a line that any version wrote."""
    given = line["counts"]
    counts = {**no_counts(given["id"], given["first"]), **given, "generation": line["generation"]}
    return str(line["partition"]), cast("PartitionCounts", counts)


def following(known: PartitionCounts | None, counts: PartitionCounts) -> PartitionCounts:
    """Return newer counts of a partition, with the forgotten ones before them."""
    if known is None or known["generation"] != counts["generation"]:
        return counts
    if known.get("begun") == counts.get("begun"):
        return {**counts, "before": known["before"]} if "before" in known else counts
    summed = totals([known])
    before = Sums(
        name=summed.name,
        messages=summed.messages,
        parts=summed.parts,
        price=str(summed.price),
        conflicts=summed.conflicts,
    )
    return {**counts, "before": before}


def with_unit(campaign: Campaign, report: Report) -> Campaign:
    """Return a campaign with the unit as a further report tells it."""
    unit, equal = tell(Told(campaign["unit"], campaign["equal_counts"]), report)
    return {**campaign, "unit": unit, "equal_counts": equal}


class Totals(NamedTuple):
    """The counts of all source partitions together."""

    messages: dict[str, int]
    parts: dict[str, int]
    price: int
    conflicts: int
    name: str | None


def totals(sources: Iterable[PartitionCounts]) -> Totals:
    """Add up the counts of the source partitions, forgotten ones included."""
    present = list(sources)
    counts = [*present, *(source["before"] for source in present if "before" in source)]
    return Totals(
        _sum(source["messages"] for source in counts),
        _sum(source["parts"] for source in counts),
        sum(int(source["price"]) for source in counts),
        sum(source["conflicts"] for source in counts),
        max((source["name"] for source in counts if source["name"]), default=None),
    )


def _sum(maps: Iterable[Numbers]) -> dict[str, int]:
    added: dict[str, int] = {}
    for numbers in maps:
        for word, number in numbers.items():
            added[word] = added.get(word, 0) + number
    return added


def is_ended(report: Report | None, derived: Totals) -> bool:
    """
    Tell whether a campaign is final: Routee says so, or every recipient has a final status.

    Only a report gives the number of recipients, so messages alone never end a campaign.
    """
    if report is None:
        return False
    if report["campaign_status"] in ENDED:
        return True
    recipients = report["total_recipients"]
    if not recipients:
        return False
    if derived.messages:
        return finals_of(derived.messages) >= max(recipients, sum(derived.messages.values()))
    # Reported counts may be of parts: then they exceed the number of recipients while some are still under way.
    finals = finals_of(report["counts"])
    return finals >= recipients and finals == sum((report["counts"] or {}).values())


def progress_of(report: Report | None, derived: Totals) -> float | None:
    """
    Return finals over the larger of recipients and messages, 0 to 1; None while both are unknown.

    While no SMS callback came, Routee's own numbers are taken, which may be of parts.
    """
    recipients = (report and report["total_recipients"]) or 0
    reported = (report and report["counts"]) or {}
    counts = derived.messages or reported
    whole = max(recipients, sum(counts.values()))
    return min(finals_of(counts) / whole, 1.0) if whole else None


def delivery_rate(report: Report | None, derived: Totals) -> float | None:
    """Return delivered over final: derived once an SMS callback came, else reported; None while nothing is final."""
    counts = derived.messages or (report and report["counts"]) or {}
    finals = finals_of(counts)
    return counts.get(DELIVERED, 0) / finals if finals else None


def progress_record(campaign: Campaign, generation: int) -> dict[str, Any]:
    """Return the public record of a campaign, and of the generation of its row: the fields of CampaignProgress."""
    report = campaign["report"]
    derived = totals(campaign["sources"].values())
    reported = report["counts"] if report else None
    # Numbers from before the end of a campaign would hide the loss of all that came after them.
    unit = None if report and lacks_last_numbers(report) else campaign["unit"]
    verdict = reconcile(derived.messages, derived.parts, report, unit)
    return {
        "campaign_tracking_id": campaign["id"],
        "name": (report and report["name"]) or derived.name,
        "campaign_status": report and report["campaign_status"],
        "strategy": report and report["strategy"],
        "total_recipients": report and report["total_recipients"],
        "messages": sum(derived.messages.values()),
        "messages_final": finals_of(derived.messages),
        "messages_delivered": derived.messages.get(DELIVERED, 0),
        "messages_by_status": derived.messages,
        "parts": sum(derived.parts.values()),
        "parts_by_status": derived.parts,
        "reported_by_status": reported,
        "progress": progress_of(report, derived),
        "delivery_rate": delivery_rate(report, derived),
        "price_total": money_text(max(-MOST_UNITS, min(derived.price, MOST_UNITS))),
        "reconciliation": verdict.reconciliation,
        "reconciliation_unit": verdict.unit,
        "drift": verdict.drift,
        "is_final": campaign["finished"] > 0,
        "conflicts": derived.conflicts,
        "stale_reports": campaign["stale_reports"],
        "first_received_at": format_time_ms(campaign["first"]),
        "last_received_at": format_time_ms(campaign["last"]),
        "finished_at": format_time_ms(campaign["finished"]) if campaign["finished"] else None,
        "revision": campaign["revision"],
        "unordered_reports": campaign["unordered_reports"],
        "generation": generation,
    }
