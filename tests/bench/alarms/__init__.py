"""
Delivery alarms on invented traffic: false alarms, how soon a fault is found, and whose fault it is told to be.

`python -m tests.bench.alarms` prints a table per part. The rules are those of the product; the traffic and the faults
are invented, by seed. It needs no Kafka.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final

import numpy as np

from streams.domain.alarms.scan import DELIVERY_DROP, LATENCY_RISE, NEW_NORMAL
from tests.bench.alarms.cost import (
    CAMPAIGNS,
    PARTITIONS,
    ROUTES,
    SENDERS,
    bytes_of_state,
    instructions_of_a_callback,
    instructions_of_a_minute,
)
from tests.bench.alarms.faults import Fault, Run, best_edge, runs
from tests.bench.alarms.late import late, ordinary
from tests.bench.alarms.quiet import quiet_run, size_of
from tests.bench.alarms.scanning import Event, drop_events, latency_events, window_of
from tests.bench.alarms.together import together
from tests.bench.alarms.traffic import DAY, Route, account
from tests.bench.alarms.witness import Break, broken_campaigns, ordinary_campaigns
from tests.bench.measuring import say

_SIZES: Final = (60, 200, 600, 2_000, 10_000)
_GOALS: Final = (
    (0.20, 10_000, 20, 90),
    (0.20, 2_000, 20, 90),
    (0.20, 600, 20, 58),
    (0.30, 600, 20, 93),
    (0.50, 800, 10, 90),
    (0.50, 600, 10, 86),
)
"""A fall, SMS an hour, minutes, and how many of 100 runs are to be found by then."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the parts that are named, all when none is."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.alarms", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *_PARTS], metavar="PART", help=", ".join(_PARTS))
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=7_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    with ProcessPoolExecutor(given.processes) as pool:
        for part in given.parts or _PARTS:
            say(f"-- {part}")
            _PARTS[part](given, pool)
    return 0


def _false(given: argparse.Namespace, pool: ProcessPoolExecutor) -> None:
    """False alarms over months of all routes, and bad lists that are told as the route's."""
    total: Counter[str] = Counter()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    for seed, counted in zip(seeds, pool.map(_count_alarms, seeds, [given.days] * given.seeds), strict=True):
        total += counted
        say(f"seed {seed}: {_false_rate(counted)}")
    say(f"all: {_false_rate(total)}")
    say(f"{'SMS an hour':>14} {'route-hours':>12} {'false':>6} {'per 10,000':>11}")
    for size in map(str, (*_SIZES, "more")):
        hours, false = total[f"hours {size}"], total[f"false {size}"]
        if hours:
            say(f"{'to ' + size:>14} {hours:12,} {false:6} {false / hours * 1e4:11.2f}")


def _false_rate(counted: Counter[str]) -> str:
    hours = counted["hours"]
    lists = f"{counted['bad list, route']} of {counted['bad list']} alarms in bad lists told as the route's"
    return (
        f"{hours:,} route-hours, {counted['sms']:,} SMS; false for 10,000 route-hours: route"
        f" {counted['false'] / hours * 1e4:.2f} ({counted['false']}), sender {counted['sender'] / hours * 1e4:.2f},"
        f" suspected {counted['suspected'] / hours * 1e4:.2f}, latency {counted['latency'] / hours * 1e4:.2f};"
        f" {lists}; {counted['planned']} in maintenance"
    )


