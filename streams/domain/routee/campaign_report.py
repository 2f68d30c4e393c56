"""
Reading a campaign report (Case 1 in Routee's documents).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from streams.contract.records import Reason
from streams.domain.policy import Policy
from streams.domain.privacy import shown_text
from streams.domain.refusal import Refusal, fault_of_id
from streams.domain.report import CAMPAIGN_STATUSES, Report
from streams.domain.routee import coercion
from streams.domain.routee.shapes import Body
from streams.domain.statuses import WORDS, is_final, is_known, spelled, spellings

_CAMPAIGN_STATUSES: Final = spellings(CAMPAIGN_STATUSES)
_STRATEGIES: Final = spellings(("OnChange", "OnCompletion"))
_WORDS_KEPT: Final = 64
_WORD_MAX_CHARS: Final = 64


class Read(NamedTuple):
    """A report and its campaign; `notes` are the names of fields that were not understood."""

    campaign: str
    report: Report
    notes: list[str]


def read_report(body: Body, policy: Policy) -> Read | Refusal:
    """Read a body of the shape REPORT; a refusal without a usable `trackingId`."""
    campaign = body.get("trackingId")
    fault = fault_of_id(campaign)
    if fault is not None:
        return Refusal(Reason.INVALID_FIELD, f"trackingId: {fault}")
    notes: list[str] = []
    callback_info = body.get("callbackInfo")
    strategy = callback_info.get("strategy") if isinstance(callback_info, dict) else None
    report = Report(
        name=shown_text(coercion.text(body.get("name"), "name", notes), policy),
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

    None when there is neither. A status in the map, in any spelling, goes before the same status beside it. None, too,
    when the map's number of a final status cannot be read: taken for 0, it would hide that all of these are lost.
    """
    told = body.get("messageStatuses")
    given = coercion.mapping(told, "messageStatuses", notes)
    if given is None and told not in (None, ""):
        notes.append("messageStatuses")
    mapped = {spelled(name) for name in given or ()}
    beside = {name: number for name, number in body.items() if is_known(name) and spelled(name) not in mapped}
    if given is None and not beside:
        return None
    numbers = [(spelled(name), _read_number(value, notes)) for name, value in (given or beside).items()]
    if any(number is None and is_final(word) for word, number in numbers):
        return None
    if given:
        numbers += [(spelled(name), _read_number(value, notes)) for name, value in beside.items()]
    return _added((word, number) for word, number in numbers if number)


def _read_number(value: Any, notes: list[str]) -> int | None:  # noqa: ANN401 - JSON is any
    """Return 0 for null and empty text, None for a value that cannot be read."""
    mine: list[str] = []
    read = coercion.count(value, "messageStatuses", mine)
    notes += mine
    return None if mine else read or 0


def _added(numbers: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return word → number; those of two spellings of one status are added. Routee's statuses always have room."""
    counts: dict[str, int] = {}
    for word, number in numbers:
        has_room = word in counts or word in WORDS or len(counts) < _WORDS_KEPT
        if has_room and 0 < len(word) <= _WORD_MAX_CHARS:
            counts[word] = min(counts.get(word, 0) + number, coercion.MAX_COUNT)
    return counts
