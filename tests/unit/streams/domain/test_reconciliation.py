"""
The unit of Routee's numbers, and the verdict on ours: no loss is hidden by the choice of the unit.
"""

import itertools
import random
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract.records import Unit
from streams.domain.reconciliation import Told, reconcile, tell
from streams.domain.report import NO_REPORT, Report
from streams.domain.views import campaign_key
from tests.builders import ABSENT, CAMPAIGN_ID, campaign_report, sms_callback
from tests.unit.streams.domain.pipeline import Pipeline

_ONE = {"Delivered": 8, "Failed": 2, "Sent": 5}
_TWO_PARTS = {"Delivered": 16, "Failed": 4, "Sent": 10}
NOTHING = Told(None, None)


def report(counts: dict[str, int] | None, status: str | None = "Running", total: int | None = 10) -> Report:
    return Report(**{**NO_REPORT, "counts": counts, "campaign_status": status, "total_recipients": total})


@pytest.mark.parametrize(
    ("reported", "unit", "verdict"),
    [
        ({"Delivered": 8, "Failed": 2}, "messages", ("consistent", "messages", {})),
        ({"Delivered": 8, "Failed": 2, "Queued": 99}, "messages", ("consistent", "messages", {})),
        ({"Delivered": 9, "Failed": 2}, "messages", ("behind", "messages", {"Delivered": -1})),
        ({"Delivered": 7, "Failed": 2}, "messages", ("ahead", "messages", {"Delivered": 1})),
        ({"Delivered": 9, "Failed": 1}, "messages", ("mixed", "messages", {"Delivered": -1, "Failed": 1})),
        ({"Delivered": 16, "Failed": 4}, "messages", ("behind", "messages", {"Delivered": -8, "Failed": -2})),
        ({"Delivered": 8, "Failed": 2}, "parts", ("ahead", "parts", {"Delivered": 8, "Failed": 2})),
        ({"Delivered": 16, "Failed": 4}, "parts", ("consistent", "parts", {})),
        ({"Delivered": 17, "Failed": 4}, "parts", ("behind", "parts", {"Delivered": -1})),
        ({"Delivered": 8, "Failed": 2}, None, ("undecided", None, {})),
        ({"Delivered": 16, "Failed": 4}, None, ("undecided", None, {})),
        ({}, "messages", ("unreported", None, {})),
        (None, "messages", ("unreported", None, {})),
    ],
)
def test_finals_are_compared_in_the_unit_that_was_decided(
    reported: dict[str, int] | None, unit: str | None, verdict: tuple[str, str | None, dict[str, int]]
) -> None:
    assert reconcile(_ONE, _TWO_PARTS, report(reported), Unit(unit) if unit else None) == verdict


def test_nothing_final_on_either_side_is_consistent() -> None:
    assert reconcile({"Sent": 3}, {"Sent": 3}, report({"Queued": 3}), Unit.MESSAGES) == ("consistent", "messages", {})


def test_unknown_words_are_compared_once_a_campaign_is_finished() -> None:
    heard, lost = {"Delivered": 8, "Expired": 2}, {"Delivered": 8}
    finished = report({"Delivered": 8, "Expired": 2}, "Finished")
    assert reconcile(heard, heard, finished, Unit.MESSAGES) == ("consistent", "messages", {})
    assert reconcile(lost, lost, finished, Unit.MESSAGES) == ("behind", "messages", {"Expired": -2})
    for status in ("Running", "Failed", None):
        running = report({"Delivered": 8, "Expired": 2}, status)
        assert reconcile(lost, lost, running, Unit.MESSAGES) == ("consistent", "messages", {})
    without = report({"Delivered": 8, "Sent": 2}, "Finished")
    assert reconcile(heard, heard, without, Unit.MESSAGES) == ("consistent", "messages", {})


@pytest.mark.parametrize("counts", [{"Delivered": 5}, {}, None])
def test_reports_alone_are_underived_with_numbers_and_without(counts: dict[str, int] | None) -> None:
    assert reconcile({}, {}, report(counts), Unit.MESSAGES) == ("underived", None, {})


@pytest.mark.parametrize("messages", [{}, _ONE])
def test_no_report_is_unreported(messages: dict[str, int]) -> None:
    assert reconcile(messages, messages, None, None) == ("unreported", None, {})


