"""
Alarms that need the whole account: its silence, and routes that are quiet beside the others of their senders.
"""

from streams.domain.alarms.route_quiet import QuietEvent, RouteQuiet, Steadiness, judge_routes
from streams.domain.alarms.silence import Silence

BEGIN, DAY = 20_000 * 288, 288
MINUTES = 24 * 60


def test_a_silence_opens_after_ten_minutes_and_ends_with_the_first_callback() -> None:
    silence, begin = Silence(), 20_000 * MINUTES
    assert [one for minute in range(9 * MINUTES) for one in silence.take(begin + minute, 5)] == []
    broke = begin + 9 * MINUTES
    opened = [(minute, one) for minute in range(60) for one in silence.take(broke + minute, 0)]
    ((minute, told),) = opened
    assert (minute, told.since, told.minutes, round(told.expected)) == (9, broke - 1, 10, 23)
    assert [*silence.take(broke + 60, 1)] == [told]
    assert silence.open is None


def test_a_small_account_is_not_told_as_silent_for_a_pause() -> None:
    silence, begin = Silence(), 20_000 * MINUTES
    for minute in range(9 * MINUTES):
        assert [*silence.take(begin + minute, int(minute % 5 == 0))] == []
    assert [one for minute in range(170) for one in silence.take(begin + 9 * MINUTES + minute, 0)] == []


def quiet_events(
    steadiness: Steadiness, routes: dict[str, RouteQuiet], begin: int, windows: int, lost: set[str]
) -> list[tuple[int, QuietEvent]]:
    usual = {"a": {"acme": 20, "shop": 10}, "b": {"acme": 30}, "c": {"shop": 40}}
    made = []
    for number in range(begin, begin + windows):
        deliveries = {name: by_sender for name, by_sender in usual.items() if name not in lost}
        made += [(number - begin, event) for event in judge_routes(steadiness, routes, number, deliveries)]
    return made


def test_a_route_is_quiet_when_its_senders_go_on_elsewhere() -> None:
    steadiness, routes = Steadiness(), dict[str, RouteQuiet]()
    assert quiet_events(steadiness, routes, BEGIN, 12 * DAY, set()) == []
    broke = BEGIN + 12 * DAY
    ((at, event),) = quiet_events(steadiness, routes, broke, 12, {"a"})
    assert (at, event.route, event.reason) == (0, "a", None)
    ((_, closed),) = quiet_events(steadiness, routes, broke + 12, 12, set())
    assert (closed.route, closed.reason) == ("a", "recovered")


def test_a_client_that_stops_everywhere_makes_no_route_quiet() -> None:
    steadiness, routes = Steadiness(), dict[str, RouteQuiet]()
    quiet_events(steadiness, routes, BEGIN, 12 * DAY, set())
    assert quiet_events(steadiness, routes, BEGIN + 12 * DAY, 24, {"a", "b", "c"}) == []
