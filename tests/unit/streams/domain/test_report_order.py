"""
The order of a campaign's reports: one result for every order of arrival, also of reports that contradict each other.
"""

import itertools
import random
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain.report import NO_REPORT, Joined, Report, Reports, join
from streams.domain.statuses import FINALS
from tests.builders import ABSENT, campaign_report, sms_callback
from tests.unit.streams.domain.pipeline import Pipeline

FIELDS = tuple(NO_REPORT)


def report(status: str | None = "Running", total: int | None = 100, name: str | None = None, **counts: int) -> Report:
    return Report(name=name, campaign_status=status, strategy=None, total_recipients=total, counts=counts or None)


def joined_by(*reports: Report) -> Joined:
    """Return the effect of the last of some reports."""
    known: Reports | None = None
    for one in reports:
        last = join(known, one)
        known = last.reports
    return last


def values(reports: Report) -> dict[str, Any]:
    return {name: dict(reports)[name] for name in FIELDS}


def after(*reports: Report) -> dict[str, Any]:
    return values(joined_by(*reports).reports)


def over(known: Report, report: Report) -> dict[str, Any]:
    return {**known, **{name: value for name, value in report.items() if value}}


def test_a_first_report_stands() -> None:
    assert after(report(Sent=1)) == report(Sent=1)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (report(Delivered=5), report(Delivered=6)),
        (report(Delivered=5, Failed=1), report(Delivered=7, Sent=3)),
        (report(Queued=80, Sent=20), report(Sent=100)),
        (report(Queued=80, Sent=20), report(Queued=70, Failed=10, Sent=20)),
        (report(Queued=100), report(Queued=90, Unsent=10)),
        (report(Queued=50, Sent=50), report(Queued=40, Sent=50, Buffered=10)),
        (report(Sent=90, Buffered=10), report(Sent=80, Buffered=10, Delivered=10)),
        (report(Queued=40), report(Queued=60)),
        (report("Queued", Queued=100), report("Running", Queued=97)),
        (report(Queued=100), report(Sent=20, Queued=77)),
        (report("Queued", Queued=100), report(Delivered=5)),
        (report("Sent", Sent=90, Delivered=10), report("Running", Sent=80, Delivered=20)),
        (report("Running", Delivered=5), report("Sent", Delivered=5)),
        (report("Running", Delivered=5), report("Failed", Delivered=5)),
        (report("Scheduled"), report("Queued")),
        (report("Queued"), report("Running")),
        (report("Sent"), report("Finished")),
        (report("Sent"), report("Failed")),
        (report("Paused", Delivered=5), report("Finished", Delivered=5)),
        (report("Sent", Delivered=5), report("Paused", Delivered=6)),
        (report("Running", Delivered=5), report(None, Delivered=6)),
        (report("Running"), report("Finished", Delivered=6)),
        (report("Running", Sent=100), report("Finished", Delivered=97)),
        (report("Running", Delivered=60, Sent=40), report("Finished", Delivered=97)),
        (report("Sent", Delivered=97, Sent=3), report("Finished", Delivered=97)),
        (report("Paused", Delivered=60, Buffered=40), report("Failed", Delivered=60, Unsent=20)),
        (report(None, Delivered=60, Sent=40), report("Finished", Delivered=97)),
        (report("Failed", Sent=5, Delivered=5), report("Failed", Sent=8, Delivered=5)),
    ],
)
def test_no_number_that_only_grows_falls(older: Report, newer: Report) -> None:
    assert joined_by(older, newer) == Joined(joined_by(older, newer).reports, is_stale=False, is_unordered=False)
    assert joined_by(newer, older) == Joined(joined_by(newer, older).reports, is_stale=True, is_unordered=False)
    assert after(newer, older) == after(older, newer) == over(older, newer)
    assert joined_by(older, newer, older) == joined_by(newer, older)


@pytest.mark.parametrize(
    ("stands", "other"),
    [
        (report(Delivered=40), report(Delivered=20, Sent=80)),
        (report("Finished", Delivered=59), report("Running", Delivered=60)),
        (report(None, Delivered=60, Sent=30), report("Finished", Delivered=60, Unsent=0)),
        (report(Delivered=5), report(Failed=5)),
        (report(Delivered=4, Failed=1), report(Failed=5)),
        (report(Delivered=4, Failed=1), report(Undelivered=5)),
        (report(Sen=5, Sent=1), report(Sent=6)),
        (report(Delivered=4, Undelivered=1), report(Delivered=3, Undelivered=2)),
        (report("Finished", Delivered=5), report("Failed", Delivered=5)),
        (report("Running", Delivered=5), report("Paused", Delivered=5)),
        (report(Sent=80, Buffered=20), report(Sent=100)),
        (report(total=100, Sent=5), report(total=90, Sent=5)),
        (report(name="Herbst", Sent=5), report(name="Autumn", Sent=5)),
        (report("Running", None, "Herbst"), report("Running", None)),
    ],
)
def test_of_two_that_cannot_be_ordered_the_same_one_stands_in_either_order_and_is_counted(
    stands: Report, other: Report
) -> None:
    first, second = joined_by(other, stands), joined_by(stands, other)
    assert first == second
    assert values(first.reports) == over(other, stands)
    assert not first.is_stale
    assert first.is_unordered is any(a and b and a != b for a, b in zip(stands.values(), other.values(), strict=True))