@pytest.mark.parametrize(
    ("counts", "status", "total", "unit"),
    [
        ({"Delivered": 11}, "Running", 10, "parts"),
        ({"Queued": 20}, "Queued", 10, "parts"),
        ({"Delivered": 15}, "Finished", 10, "parts"),
        ({"Expired": 11}, None, 10, "parts"),
        ({"Delivered": 10}, "Finished", 10, "messages"),
        ({"Delivered": 7, "Failed": 3}, "Failed", 10, "messages"),
        ({"Delivered": 9}, "Finished", 10, "messages"),
        ({"Delivered": 9}, "Failed", 10, None),
        ({"Delivered": 10}, "Running", 10, None),
        ({"Delivered": 10}, "Sent", 10, None),
        ({"Delivered": 10}, "Closed", 10, None),
        ({"Delivered": 10}, None, 10, None),
        ({"Delivered": 9}, "Running", 10, None),
        ({"Delivered": 10}, "Finished", None, None),
        ({"Delivered": 10}, "Finished", 0, None),
        ({}, "Finished", 10, None),
        (None, "Finished", 10, None),
    ],
)
def test_the_unit_follows_from_the_sum_and_the_recipients(
    counts: dict[str, int] | None, status: str | None, total: int | None, unit: str | None
) -> None:
    assert tell(NOTHING, report(counts, status, total)).unit == unit


def test_a_sum_that_stays_at_the_recipients_counts_messages() -> None:
    told = tell(NOTHING, report({"Queued": 10}))
    assert (told.unit, tell(told, report({"Queued": 10})).unit) == (None, None)
    assert tell(told, report({"Queued": 9, "Sent": 1})).unit == "messages"
    assert tell(told, report({"Queued": 8, "Sent": 1})).unit is None
    assert tell(told, report({"Queued": 10, "Sent": 1})).unit == "parts"
    assert tell(tell(NOTHING, report({"Queued": 9})), report({"Queued": 10})).unit is None


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.builds(
            report,
            st.dictionaries(st.sampled_from(["Queued", "Sent", "Delivered"]), st.integers(1, 6), max_size=3),
            st.sampled_from(["Running", "Sent", "Finished", "Failed", None]),
            st.sampled_from([10, 10, 5, 0, None]),
        ),
        max_size=4,
    )
)
def test_the_unit_does_not_depend_on_the_order_of_reports(reports: list[Report]) -> None:
    units = {reduce(tell, order, NOTHING).unit for order in itertools.permutations(reports)}
    assert len(units) == 1
    (unit,) = units
    assert unit is None or {reduce(tell, [*order, *reports], NOTHING).unit for order in ([], reports)} == {unit}
    exceeds = any(sum((one["counts"] or {}).values()) > (one["total_recipients"] or 99) for one in reports)
    assert (unit == "parts") is exceeds


def after(*bodies: dict[str, Any]) -> dict[str, Any]:
    """Return a campaign after callbacks: reports, and SMS of the messages that came."""
    pipeline = Pipeline()
    for body in bodies:
        pipeline.send(body)
    return pipeline.campaign()


def verdict_after(*bodies: dict[str, Any]) -> tuple[str, str | None, dict[str, int]]:
    campaign = after(*bodies)
    return campaign["reconciliation"], campaign["reconciliation_unit"], campaign["drift"]


def delivered(messages: int, parts: int = 1, first: int = 0) -> list[dict[str, Any]]:
    return [
        sms_callback(message_id=f"m{number}", sms_id=f"s{number}-{part}", part=part, parts=parts)
        for number in range(first, first + messages)
        for part in range(1, parts + 1)
    ]


def test_messages_of_two_parts_of_which_half_are_lost_are_behind() -> None:
    finished = campaign_report("Finished", {"Delivered": 10}, total=10, strategy="OnCompletion")
    assert verdict_after(*delivered(5, parts=2), finished) == ("behind", "messages", {"Delivered": -5})
    assert verdict_after(*delivered(10, parts=2), finished) == ("consistent", "messages", {})


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_parts_of_which_some_are_lost_are_behind(parts: int) -> None:
    finished = campaign_report("Finished", {"Delivered": 10 * parts}, total=10)
    assert verdict_after(*delivered(10, parts), finished) == ("consistent", "parts", {})
    assert verdict_after(*delivered(9, parts), finished) == ("behind", "parts", {"Delivered": -parts})


def test_blacklisted_recipients_do_not_hide_a_loss() -> None:
    finished = campaign_report("Finished", {"Delivered": 10}, total=12)
    assert verdict_after(*delivered(5, parts=2), finished) == ("behind", "messages", {"Delivered": -5})


def test_a_running_campaign_whose_first_parts_are_as_many_as_its_recipients_is_undecided() -> None:
    running = campaign_report("Running", {"Delivered": 10}, total=10)
    assert verdict_after(*delivered(5, parts=2), running) == ("undecided", None, {})


