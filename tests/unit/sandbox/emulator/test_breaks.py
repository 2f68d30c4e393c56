"""
Operators that break: when, how, and that it shows in the callbacks of that operator alone.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sandbox.emulator.traffic.breaks import Break, Kind, breaks, broken
from sandbox.emulator.traffic.model import Callback, Status, StatusCallback, Strategy
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.schedule import schedule

START, HOURS = 1_763_596_800, 20
OPTIONS = TrafficOptions(
    1, "http://127.0.0.1/", campaigns=0, recipients=0, singles=4_000, singles_seconds=HOURS * 3600.0, breaks=1,
    operators=2, malformed=0, duplicates=0, conflicts=0, multipart=0, strategies=(Strategy.ON_CHANGE,),
)  # fmt: skip


def of_kind(kind: Kind) -> tuple[TrafficOptions, Break]:
    """Return traffic in which an operator breaks in that way."""
    for seed in range(100):
        options = replace(OPTIONS, seed=seed)
        (broke,) = breaks(options, START)
        if broke.kind is kind:
            return options, broke
    raise AssertionError(kind)


def told(options: TrafficOptions, broke: Break, *, theirs: bool) -> Iterator[tuple[float, StatusCallback]]:
    """Yield the final callbacks of SMS that were sent during the break, of that operator or of the others."""
    for callback in schedule(options, START):
        subject = callback.subject
        assert isinstance(subject, StatusCallback)
        sent = subject.part.changes[-2].at
        is_during = subject.change.status.is_final and broke.begins <= sent < broke.ends
        if is_during and (subject.message.route == broke.route) is theirs:
            yield callback.at - sent, subject


def shares(options: TrafficOptions, broke: Break, *, theirs: bool) -> tuple[float, float]:
    """Return the part that was delivered at all, and within a minute."""
    finals = [*told(options, broke, theirs=theirs)]
    delivered = [after for after, one in finals if one.change.status is Status.DELIVERED]
    return len(delivered) / len(finals), sum(after < 60 for after in delivered) / len(finals)


def test_the_seed_says_who_breaks_when_and_how() -> None:
    assert breaks(OPTIONS, START) == breaks(OPTIONS, START)
    planned = [breaks(replace(OPTIONS, seed=seed), START)[0] for seed in range(60)]
    assert {one.kind for one in planned} == {*Kind}
    assert {one.route.operator for one in planned} == {"Cosmote", "Vodafone"}
    for one in planned:
        assert START + 0.9 * HOURS * 3600 <= one.begins < one.ends <= START + HOURS * 3600
        assert 2400 <= one.ends - one.begins <= 3600
        assert 100 <= one.degree <= 300 if one.kind is Kind.LATENCY else 0.5 <= one.degree <= 0.8
    both = breaks(replace(OPTIONS, breaks=2), START)
    assert len({one.route.operator for one in both}) == 2


def test_without_breaks_the_traffic_is_that_of_before() -> None:
    options = replace(OPTIONS, breaks=0, singles=300, singles_seconds=180.0, operators=13)
    usual = TrafficOptions(
        1, "http://127.0.0.1/", campaigns=0, recipients=0, singles=300, malformed=0, duplicates=0, conflicts=0,
        multipart=0,
    )  # fmt: skip
    assert [one.body for one in schedule(options, START)] == [one.body for one in schedule(usual, START)]


@pytest.mark.parametrize("kind", Kind)
def test_only_the_broken_operator_delivers_less_or_later(kind: Kind) -> None:
    options, broke = of_kind(kind)
    (theirs, soon), (others, others_soon) = (shares(options, broke, theirs=of) for of in (True, False))
    assert others > 0.8
    assert others_soon > 0.8
    assert soon < 0.55
    assert theirs < 0.55 if kind is Kind.SHARE else theirs > 0.8


def test_what_a_silent_operator_held_back_comes_when_its_silence_is_over_in_the_order_of_before() -> None:
    options, broke = of_kind(Kind.SILENCE)
    after: list[tuple[float, Callback]] = []
    for callback in schedule(replace(options, reorder=0), START):
        subject = callback.subject
        assert isinstance(subject, StatusCallback)
        if subject.message.route == broke.route and subject.change.status.is_final:
            assert not broke.begins + 1 <= subject.change.at < broke.ends
            after.append((subject.change.at, callback))
    assert [at for at, _ in after] == sorted(at for at, _ in after)


def test_a_route_is_as_ever_before_and_after_its_break() -> None:
    _, broke = of_kind(Kind.SHARE)
    assert broken(broke.route, [broke], broke.begins - 1) == broke.route == broken(broke.route, [broke], broke.ends)
    assert broken(broke.route, [broke], broke.begins).outcomes[0] < broke.route.outcomes[0]
    assert sum(broken(broke.route, [broke], broke.begins).outcomes) == pytest.approx(sum(broke.route.outcomes))