def test_of_three_each_newer_than_the_next_the_same_one_stands_in_every_order() -> None:
    three = (report("Running", Queued=7), report(None, Queued=6), report("Sent", Queued=5))
    found = [joined_by(*order).reports for order in itertools.permutations(three)]
    assert found == [found[0]] * 6
    assert values(found[0]) == report("Sent", Queued=6)


def test_a_report_that_comes_again_is_neither_stale_nor_unordered() -> None:
    again = joined_by(report(Sent=1), report(Sent=5, Queued=5), report(Sent=5, Queued=5))
    assert (again.is_stale, again.is_unordered) == (False, False)


def test_a_stale_report_is_counted_once_though_its_name_comes_from_nowhere_in_the_order() -> None:
    late = joined_by(report("Finished", Delivered=5), report(None, None, "Autumn"), report(name="Herbst", Sent=5))
    assert (late.is_stale, late.is_unordered) == (True, False)
    assert values(late.reports) == report("Finished", name="Herbst", Delivered=5)


def test_a_value_that_a_newer_report_leaves_out_is_kept() -> None:
    assert after(report(Delivered=5), report("Finished")) == report("Finished", Delivered=5)
    assert after(report("Sent", 100, Delivered=5), report(None, None, Delivered=6)) == report("Sent", 100, Delivered=6)
    assert after(report("Sent", 100, "Herbst", Sent=5), report("Sent", 0, "", Sent=6)) == report(
        "Sent", 100, "Herbst", Sent=6
    )


def test_a_value_that_only_a_stale_report_has_is_taken() -> None:
    late = joined_by(report("Finished", None), report("Sent", 100, "Herbst", Delivered=5))
    assert values(late.reports) == report("Finished", 100, "Herbst", Delivered=5)
    assert late.is_stale


def test_an_empty_map_takes_the_place_of_no_number() -> None:
    empty = Report(name=None, campaign_status="Finished", strategy=None, total_recipients=100, counts={})
    assert after(report("Running", Delivered=5), empty) == report("Finished", Delivered=5)
    assert after(empty, report("Running", Delivered=5)) == report("Finished", Delivered=5)
    assert after(empty) == empty


def test_the_name_of_the_newest_report_that_has_one_stands() -> None:
    old, middle, new = report(name="Autumn", Sent=1), report(name="Herbst", Sent=2), report(Sent=3)
    results = [after(*order) for order in itertools.permutations((old, middle, new))]
    assert results == [report(name="Herbst", Sent=3)] * 6


def test_a_campaign_that_ended_keeps_no_value_from_before_its_end() -> None:
    before = joined_by(report("Running", Queued=7), report("Paused", Queued=8))
    assert before.reports["rivals"]
    assert join(before.reports, report("Finished", Delivered=7)).reports["rivals"] == {}


WORDS = ("Queued", "Sent", "Delivered", "Failed", "Buffered")
ANY_REPORTS = st.lists(
    st.builds(
        Report,
        name=st.sampled_from([None, "", "Autumn", "Herbst"]),
        campaign_status=st.sampled_from([None, "", "Queued", "Running", "Sent", "Paused", "Finished", "Failed"]),
        strategy=st.sampled_from([None, "OnChange", "OnCompletion"]),
        total_recipients=st.sampled_from([None, 0, 5, 6]),
        counts=st.none() | st.dictionaries(st.sampled_from(WORDS), st.integers(1, 3), max_size=3),
    ),
    min_size=1,
    max_size=6,
)
"""Reports that may contradict each other and themselves: numbers fall, sums pass the recipients, ends are undone."""


@settings(max_examples=600, deadline=None)
@given(ANY_REPORTS, st.randoms(use_true_random=False))
def test_reports_that_contradict_each_other_end_in_the_same_in_every_order(
    reports: list[Report], chance: random.Random
) -> None:
    expected = joined_by(*reports).reports
    for _ in range(8):
        again = [*reports, *chance.choices(reports, k=3)]
        chance.shuffle(again)
        assert joined_by(*again).reports == expected


@settings(max_examples=100, deadline=None)
@given(ANY_REPORTS, ANY_REPORTS)
def test_reports_read_back_from_a_row_go_on_as_if_never_stored(before: list[Report], later: list[Report]) -> None:
    whole = stored = joined_by(*before).reports
    for one in later:
        whole, stored = join(whole, one).reports, join(orjson.loads(orjson.dumps(stored)), one).reports
    assert stored == whole


STAGES = ("Scheduled", "Queued", "Running", "Sent")
NEXT = {"Queued": ["Sent", "Buffered", "Delivered", "Failed"], "Sent": ["Delivered", "Undelivered", "Unsent"]}
QUICK = settings(max_examples=60, deadline=None)


