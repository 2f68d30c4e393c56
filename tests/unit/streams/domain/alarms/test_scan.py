"""
The scan of one route: a fall that stays becomes the new normal, a slow one is suspected, small ones are not told.
"""

import pytest

from streams.domain.alarms.scan import DELIVERY_DROP, Closed, Finding, Opened, Scan

BEGIN, DAY = 20_000 * 288, 288


def changes(scan: Scan, begin: int, windows: int, share: float, sent: int = 60) -> list[tuple[int, Opened | Closed]]:
    made: list[tuple[int, Opened | Closed]] = []
    for number in range(begin, begin + windows):
        seen = round(sent * share)
        senders = [("acme", sent, seen), ("shop", sent, seen)]
        for at in range(3):
            changed = scan.judge(DELIVERY_DROP, None, number, at, 2 * sent, 2 * seen, senders)
            made += [(number, change) for change in changed]
        made += [(number, change) for change in scan.settle(DELIVERY_DROP, number)]
    return made


def findings(made: list[tuple[int, Opened | Closed]]) -> list[Finding]:
    return [change.finding for _, change in made]


def test_a_fall_that_stays_closes_as_new_normal_after_a_day_and_is_silent_from_then_on() -> None:
    scan = Scan.new(DELIVERY_DROP)
    assert changes(scan, BEGIN, 2 * DAY, 0.9) == []
    broke = BEGIN + 2 * DAY
    (opened_at, opened), (closed_at, closed) = changes(scan, broke, 8 * DAY, 0.6)
    assert isinstance(opened, Opened)
    assert isinstance(closed, Closed)
    assert closed.reason == "new normal"
    assert closed_at - opened_at == DAY
    (again,) = changes(scan, broke + 8 * DAY, 6, 0.3)
    assert isinstance(again[1], Opened)


def test_the_first_day_is_silent() -> None:
    scan = Scan.new(DELIVERY_DROP)
    assert changes(scan, BEGIN, 200, 0.9) == []
    assert changes(scan, BEGIN + 200, 80, 0.1) == []


def test_a_fall_of_ten_points_is_not_told() -> None:
    scan = Scan.new(DELIVERY_DROP)
    changes(scan, BEGIN, 2 * DAY, 0.9)
    assert changes(scan, BEGIN + 2 * DAY, 100, 0.8) == []


def test_a_suspicion_is_told_as_one_and_becomes_an_alarm_when_more_windows_show_it() -> None:
    scan = Scan.new(DELIVERY_DROP)
    changes(scan, BEGIN, 2 * DAY, 0.9, sent=25)
    made = findings(changes(scan, BEGIN + 2 * DAY, 10, 0.72, sent=25))
    assert [one.level for one in made] == ["suspected", "alarm"]


def test_an_alarm_of_a_route_without_sms_closes_after_six_hours() -> None:
    scan = Scan.new(DELIVERY_DROP)
    changes(scan, BEGIN, 2 * DAY, 0.9)
    changes(scan, BEGIN + 2 * DAY, 3, 0.2)
    closed = [
        one for number in range(BEGIN + 2 * DAY + 3, BEGIN + 3 * DAY) for one in scan.settle(DELIVERY_DROP, number)
    ]
    assert [one.reason for one in closed] == ["no traffic"]


@pytest.mark.parametrize(
    ("sms_an_hour", "threshold"), [(600, 22), (2_000, 22), (2_830, 23.5), (4_000, 25), (8_000, 28), (20_000, 28)]
)
def test_the_threshold_of_a_large_route_rises_with_its_volume(sms_an_hour: int, threshold: float) -> None:
    scan = Scan.new(DELIVERY_DROP)
    sent = round(sms_an_hour / 24)
    changes(scan, BEGIN, 2 * DAY, 0.9, sent)
    (opened,) = findings(changes(scan, BEGIN + 2 * DAY, 3, 0.4, sent))
    assert opened.threshold == pytest.approx(threshold, abs=0.05)


def test_a_day_without_sms_makes_a_route_no_larger() -> None:
    scan = Scan.new(DELIVERY_DROP)
    changes(scan, BEGIN, 2 * DAY, 0.9, 167)
    changes(scan, BEGIN + 4 * DAY, 2 * DAY, 0.9, 167)
    (opened,) = findings(changes(scan, BEGIN + 6 * DAY, 3, 0.4, 167))
    assert opened.threshold == pytest.approx(23.3, abs=0.2)
