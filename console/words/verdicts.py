"""
Our numbers beside Routee's own, in words.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from console.words.numbers import counted, grouped
from console.words.statuses import final_of


class Verdict(NamedTuple):
    """A verdict: one word for a figure, a sentence, and whether it is worth knowing."""

    word: str
    sentence: str
    is_soft: bool = False


_UNREPORTED: Final = Verdict("No report", "Routee has sent no report yet")


def verdict_of(reconciliation: str, drift: Mapping[str, int], reported: Mapping[str, int] | None) -> Verdict:
    """Return the verdict of a campaign; `drift` is our count less Routee's for each status."""
    difference = drift_in_words(drift)
    verdicts = {
        "consistent": Verdict("Agrees", "Agrees with Routee"),
        "behind": Verdict(
            "Behind", f"{counted(-sum(drift.values()), 'message')} behind Routee: {difference}", is_soft=True
        ),
        "ahead": Verdict(
            "Ahead", f"Ahead of Routee’s last report, which has {grouped(final_of(reported or {}))} final"
        ),
        "mixed": Verdict("Differs", f"Differs from Routee: {difference}", is_soft=True),
        "underived": Verdict("Only reports", "Only Routee’s reports; no SMS callback came", is_soft=True),
        "undecided": Verdict("Too early", "Too early to compare with Routee’s reports"),
    }
    return verdicts.get(reconciliation, _UNREPORTED)


def drift_in_words(drift: Mapping[str, int]) -> str:
    """Return `1 more Delivered, 1 fewer Undelivered`."""
    return ", ".join(
        f"{grouped(abs(count))} {'more' if count > 0 else 'fewer'} {status}" for status, count in drift.items()
    )


def strategy_in_words(strategy: str | None) -> str:
    """Return how Routee tells of an SMS."""
    return {"OnChange": "every change", "OnCompletion": "only when final"}.get(strategy or "", "strategy not known yet")