def counted(messages: list[str]) -> dict[str, int]:
    return {word: messages.count(word) for word in dict.fromkeys(messages)}


@st.composite
def lives(draw: st.DrawFn, max_size: int = 3) -> list[dict[str, Any]]:
    """
    Draw the reports of one campaign in their true order, of either strategy, in messages or in parts.

    From each to the next, messages (or parts) come into the queue, are sent, or end; the end may drop some that are not
    final. A report may leave out each field but its counts and the end of the campaign.
    """
    total = draw(st.integers(1, 8))
    size = total * draw(st.sampled_from([1, 1, 2, 3]))
    stage, steps = 0, []
    messages: list[str] = []
    for _ in range(draw(st.integers(1, max_size))):
        joining = draw(st.integers(0, size - len(messages)))
        moving = [at for at, word in enumerate(messages) if word in NEXT and draw(st.booleans())]
        for at in moving:
            messages[at] = draw(st.sampled_from(NEXT[messages[at]]))
        messages = [*messages, *["Queued"] * joining]
        stage = draw(st.integers(stage, len(STAGES) - 1))
        if joining or moving:
            steps.append((STAGES[stage], counted(messages)))
    finals = sum(word in FINALS for word in messages)
    if finals < len(messages) and draw(st.booleans()):
        left = draw(st.integers(finals + 1, len(messages)))
        steps.append((draw(st.sampled_from(["Finished", "Failed"])), counted(["Delivered"] * left)))
    strategy = draw(st.sampled_from(["OnChange", "OnChange", "OnCompletion"]))
    return [
        campaign_report(
            draw(st.sampled_from([status, status.upper(), ABSENT if status in STAGES else status])),
            counts,
            total=draw(st.sampled_from([total, str(total), ABSENT, 0])),
            name=draw(st.sampled_from([f"name {step}", "", ABSENT])),
            strategy=draw(st.sampled_from([strategy, ""])),
        )
        for step, (status, counts) in enumerate(steps)
    ][-1 if strategy == "OnCompletion" else 0 :]


def campaign_after(reports: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return a campaign of one message of two parts after its reports, without the fields that tell of arrival."""
    pipeline = Pipeline()
    for part in (1, 2):
        pipeline.send(sms_callback(sms_id=f"s{part}", part=part, parts=2))
    for one in reports:
        pipeline.send(one)
    of_arrival = {"revision", "stale_reports", "unordered_reports"}
    found = {name: value for name, value in pipeline.campaign().items() if name not in of_arrival}
    (row,) = pipeline.campaign_rows.with_prefix(b"t:").values()
    return {**found, "unit": row["unit"]}


@QUICK
@given(lives())
def test_every_permutation_of_the_reports_of_a_campaign_ends_in_the_same(reports: list[dict[str, Any]]) -> None:
    expected = campaign_after(reports)
    for order in itertools.permutations(reports):
        assert campaign_after(order) == expected


@QUICK
@given(lives(max_size=12), st.randoms(use_true_random=False))
def test_any_order_and_any_duplication_of_the_reports_end_in_the_same(
    reports: list[dict[str, Any]], chance: random.Random
) -> None:
    again = [*reports, *chance.choices(reports, k=len(reports))] if reports else []
    chance.shuffle(again)
    assert campaign_after(again) == campaign_after(reports)


BODIES = st.builds(
    campaign_report,
    st.sampled_from(["Queued", "Running", "Sent", "Paused", "Finished", "Failed", ABSENT]),
    st.dictionaries(st.sampled_from(WORDS), st.integers(0, 3), max_size=3),
    total=st.sampled_from([2, 5, ABSENT]),
    name=st.sampled_from(["Autumn", "Herbst", ABSENT]),
)


@QUICK
@given(st.lists(BODIES, min_size=2, max_size=4))
def test_a_campaign_whose_reports_contradict_each_other_is_the_same_in_every_order(
    reports: list[dict[str, Any]],
) -> None:
    expected = campaign_after(reports)
    for order in itertools.permutations(reports):
        assert campaign_after(order) == expected


@QUICK
@given(lives(max_size=8))
def test_reports_in_their_true_order_are_neither_stale_nor_unordered(reports: list[dict[str, Any]]) -> None:
    pipeline = Pipeline()
    for one in reports:
        pipeline.send(one)
    if reports:
        campaign = pipeline.campaign()
        assert (campaign["stale_reports"], campaign["unordered_reports"]) == (0, 0)
        assert campaign["reported_by_status"] == reports[-1]["messageStatuses"]


@QUICK
@given(lives(max_size=8), st.data())
def test_a_report_after_a_newer_one_is_stale(reports: list[dict[str, Any]], data: st.DataObject) -> None:
    if len(reports) > 1:
        older = data.draw(st.integers(0, len(reports) - 2))
        pipeline = Pipeline()
        pipeline.send(reports[-1], reports[older])
        assert (pipeline.campaign()["stale_reports"], pipeline.campaign()["unordered_reports"]) == (1, 0)
