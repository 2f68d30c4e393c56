"""
The order of a campaign's reports; Routee gives them none.

A report is a snapshot: its counts replace the known ones and are never added. It carries no time and no number, so its
place among the others follows from its values, because some of them only ever grow:

1. A campaign that ended stays ended. Messages that are final stay final, and messages that were sent stay sent: the
   number of finals never falls, nor does the number of finals, `Sent` and unknown words together. The latter says
   nothing about a report of the end beside another one: at the end Routee may drop messages that never became final.
2. Between equals of these, the later campaign status is the newer: `Scheduled`, `Queued`, `Running`, `Sent`.
3. Between equals of these, too, the greater sum is the newer: the queue is being filled. Before that the sum says
   nothing, because it falls when Routee leaves out recipients.

Two reports cannot be ordered when one is ahead in one number of a rule and the other in another, or when all numbers
are equal and values differ: then the one received later stands.

Each value is that of the newest report that has it, so a value that a report leaves out comes from another one, and no
order of arrival changes the result.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypedDict, cast

from streams.domain.row_forms import filled
from streams.domain.statuses import FINALS, QUEUED

FINISHED: Final = "Finished"
ENDED: Final = (FINISHED, "Failed")
_UNDER_WAY: Final = ("Scheduled", "Queued", "Running", "Sent")
CAMPAIGN_STATUSES: Final = (*_UNDER_WAY, *ENDED)
"""The known campaign statuses, in Routee's spelling."""

_STAGES: Final = {status: stage for stage, status in enumerate(_UNDER_WAY)}


class Report(TypedDict):
    """One report, normalised; null where the report gives no value."""

    name: str | None
    campaign_status: str | None
    strategy: str | None
    total_recipients: int | None
    counts: dict[str, int] | None
    """Status in Routee's spelling → how many, zeros left out."""


Standing = tuple[bool | None, int | None, int | None, int | None, int | None]
"""
The place of a report in the order: ended, finals, at least sent, stage, sum. None where the report does not say.

An unknown campaign status tells that the campaign has not ended, and no stage.
"""

_RULES: Final = ((0, 1, 2), (3,), (4,))
"""Which numbers of a standing go before which."""
_RULES_AT_THE_END: Final = ((0, 1),)
"""The same when only one of the two reports is of the end."""


class Reports(Report):
    """All reports of a campaign together. An empty value (no number, 0 recipients) gives way to any other."""

    standings: dict[str, Standing]
    """Field → standing of the report it comes from, where that is not the standing of these values as a whole."""


class Joined(NamedTuple):
    """The reports of a campaign after one more."""

    reports: Reports
    is_stale: bool
    """It came after a newer one."""
    is_unordered: bool
    """It replaced a value of a report that is neither older nor newer."""


NO_REPORT: Final = Report(name=None, campaign_status=None, strategy=None, total_recipients=None, counts=None)
NO_REPORTS: Final = Reports(**NO_REPORT, standings={})


def finals_of(counts: dict[str, int] | None) -> int:
    """Return how many have a final status."""
    return sum(number for word, number in counts.items() if word in FINALS) if counts else 0


def lacks_last_numbers(reports: Reports) -> bool:
    """Tell whether a campaign has ended, and its counts are those of a report from before the end."""
    ended, *_ = _source(reports, "counts")
    return reports["campaign_status"] in ENDED and bool(reports["counts"]) and not ended


def join(known: Reports | None, report: Report) -> Joined:
    """Return the known reports (None: no report yet) and a further one together."""
    before = NO_REPORTS if known is None else filled(NO_REPORTS, known)
    standing = _standing(report)
    theirs: Any = before
    said: Any = {name: value for name, value in report.items() if value or theirs.get(name) is None}
    ages = {name: _age(standing, _source(before, name)) for name in said if theirs.get(name)}
    contested = {name for name, age in ages.items() if age == 0 and said[name] != theirs[name]}
    news = {name: value for name, value in said.items() if name in contested or ages.get(name, 1) > 0}
    after: Any = {**theirs, **news}
    sources = {name: standing if name in news else _source(before, name) for name in NO_REPORT if after[name]}
    whole = _standing(after)
    after["standings"] = {name: source for name, source in sources.items() if source != whole}
    is_stale = any(age < 0 for age in ages.values())
    return Joined(after, is_stale, bool(contested) and not is_stale)


def _standing(report: Report) -> Standing:
    status, counts = report["campaign_status"], report["counts"]
    ended, stage = (status in ENDED, _STAGES.get(status)) if status else (None, None)
    if not counts:
        return ended, None, None, stage, None
    total = sum(counts.values())
    return ended, finals_of(counts), total - counts.get(QUEUED, 0), stage, total


def _source(reports: Reports, name: str) -> Standing:
    """Return the standing of the report that a value comes from."""
    kept = reports["standings"].get(name)
    return _standing(reports) if kept is None else cast("Standing", tuple(kept))


def _age(report: Standing, other: Standing) -> int:
    """Return 1 when a report is newer than another one, -1 when it is older, 0 when neither is certain."""
    one_ended = (report[0] is True) != (other[0] is True)
    for rule in _RULES_AT_THE_END if one_ended else _RULES:
        moves = _moves((report[number], other[number]) for number in rule)
        if moves:
            return moves.pop() if len(moves) == 1 else 0
    return 0


def _moves(pairs: Iterable[tuple[int | None, int | None]]) -> set[int]:
    known = [(mine, theirs) for mine, theirs in pairs if mine is not None and theirs is not None]
    return {(mine > theirs) - (mine < theirs) for mine, theirs in known} - {0}
