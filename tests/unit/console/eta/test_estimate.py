"""
When a campaign will be final: the curves, and the forecast held against simulated campaigns.
"""

import pytest

from console.eta.estimate import SHARES, Cohort, forecast
from console.eta.survival import BOUNDS, Cells, Curve, Curves, curve_of
from tests.unit.console.eta.campaigns import simulated

ROUTE = ("GR", "A")
SEEDS = range(12)


def within(**counts: int) -> tuple[int, ...]:
    return tuple(counts.get(f"s{bound}", 0) for bound in BOUNDS)


def test_a_curve_falls_by_the_share_that_was_delivered_within_each_bound() -> None:
    curve = curve_of([Cells(ROUTE, len(BOUNDS), 100, 100, 100, within(s5=50, s30=50))])
    assert [curve.still_open(age) for age in (0, 2, 5, 20, 30)] == [1.0, 1.0, 0.5, 0.5, 0.0]


def test_young_cells_count_for_the_first_steps_only() -> None:
    """Of a cell that was sent a minute ago nothing is known of the second minute: it must not look open for ever."""
    old = Cells(ROUTE, len(BOUNDS), 100, 100, 100, within(s30=50, s120=50))
    young = Cells(ROUTE, BOUNDS.index(60) + 1, 100, 50, 50, within(s30=50))
    assert curve_of([old, young]).still_open(120) == curve_of([old]).still_open(120) == 0.0


def test_other_finals_last_as_long_as_delivered_ones() -> None:
    curve = curve_of([Cells(ROUTE, len(BOUNDS), 100, 100, 50, within(s5=25, s30=25))])
    assert curve.still_open(5) == 0.5


def test_a_route_with_few_messages_has_the_curve_of_all() -> None:
    many = Cells(ROUTE, len(BOUNDS), 1000, 1000, 1000, within(s5=1000))
    few = Cells(("IN", "B"), len(BOUNDS), 10, 10, 10, within(s300=10))
    curves = Curves([many, few])
    assert curves.of(("IN", "B")) is curves.all
    assert curves.of(ROUTE) is not curves.all


def test_a_share_that_is_reached_is_told_as_reached() -> None:
    curve = Curve((0.0,) * len(BOUNDS), 1000)
    found = forecast([Cohort(curve, 60, 100, 96)], 100, only_finals=False)
    assert found.times[0.95] is not None
    assert found.times[0.95].seconds == 0
    assert found.seen == 0.96


def test_messages_that_wait_for_phones_are_no_time_but_a_number() -> None:
    """A tenth of a route is never final within a day: 99 % has no time."""
    curve = Curve((*(0.5,) * 5, *(0.1,) * (len(BOUNDS) - 5)), 1000)
    found = forecast([Cohort(curve, 400, 1000, 900)], 1000, only_finals=False)
    assert found.times[0.99] is None
    assert found.waiting == pytest.approx(100, abs=2)


@pytest.mark.parametrize("only_finals", [False, True])
@pytest.mark.parametrize("share", SHARES)
def test_at_a_third_nine_of_ten_certain_times_are_within_a_fifth(share: float, *, only_finals: bool) -> None:
    """Routes are up to 7 % slower or quicker than the day before; a time that is off is told as uncertain."""
    errors, told = [], 0
    for seed in SEEDS:
        campaign = simulated(seed, only_finals=only_finals)
        now = campaign.when_final(0.3)
        time = forecast(campaign.cohorts(now), campaign.total, only_finals=only_finals).times[share]
        left = campaign.when_final(share) - now
        if time is not None and time.is_certain:
            told += 1
            errors.append(abs(time.seconds - left) / left)
    assert told >= len(SEEDS) * 0.6
    assert sum(error <= 0.2 for error in errors) >= 0.9 * told, sorted(errors)


@pytest.mark.parametrize(("final", "is_certain"), [(290, False), (299, False), (300, True), (310, True)])
def test_no_time_is_certain_below_thirty_of_a_hundred_final(final: int, *, is_certain: bool) -> None:
    """The spread is a tenth of the time that is left: it is the share alone that makes it uncertain."""
    curve = curve_of([Cells(ROUTE, len(BOUNDS), 100_000, 100_000, 100_000, within(s60=29_000, s120=71_000))])
    found = forecast([Cohort(curve, 60, 1000, final)], 1000, only_finals=False)
    time = found.times[0.95]
    assert time is not None
    assert time.spread < 0.15 * time.seconds
    assert (found.seen, time.is_certain) == (final / 1000, is_certain)


@pytest.mark.parametrize("only_finals", [False, True])
def test_a_campaign_that_has_hardly_begun_is_uncertain(*, only_finals: bool) -> None:
    campaign = simulated(3, only_finals=only_finals)
    found = forecast(campaign.cohorts(campaign.when_final(0.05)), campaign.total, only_finals=only_finals)
    assert all(time is None or not time.is_certain for time in found.times.values())


@pytest.mark.parametrize("cohorts", [[], [Cohort(Curve((1.0,) * len(BOUNDS), 0), 10, 5, 0)]])
def test_without_anything_to_go_by_there_is_no_time(cohorts: list[Cohort]) -> None:
    assert set(forecast(cohorts, 100, only_finals=False).times.values()) == {None}
