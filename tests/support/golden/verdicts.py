"""
The verdicts on the campaigns of a golden set where they are no longer those of then, each with its reason.

Version 0.1.0 compared reports in the unit that fitted better. Today the unit follows from the reports.
"""

from typing import Any, Final

from tests.support.golden.stored import Golden

Answer = dict[str, Any]

_UNDECIDED: Final[Answer] = {"reconciliation": "undecided", "reconciliation_unit": None, "drift": {}}

_OF_STORED_ROWS: Final[dict[str, dict[str, Answer]]] = {
    "0.1.0": {
        # It runs, and its 2 delivered of 2 recipients may be messages, or the first parts.
        "brief-34": _UNDECIDED,
        # 5 of 60 recipients.
        "main-5": _UNDECIDED,
        # 40 queued and 17 sent, of 40 recipients.
        "large-1": {"reconciliation": "consistent", "reconciliation_unit": "parts", "drift": {}},
        # Its report has no number.
        "counted-1": {"reconciliation": "unreported", "reconciliation_unit": None, "drift": {}},
    }
}

_OF_ALL_REPORTS: Final[dict[str, dict[str, Answer]]] = {
    "0.1.0": {
        # 2 queued, then 2 delivered: the sum stays. The stored row has the second report only.
        "brief-34": {"reconciliation": "behind", "reconciliation_unit": "messages", "drift": {"Delivered": -2}},
    }
}


def of_stored_rows(golden: Golden, answer: Answer) -> Answer:
    """Return what a stored campaign must be answered today, from its answer of then or of all its reports."""
    return {**answer, **_OF_STORED_ROWS.get(golden.folder.name, {}).get(answer["campaign_tracking_id"], {})}


def of_all_reports(golden: Golden, answer: Answer) -> Answer:
    """Return what a campaign must be answered when today's version took in all its reports, from a stored row's."""
    return {**answer, **_OF_ALL_REPORTS.get(golden.folder.name, {}).get(answer["campaign_tracking_id"], {})}


def state_of_stored_rows(golden: Golden, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a version that took in everything, as a version that began with the stored rows has it."""
    campaigns = _OF_ALL_REPORTS.get(golden.folder.name, {})
    return {
        name: of_stored_rows(golden, value) if _campaign(value) in campaigns else value for name, value in state.items()
    }


def _campaign(value: Any) -> str | None:  # noqa: ANN401 - JSON
    return value.get("campaign_tracking_id") if isinstance(value, dict) and "reconciliation" in value else None
