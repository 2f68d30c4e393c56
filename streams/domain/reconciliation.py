"""
Comparing the finals derived from SMS callbacks with those Routee reported, in messages or in parts.

Routee does not name the unit of its counts. A campaign of long texts has more parts than messages, so each comparison
takes the unit that fits better.
"""

from collections.abc import Mapping
from typing import NamedTuple

from streams.contract.records import Reconciliation, Unit
from streams.domain.statuses import FINALS

Numbers = Mapping[str, int]


class Verdict(NamedTuple):
    """Result of comparing derived with reported finals; the unit is None while nothing can be compared."""

    reconciliation: Reconciliation
    unit: Unit | None
    drift: dict[str, int]


def reconcile(messages: Numbers, parts: Numbers, reported: Numbers | None) -> Verdict:
    """
    Compare the finals among derived counts (of messages, of parts) with the newest reported counts.

    The unit with the smaller sum of differences is taken, messages when the sums are equal.
    """
    if reported is None:
        return Verdict(Reconciliation.UNREPORTED, None, {})
    if not messages:
        return Verdict(Reconciliation.UNDERIVED, None, {})
    drifts = {Unit.MESSAGES: _drift(messages, reported), Unit.PARTS: _drift(parts, reported)}
    unit = min(drifts, key=lambda unit: sum(map(abs, drifts[unit].values())))
    return Verdict(_judged(drifts[unit]), unit, drifts[unit])


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
