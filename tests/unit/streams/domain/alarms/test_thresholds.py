"""
The thresholds of routes: as the setting has them, and in force.
"""

import pytest

from streams.domain.alarms.thresholds import parse_thresholds
from streams.domain.alarms.watch import AlarmWatch
from tests.unit.streams.domain.alarms.feed import Account, fault
from tests.unit.streams.domain.alarms.test_watch import BOTH, BROKE, A, known_rows

BREAKS = Account(shares=fault(BROKE, BROKE + 12, [A], BOTH, 0.6))


def opened_with(text: str) -> list[tuple[object, float]]:
    """Return when alarms opened, and the threshold that they tell."""
    watch, records = AlarmWatch(known_rows(), parse_thresholds(text)), []
    for line in [*BREAKS.cells(BROKE - 1), *BREAKS.lines(BROKE, BROKE + 6)]:
        if "cell" in line:
            watch.take_cell(line)
        else:
            records += watch.take_tick(line)
    return [(one["opened_at"], one["judged"]["threshold"]) for one in records if one["level"] == "alarm"]


def test_a_route_with_a_higher_threshold_is_told_later_or_not_at_all() -> None:
    ((usual, of_rule),) = opened_with("")
    assert of_rule == 22
    assert opened_with('[["GR","B",60]]') == [(usual, 22)]
    ((later, own),) = opened_with('[["GR","A",120]]')
    assert own == 120
    assert str(later) > str(usual)
    assert opened_with('[["GR","A",900]]') == []


def test_routes_are_known_by_country_and_operator() -> None:
    assert parse_thresholds('[["GR","Cosmote",25], ["","x,y=1",30.5]]') == {
        '["GR","Cosmote"]': 25,
        '["","x,y=1"]': 30.5,
    }
    assert parse_thresholds("") == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("GR/Cosmote=25", r'^it is no JSON: \[\["GR","Cosmote",25\]\] is the form'),
        ('{"GR":25}', "^a list is expected"),
        (
            '[["GR","A",25],["GR","A",30],["GR","B",1],["GR","C",true],["GR",25]]',
            r"^route 2: .*twice; route 3: a number .*; route 4: \[\[.*; route 5: \[\[",
        ),
        ('[["GR","A",1e999]]', "it is no JSON|route 1: a number"),
    ],
)
def test_every_fault_is_told_at_once(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_thresholds(text)