def _count_alarms(seed: int, days: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    for route in account(seed, days):
        hours, size = days * 24, _size(route.volume)
        counted["hours"] += hours
        counted["sms"] += int(route.sent.sum())
        counted[f"hours {size}"] += hours
        for event in drop_events(DELIVERY_DROP, route.senders, route.sent, route.within):
            _count_drop(counted, route, event, size)
        edge = best_edge(route.within[: 7 * DAY])
        for event in latency_events(LATENCY_RISE, route.senders, route.within, edge):
            is_told = event.closed is None and event.finding.level == "alarm" and event.finding.scope == "route"
            if is_told and not route.planned[window_of(event)]:
                counted["latency"] += 1
    return counted


def _count_drop(counted: Counter[str], route: Route, event: Event, size: str) -> None:
    if event.closed is not None:
        return
    finding, window = event.finding, window_of(event)
    if finding.level == "suspected":
        is_ordinary = not route.planned[window] and not route.bad_list[window]
        counted["suspected"] += is_ordinary and finding.scope == "route"
    elif route.bad_list[window]:
        counted["bad list"] += 1
        counted["bad list, route"] += finding.scope == "route"
    elif route.planned[window]:
        counted["planned"] += 1
    elif finding.scope == "sender":
        counted["sender"] += 1
    else:
        counted["false"] += 1
        counted[f"false {size}"] += 1


def _size(volume: float) -> str:
    return next((str(size) for size in _SIZES if volume <= size), "more")


def _found(given: argparse.Namespace, pool: ProcessPoolExecutor) -> None:
    """How soon falls are found, as the route's."""
    say(f"{'fall':>5} {'SMS/h':>7} {'median':>7} {'80 %':>6} {'95 %':>6}   of 100 within 10, 20, 30 min   goal")
    for (fall, volume, minutes, goal), after in zip(
        _GOALS, pool.map(_delays, _GOALS, [given.runs] * len(_GOALS)), strict=True
    ):
        reached = _part(after, minutes)
        verdict = f"{goal} within {minutes} min: {'reached' if reached >= goal else 'NOT REACHED'} ({reached:.1f})"
        say(f"{fall:5.0%} {volume:7,} {_delay_row(after)}   {verdict}")


def _delays(goal: tuple[float, int, int, int], count: int) -> list[float]:
    fall, volume, _, _ = goal
    return [run.found_after() for run in runs(volume, Fault(fall=fall), count, 177)]


def _delay_row(after: Sequence[float]) -> str:
    quantiles = " ".join(f"{at:6.1f}" for at in (np.quantile(after, q, method="higher") for q in (0.5, 0.8, 0.95)))
    return f" {quantiles}   " + ", ".join(f"{_part(after, minutes):5.1f}" for minutes in (10, 20, 30)).ljust(29)


def _part(after: Sequence[float], minutes: float) -> float:
    return 100 * sum(one <= minutes for one in after) / len(after)


def _lists(given: argparse.Namespace, _pool: ProcessPoolExecutor) -> None:
    """Whose fault it is told to be: a bad list of one sender, a fault of all, a route with one sender."""
    count = given.runs // 2
    for name, fault, scope in (
        ("one sender's list, 50 points", Fault(fall=0.5, lists=True), "sender"),
        ("all senders, 50 points", Fault(fall=0.5), "route"),
        ("the only sender, 50 points", Fault(fall=0.5, senders=1), "sender"),
    ):
        told = [first for run in runs(2_000, fault, count, 23) if (first := _first(run)) is not None]
        right = sum(event.finding.scope == scope for event in told)
        only = sum(event.finding.only_sender for event in told)
        say(f"{name}: {len(told)} of {count} opened, {right} as the {scope}'s, {only} say only_sender")


def _first(run: Run) -> Event | None:
    """Return the last opening within an hour: the first one may have been widened."""
    opened = [e for e in run.events if e.closed is None and e.finding.level == "alarm" and e.minute <= run.began + 60]
    return opened[-1] if opened else None


def _closing(given: argparse.Namespace, _pool: ProcessPoolExecutor) -> None:
    """A fault of an hour: how often its alarm opens, and how long after the end it closes."""
    for volume in (600, 2_000, 10_000):
        found = list(runs(volume, Fault(fall=0.5, minutes=60), given.runs // 4, 31))
        opened = Counter(sum(_is_route(event, is_open=True) for event in run.events) for run in found)
        after = [
            event.minute - run.began - 60 for run in found for event in run.events if _is_route(event, is_open=False)
        ]
        say(f"{volume:,}/h: opened {dict(opened)}; closed after {np.median(after):.0f} min, at most {max(after):.0f}")


def _is_route(event: Event, *, is_open: bool) -> bool:
    finding = event.finding
    return finding.level == "alarm" and finding.scope == "route" and (event.closed is None) == is_open


def _normal(given: argparse.Namespace, _pool: ProcessPoolExecutor) -> None:
    """A fall that stays: its alarm closes after a day, and the week after is silent."""
    found = list(runs(2_000, Fault(fall=0.3, days_after=8), given.runs // 10, 41))
    closed = Counter(next((e.closed for e in run.events if not _is_suspected(e) and e.closed), None) for run in found)
    again = sum(sum(_is_route(event, is_open=True) for event in run.events) > 1 for run in found)
    say(f"{len(found)} runs: closed {dict(closed)} ({closed[NEW_NORMAL]} new normal); {again} opened again in a week")


def _is_suspected(event: Event) -> bool:
    return event.finding.level == "suspected"


def _latency(given: argparse.Namespace, _pool: ProcessPoolExecutor) -> None:
    """How soon a slower route is found."""
    say(f"{'slower':>6} {'SMS/h':>7} {'median':>7} {'80 %':>6} {'95 %':>6}   of 100 within 10, 20, 30 min   60 min")
    for slower in (3.0, 5.0):
        for volume in (200, 600, 2_000):
            found = runs(volume, Fault(slower=slower), given.runs // 4, 51, LATENCY_RISE)
            after = [run.found_after() for run in found]
            say(f"{slower:6.0f} {volume:7,} {_delay_row(after)}   {_part(after, 60):.0f}")


def _quiet(given: argparse.Namespace, pool: ProcessPoolExecutor) -> None:
    """SMS that are told only when they are final: total outages, and false alarms."""
    seeds = range(given.first_seed + 1_000, given.first_seed + 1_000 + given.seeds // 2)
    runs_of = list(pool.map(quiet_run, seeds, [given.days // 2] * len(seeds)))
    hours, false = sum(run.hours for run in runs_of), sum(run.false for run in runs_of)
    say(f"{hours:,} route-hours: {false} false, {false / hours * 1e4:.2f} for 10,000")
    after = [one for run in runs_of for one in run.after]
    say(f"{'steady/h':>10} {'outages':>8} {'median':>7}   of 100 within 20, 30, 60 min")
    for size in dict.fromkeys(size_of(steady) for steady, _ in sorted(after)):
        _say_quiet(size, [minutes for steady, minutes in after if size_of(steady) == size])
    _say_quiet("100 on", [minutes for steady, minutes in after if steady >= 100])


def _say_quiet(size: str, after: Sequence[float]) -> None:
    parts = ", ".join(f"{_part(after, minutes):5.1f}" for minutes in (20, 30, 60))
    say(f"{size:>10} {len(after):8} {np.quantile(after, 0.5, method='higher'):7.1f}   {parts}")


def _witness(given: argparse.Namespace, pool: ProcessPoolExecutor) -> None:
    """Campaigns whose SMS are told only when they are final: what their reports tell of faults of an hour."""
    seeds = range(given.first_seed + 2_000, given.first_seed + 2_000 + given.seeds)
    for of_a_day in (12, 60):
        total: Counter[str] = Counter()
        for counted in pool.map(ordinary_campaigns, seeds, [given.days // 3] * given.seeds, [of_a_day] * given.seeds):
            total += counted
        say(
            f"{of_a_day} a day, no fault: {total['campaigns']:,} campaigns, {total['false']} false alarms of campaigns,"
            f" {total['account']} of the account; {total['told bad lists']} of {total['bad lists']} bad lists told"
        )
    count = max(given.runs // 4, 1)
    say("campaigns a day  fault                     median   80 %   of 100 within 20, 30, 60 min  as account's  untold")
    for of_a_day in (12, 60):
        for name, kind in _BREAKS.items():
            drawn = range(given.first_seed + 3_000, given.first_seed + 3_000 + count)
            made = [*pool.map(broken_campaigns, drawn, [of_a_day] * count, [kind] * count)]
            after = [one.after for one in made]
            quantiles = " ".join(f"{np.quantile(after, q, method='higher'):6.1f}" for q in (0.5, 0.8))
            parts = ", ".join(f"{_part(after, minutes):5.1f}" for minutes in (20, 30, 60))
            many = _part([one.account for one in made], 120)
            untold = 100 * sum(one.is_untold for one in made) / count
            say(f"{of_a_day:15}  {name:24} {quantiles}   {parts:28} {many:13.1f} {untold:7.1f}")


_BREAKS: Final = {
    "all SMS, 30 points": Break(0, 0.3),
    "all SMS, 50 points": Break(0, 0.5),
    "all SMS, all lost": Break(0, 1.0),
    "largest operator, all": Break(0, 1.0, one_operator=True),
    "statuses do not reach us": Break(0, 1.0, is_untold=True),
}


def _together(given: argparse.Namespace, pool: ProcessPoolExecutor) -> None:
    """Faults of the provider, told as the account's; a fault of a part of the routes is not."""
    count = max(given.runs // 10, 1)
    say(" fall  of the routes  told as account  median   80 %   alarms of routes before it, of active routes")
    for fall, part in ((0.3, 1.0), (0.5, 1.0), (0.8, 1.0), (0.5, 0.3), (0.8, 0.3)):
        made = [*pool.map(together, range(count), [fall] * count, [part] * count)]
        after = sorted(one.after for one in made)
        told = sum(one.after < float("inf") for one in made)
        alone = float(np.median([one.alone for one in made]))
        active = float(np.mean([one.active for one in made]))
        quantiles = " ".join(f"{np.quantile(after, q, method='higher'):6.1f}" for q in (0.5, 0.8))
        say(f"{fall:5.0%} {part:14.0%} {told:13} of {count:3}  {quantiles}   {alone:.0f} of {active:.0f}")


def _late(given: argparse.Namespace, _pool: ProcessPoolExecutor) -> None:
    """Alarms that an outage of our own tells, with the guard for late callbacks and without."""
    count = max(given.runs // 10, 1)
    known = ordinary()
    for minutes in (5, 20, 60):
        made = [late(known, seed, minutes) for seed in range(count)]
        guarded, unguarded = (sum(map(bool, column)) for column in zip(*made, strict=True))
        say(f"{minutes:3} minutes: {guarded} of {count} outages tell an alarm with the guard, {unguarded} without")


def _cost(_given: argparse.Namespace, _pool: ProcessPoolExecutor) -> None:
    """Instructions of a minute, also as a part of its callbacks, and bytes of a route."""
    minute, callback = instructions_of_a_minute(), instructions_of_a_callback()
    what = f"{ROUTES} routes with {SENDERS} senders each, {CAMPAIGNS} campaigns, {PARTITIONS} partitions"
    if minute is None or callback is None:
        say(f"{what}: valgrind is not installed")
    else:
        say(f"{what}: {minute:,.0f} instructions a minute; a callback takes {callback:,.0f}")
        for rate in (100, 1_000, 10_000):
            say(f"{rate:10,} callbacks a second: {100 * minute / (60 * rate * callback):.2f} % of theirs")
    for name, size in bytes_of_state().items():
        say(f"{size:10,} bytes of a route: {name}")


_PARTS: Final[dict[str, Callable[[argparse.Namespace, ProcessPoolExecutor], None]]] = {
    "found": _found,
    "false": _false,
    "lists": _lists,
    "closing": _closing,
    "normal": _normal,
    "latency": _latency,
    "quiet": _quiet,
    "witness": _witness,
    "together": _together,
    "late": _late,
    "cost": _cost,
}
