"""
Reading a campaign report (Case 1 in Routee's documents).
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from streams.contract.records import Reason
from streams.domain.refusal import ID_MAX_CHARS, Refusal, usable_id
from streams.domain.report import CAMPAIGN_STATUSES, Report
from streams.domain.routee import coercion
from streams.domain.routee.shapes import Body
from streams.domain.statuses import is_known, spelled, spellings

_CAMPAIGN_STATUSES: Final = spellings(CAMPAIGN_STATUSES)
_STRATEGIES: Final = spellings(("OnChange", "OnCompletion"))
_WORDS_KEPT: Final = 64
_WORD_MAX_CHARS: Final = 64


class Read(NamedTuple):
    """A report and its campaign; `notes` are the names of fields that were not understood."""

    campaign: str
    report: Report
    notes: list[str]


def read_report(body: Body) -> Read | Refusal:
    """Read a body of the shape REPORT; a refusal without a usable `trackingId`."""
    campaign = body.get("trackingId")
    if not usable_id(campaign):
        return Refusal(Reason.INVALID_FIELD, f"trackingId: expected text of 1 to {ID_MAX_CHARS} characters")
    notes: list[str] = []
    callback_info = body.get("callbackInfo")
    strategy = callback_info.get("strategy") if isinstance(callback_info, dict) else None
    report = Report(
        name=coercion.text(body.get("name"), "name", notes),
        campaign_status=_read_word(body.get("campaignStatus"), "campaignStatus", _CAMPAIGN_STATUSES, notes),
        strategy=_read_word(strategy, "callbackInfo.strategy", _STRATEGIES, notes),
        total_recipients=coercion.count(body.get("totalRecipients"), "totalRecipients", notes),
        counts=_read_counts(body, notes),
    )
    return Read(str(campaign), report, notes)


def _read_word(value: Any, name: str, vocabulary: Mapping[str, str], notes: list[str]) -> str | None:  # noqa: ANN401
    word = coercion.text(value, name, notes)
    return word and (spelled(word, vocabulary) or None)


def _read_counts(body: Body, notes: list[str]) -> dict[str, int] | None:
    """
    Return the counts of `messageStatuses`, and of statuses beside it, as in the example on Routee's own page.

    None when there is neither. A status in the map, in any spelling, goes before the same status beside it.
    """
    given = body.get("messageStatuses")
    if given is not None and not isinstance(given, dict):
        notes.append("messageStatuses")
        given = None
    mapped = {spelled(name) for name in given or ()}
    beside = {name: number for name, number in body.items() if is_known(name) and spelled(name) not in mapped}
    if given is None and not beside:
        return None
    return _added([*(given or {}).items(), *beside.items()], notes)


def _added(given: list[tuple[str, Any]], notes: list[str]) -> dict[str, int]:
    """Return word → number without zeros; the numbers of two spellings of one status are added."""
    counts: dict[str, int] = {}
    for name, value in given:
        number = coercion.count(value, "messageStatuses", notes)
        word = spelled(name)
        if number and 0 < len(word) <= _WORD_MAX_CHARS and (word in counts or len(counts) < _WORDS_KEPT):
            counts[word] = min(counts.get(word, 0) + number, coercion.MAX_COUNT)
    return counts