def test_the_unit_is_decided_by_the_second_report_when_the_sum_stays() -> None:
    reports = [
        campaign_report("Queued", {"Queued": 10}, total=10),
        campaign_report("Running", {"Queued": 8, "Sent": 2}, total=10),
    ]
    assert verdict_after(*delivered(1), reports[0])[0] == "undecided"
    assert verdict_after(*delivered(1), reports[0], reports[0])[0] == "undecided"
    assert verdict_after(*delivered(1), *reports) == ("ahead", "messages", {"Delivered": 1})
    assert verdict_after(*reversed(reports), *delivered(1)) == ("ahead", "messages", {"Delivered": 1})


def test_a_sum_that_stayed_before_it_fell_counts_messages_in_any_order() -> None:
    """Routee leaves out two recipients after the first reports."""
    reports = [
        campaign_report("Running", counts, total=10)
        for counts in ({"Queued": 10}, {"Queued": 9, "Sent": 1}, {"Queued": 2, "Sent": 6})
    ]
    for order in itertools.permutations(reports):
        assert after(*delivered(1), *order)["reconciliation_unit"] == "messages"


def test_a_report_without_recipients_tells_nothing_in_any_order() -> None:
    reports = [
        campaign_report("Queued", {"Queued": 10}, total=10),
        campaign_report("Running", {"Queued": 8, "Sent": 2}, total=ABSENT),
        campaign_report("Finished", {"Delivered": 20}, total=0),
    ]
    for order in itertools.permutations(reports):
        assert after(*delivered(1), *order)["reconciliation"] == "undecided"


def test_each_report_tells_by_its_own_recipients() -> None:
    reports = [
        campaign_report("Running", {"Sent": 12}, total=10),
        campaign_report("Finished", {"Delivered": 12}, total=12),
    ]
    for order in itertools.permutations(reports):
        assert after(*delivered(6, parts=2), *order)["reconciliation_unit"] == "parts"


def test_a_campaign_that_passes_its_recipients_counts_parts_for_good() -> None:
    passing = [
        campaign_report("Running", {"Queued": 10}, total=10),
        campaign_report("Running", {"Queued": 12, "Delivered": 8}, total=10),
    ]
    for order in itertools.permutations(passing):
        assert verdict_after(*order, *delivered(4, parts=2)) == ("consistent", "parts", {})


@pytest.mark.parametrize(
    "further",
    [
        campaign_report("Finished", ABSENT, total=10),
        campaign_report("Finished", {}, total=ABSENT),
        campaign_report("Finished", {"Delivered": 21}, total=ABSENT),
        campaign_report("Finished", {"Delivered": 21}, total=0),
        campaign_report("Finished", {"Delivered": 21}, total=1000),
        campaign_report("Running", {"Queued": 10}, total=10),
        campaign_report("Failed", {"Queued": 10}, total=10),
        campaign_report(ABSENT, ABSENT, total=ABSENT, name="Herbst"),
    ],
)
def test_a_unit_is_kept_once_it_is_decided(further: dict[str, Any]) -> None:
    pipeline = Pipeline()
    pipeline.send(*delivered(4, parts=2), campaign_report("Running", {"Sent": 20}, total=10), further)
    assert pipeline.campaign()["reconciliation_unit"] in {"parts", None}
    (row,) = pipeline.campaign_rows.with_prefix(b"t:").values()
    assert row["unit"] == "parts"


@pytest.mark.parametrize("end", ["Finished", "Failed"])
@pytest.mark.parametrize(
    "counts", [ABSENT, {}, {"Delivered": 0}, {"Delivered": "1O"}, {"Delivered": 4, "Failed": "6 of 10"}]
)
def test_numbers_from_before_the_end_are_no_verdict_on_the_end(counts: object, end: str) -> None:
    running = [
        campaign_report("Running", {"Queued": 10}, total=10),
        campaign_report("Running", {"Queued": 6, "Delivered": 4}, total=10),
    ]
    bare = campaign_report(end, counts, total=10)
    assert verdict_after(*delivered(4), *running) == ("consistent", "messages", {})
    for order in itertools.permutations([*running, bare]):
        campaign = after(*delivered(4), *order)
        assert campaign["reported_by_status"] == {"Queued": 6, "Delivered": 4}
        assert (campaign["reconciliation"], campaign["reconciliation_unit"]) == ("undecided", None)
    whole = campaign_report("Finished", {"Delivered": 10}, total=10)
    if end == "Finished":
        assert verdict_after(*delivered(4), *running, bare, whole) == ("behind", "messages", {"Delivered": -6})
        assert verdict_after(*delivered(4), whole, bare, *running) == ("behind", "messages", {"Delivered": -6})


