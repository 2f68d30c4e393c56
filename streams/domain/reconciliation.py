"""
How the finals derived from SMS callbacks stand to those Routee reported, and in what: messages, or parts.

Routee does not say what it counts. A campaign of long texts has more parts than messages, so the unit that fits
better is taken for each campaign anew.
"""

from collections.abc import Mapping
from typing import NamedTuple

from streams.contract.records import Reconciliation, Unit
from streams.domain.statuses import FINALS

Numbers = Mapping[str, int]


class Verdict(NamedTuple):
    """How derived and reported finals stand to each other; the unit is None while nothing can be compared."""

    reconciliation: Reconciliation
    unit: Unit | None
    drift: dict[str, int]


def reconcile(messages: Numbers, parts: Numbers, reported: Numbers | None) -> Verdict:
    """
    Compare the finals among derived counts (of messages, of parts) with the newest reported counts.

    The unit with the smaller sum of differences is taken, messages when both fit alike.
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
