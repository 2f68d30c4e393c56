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
are equal and values differ: they contradict each other, or leave out too much. Then the first number that both say and
that differs decides, and the greater value where none does.

Each value is that of the newest report that has it, so a value that a report leaves out comes from another one. No
order of arrival changes the result. Pairs alone would not do: of three reports that say different numbers each may be
newer than the next. So the newest value is kept for each set of numbers that a report can say, and these few are put
in one fixed order.
"""

from collections.abc import Iterable, Iterator
from functools import reduce
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

Claim = tuple[Standing, Any]
"""The standing of a report, and a value that it gives to a field, never an empty one."""

_RULES: Final = ((0, 1, 2), (3,), (4,))
"""Which numbers of a standing go before which."""
_RULES_AT_THE_END: Final = ((0, 1),)
"""The same when only one of the two reports is of the end."""


class Reports(Report):
    """All reports of a campaign together. An empty value (no number, 0 recipients) gives way to any other."""

    standings: dict[str, Standing]
    """Field → standing of the report it comes from, where that is not the standing of these values as a whole."""
    rivals: dict[str, list[Claim]]
    """Field → claims of reports that say other numbers than the one it comes from; a further report may let one win."""


class Joined(NamedTuple):
    """The reports of a campaign after one more."""

    reports: Reports
    is_stale: bool
    """It came after a newer one."""
    is_unordered: bool
    """It gives another value than a report that is neither older nor newer."""


NO_REPORT: Final = Report(name=None, campaign_status=None, strategy=None, total_recipients=None, counts=None)
NO_REPORTS: Final = Reports(**NO_REPORT, standings={}, rivals={})


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
    theirs: Any = before
    standing = _standing(report)
    claims = {name: [*_claims(before, name)] for name in NO_REPORT}
    said = {name: value for name, value in report.items() if value}
    ages = {name: _age(standing, claims[name][0][0]) for name in said if claims[name]}
    is_stale = any(age < 0 for age in ages.values())
    is_contested = any(age == 0 and said[name] != theirs[name] for name, age in ages.items())

    # An empty value stands where no report has another one.
    after: Any = {**theirs, **{name: value for name, value in report.items() if theirs[name] is None}}
    claims |= {name: _left([*claims[name], (standing, value)]) for name, value in said.items()}
    stand = {name: some[0] for name, some in claims.items() if some}
    after |= {name: value for name, (_, value) in stand.items()}
    whole = _standing(after)
    after["standings"] = {name: source for name, (source, _) in stand.items() if source != whole}
    after["rivals"] = {name: some[1:] for name, some in claims.items() if some[1:]}
    return Joined(after, is_stale, is_contested and not is_stale)


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


def _claims(reports: Reports, name: str) -> Iterator[Claim]:
    """Yield the claims of reports to a field, first the one that stands."""
    value = dict(reports)[name]
    if value:
        yield _source(reports, name), value
    for standing, rival in reports["rivals"].get(name, ()):
        yield cast("Standing", tuple(standing)), rival


def _left(claims: Iterable[Claim]) -> list[Claim]:
    """Return the newest claim for each set of numbers that reports say, first the one that stands."""
    newest: dict[tuple[bool, ...], Claim] = {}
    for claim in claims:
        says = tuple(number is not None for number in claim[0])
        newest[says] = max(newest.get(says, claim), claim, key=_ordered)
    # A campaign that ended stays ended: a report from before the end can win no more.
    is_over = any(standing[0] for standing, _ in newest.values())
    left = [claim for _, claim in sorted(newest.items()) if not (is_over and claim[0][0] is False)]
    stands = reduce(_newer, left)
    return [stands, *(claim for claim in left if claim is not stands)]


def _newer(one: Claim, other: Claim) -> Claim:
    """Return the claim that stands of two: by the first number that both say and that differs, else by the value."""
    both = [at for at, pair in enumerate(zip(one[0], other[0], strict=True)) if None not in pair]
    return max(one, other, key=lambda claim: ([claim[0][at] for at in both], _ordered(claim)[1]))


def _ordered(claim: Claim) -> tuple[Standing, Any]:
    """Return what orders the claims of reports that say the same numbers."""
    standing, value = claim
    return standing, _numbers(value) if isinstance(value, dict) else value


def _numbers(counts: dict[str, int]) -> list[tuple[tuple[int, ...], int]]:
    """
    Return what orders counts by the first status in which they differ.

    A status that is left out is a number of 0. So of two statuses the earlier one, which the other counts lack, has to
    be the greater: letters count backwards, and the end of a word above each.
    """
    return [((*(-ord(letter) for letter in status), 1), number) for status, number in sorted(counts.items())]


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