@pytest.mark.parametrize(
    "further",
    [
        campaign_report(ABSENT, ABSENT, total=20),
        campaign_report("Running", {"Queued": 10}, total=10),
        campaign_report("Finished", {"Delivered": 9}, total=ABSENT, name="Herbst"),
        campaign_report("Failed", {"Delivered": 10}, total=0),
    ],
)
def test_messages_stay_the_unit_while_no_sum_exceeds_the_recipients(further: dict[str, Any]) -> None:
    finished = campaign_report("Finished", {"Delivered": 10}, total=10)
    assert after(*delivered(4), finished, further)["reconciliation_unit"] == "messages"


def test_the_unit_does_not_depend_on_the_derived_counts() -> None:
    reports = [campaign_report("Running", {"Delivered": 10}, total=10), campaign_report("Sent", {"Delivered": 8})]
    for callbacks in (delivered(10), delivered(5, parts=2), delivered(10, parts=2), delivered(1)):
        assert verdict_after(*callbacks, reports[0]) == ("undecided", None, {})
        assert verdict_after(*callbacks, reports[1]) == ("undecided", None, {})


@pytest.mark.parametrize(
    "counts", [ABSENT, None, {}, {"Delivered": 0, "Queued": "0"}, [1], "many", {"Delivered": 1, "Failed": "9 of 10"}]
)
def test_a_report_without_numbers(counts: object) -> None:
    bare = campaign_report("Finished", counts, total=10)
    assert verdict_after(bare) == ("underived", None, {})
    assert verdict_after(*delivered(1), bare) == ("unreported", None, {})


def test_a_row_of_an_older_version_is_decided_by_its_report_at_once() -> None:
    pipeline = Pipeline()
    pipeline.send(*delivered(4, parts=2), campaign_report("Running", {"Sent": 12, "Delivered": 8}, total=10))
    assert pipeline.campaign()["reconciliation_unit"] == "parts"
    key = campaign_key(CAMPAIGN_ID)
    row = pipeline.campaign_rows.get(key)
    for name in ("unit", "equal_counts", "unordered_reports"):
        del row[name]
    del row["report"]["standings"]
    pipeline.campaign_rows.put(key, row)
    assert pipeline.campaign()["reconciliation_unit"] == "parts"
    row["report"]["total_recipients"] = 40
    pipeline.campaign_rows.put(key, row)
    assert pipeline.campaign()["reconciliation"] == "undecided"
    pipeline.send(campaign_report("Finished", {"Delivered": 20}, total=40))
    assert pipeline.campaign()["reconciliation_unit"] == "messages"


ENDS = ("Delivered", "Undelivered", "Failed", "Unsent", "Expired")


@st.composite
def finished_campaigns(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Draw the callbacks of a finished campaign, a final for each part, and its reports, which tell the truth."""
    ends = draw(st.lists(st.tuples(st.sampled_from(ENDS), st.integers(1, 3)), min_size=1, max_size=6))
    excluded = draw(st.integers(0, 2))
    total = len(ends) + excluded
    in_parts = draw(st.booleans()) and sum(parts for _, parts in ends) > total
    counts: dict[str, int] = {}
    for word, parts in ends:
        counts[word] = counts.get(word, 0) + (parts if in_parts else 1)
    callbacks = [
        sms_callback(word, message_id=f"m{number}", sms_id=f"s{number}-{part}", part=part, parts=parts)
        for number, (word, parts) in enumerate(ends)
        for part in range(1, parts + 1)
    ]
    reports = [campaign_report("Finished", counts, total=total)]
    if draw(st.booleans()):
        reports.insert(0, campaign_report("Running", {"Queued": sum(counts.values())}, total=total))
    return callbacks, reports


@settings(max_examples=80, deadline=None)
@given(finished_campaigns(), st.randoms(use_true_random=False))
def test_no_loss_of_callbacks_makes_a_campaign_consistent(
    campaign: tuple[list[dict[str, Any]], list[dict[str, Any]]], chance: random.Random
) -> None:
    callbacks, reports = campaign
    whole = [*callbacks, *reports]
    chance.shuffle(whole)
    assert verdict_after(*whole)[0] == "consistent"
    left = chance.sample(callbacks, k=chance.randrange(len(callbacks)))
    verdict, _, drift = verdict_after(*left, *reports)
    assert (verdict, bool(drift)) == (("behind", True) if left else ("underived", False))
