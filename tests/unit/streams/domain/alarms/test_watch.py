"""
Alarms over cells and ticks: what opens, as whose fault, when, and that replay, prefix and restart tell the same.
"""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_rows import MemoryRows
from tests.unit.streams.domain.alarms.feed import BEGIN, DAY, Account, Line, alarms, cell, fault, tick, told

MOST_ROUTES = 500

A, B = ("GR", "A"), ("GR", "B")
BOTH = ("acme", "shop")
BROKE = BEGIN + DAY + 40
DROP_A = 'delivery-drop:["GR","A"]'

_KNOWN: dict[str, dict[bytes, bytes]] = {}


def known_rows() -> MemoryRows:
    """Return the rows after a day and 40 windows of ordinary traffic."""
    if not _KNOWN:
        rows = MemoryRows()
        assert told(Account().lines(BEGIN, BROKE), rows) == []
        _KNOWN[""] = rows.written
    return MemoryRows.of(_KNOWN[""])


def after(account: Account, windows: int, rows: MemoryRows | None = None) -> list[dict[str, object]]:
    """Return the records of that many windows after the ordinary ones."""
    lines = [*account.cells(BROKE - 1), *account.lines(BROKE, BROKE + windows)]
    return told(lines, rows if rows is not None else known_rows())


def test_a_route_that_breaks_for_an_hour_opens_one_alarm_and_closes_it() -> None:
    records = after(Account(shares=fault(BROKE, BROKE + 12, [A], BOTH, 0.4)), 24)
    assert alarms(records) == [(DROP_A, True, None), (DROP_A, False, "recovered")]
    opened, closed = records
    assert (opened["observed"], opened["expected"], opened["n"]) == (0.4, pytest.approx(0.9, abs=0.005), 120)
    # The first window ends after five minutes and may be judged a minute later; not before.
    assert opened["opened_at"] == "2024-10-05T03:26:00.000Z"
    assert opened["since"] == "2024-10-05T03:20:00.000Z"
    assert closed["closed_at"] == "2024-10-05T04:50:00.000Z"
    assert opened["why"] == (
        "A (GR): 40 % of 120 SMS were delivered within 60 s, 90 % are usual;"
        " the other senders show it, too (40 % of 60, 90 % usual)"
    )


def test_a_bad_list_is_told_as_the_senders() -> None:
    records = after(Account(shares=fault(BROKE, BROKE + 6, [A], ["acme"], 0.2)), 6)
    assert alarms(records) == [('delivery-drop:["GR","A","acme"]', True, None)]
    assert records[0]["only_sender"] is False


def test_the_alarm_of_a_sender_is_widened_when_another_sender_shows_it() -> None:
    shares = fault(BROKE, BROKE + 12, [A], ["acme"], 0.2) | fault(BROKE + 3, BROKE + 12, [A], ["shop"], 0.2)
    senders = 'delivery-drop:["GR","A","acme"]'
    assert alarms(after(Account(shares=shares), 8)) == [
        (senders, True, None),
        (senders, False, "widened"),
        (DROP_A, True, None),
    ]


def test_a_route_with_one_sender_says_that_nothing_else_tells_whose_fault_it_is() -> None:
    rows = MemoryRows()
    shares = fault(BROKE, BROKE + 6, [A], ["acme"], 0.4)
    (record,) = told(Account(senders=("acme",), shares=shares).lines(BEGIN, BROKE + 4), rows)
    assert (record["alarm"], record["only_sender"]) == ('delivery-drop:["GR","A","acme"]', True)


def test_many_routes_that_fall_at_once_are_one_alarm_of_the_account() -> None:
    routes = [("GR", name) for name in "ABCD"]
    shares = fault(BROKE, BROKE + 6, routes[:3], BOTH, 0.3)
    records = told(Account(routes=routes, shares=shares).lines(BEGIN, BROKE + 20))
    assert alarms(records) == [
        ("delivery-drop:account", True, None),
        ("delivery-drop:account", False, "most routes recovered"),
    ]
    assert records[0]["routes"] == [["GR", "A"], ["GR", "B"], ["GR", "C"]]


def test_a_source_that_lags_holds_all_judgement() -> None:
    rows = known_rows()
    lagging = tick(BROKE * 5, source="1")
    account = Account(shares=fault(BROKE, BROKE + 12, [A], BOTH, 0.4))
    assert told([lagging, *account.lines(BROKE, BROKE + 6)], rows) == []
    # The callbacks of the backlog come, and only then time goes on: nothing has fallen.
    caught_up = [cell | {"revision": 2} for window in range(BROKE, BROKE + 5) for cell in Account().cells(window)]
    assert told([*caught_up, tick(BROKE * 5 + 29, source="1")], rows) == []


def test_a_gap_of_our_own_and_the_late_callbacks_after_it_open_no_alarm_of_a_route() -> None:
    account = Account(shares=fault(BROKE, BROKE + 2, [A, B], BOTH, 0.2))
    gap = [line | {"callbacks": 0} if "source" in line else line for line in account.lines(BROKE, BROKE + 2)]
    late = [line | {"late": 80} if "source" in line else line for line in account.lines(BROKE + 2, BROKE + 4)]
    on_time = Account().lines(BROKE + 4, BROKE + 9)
    assert alarms(told([*gap, *account.cells(BROKE + 1), *late, *on_time], known_rows())) == []


def test_an_sms_that_is_not_yet_due_is_not_counted_as_lost() -> None:
    # All are delivered, but only a minute and a half after the sending.
    slow = [one | {"delivered_by_latency": {"120": 54}} for one in Account().cells(BROKE)]
    lines = [*slow, *(tick(BROKE * 5 + minute) for minute in range(5, 8))]
    judged = told(lines, known_rows())
    assert {one["judged"]["horizon_seconds"] for one in judged} <= {60}
    assert told(lines[:-2], known_rows()) == []


def test_without_ticks_nothing_is_judged() -> None:
    account = Account(shares=fault(BROKE, BROKE + 12, [A], BOTH, 0.1))
    lines = [line for line in account.lines(BROKE, BROKE + 12) if "cell" in line]
    assert told(lines, known_rows()) == []


def test_the_order_of_cells_between_two_ticks_and_older_versions_change_nothing() -> None:
    account = Account(shares=fault(BROKE, BROKE + 12, [A], BOTH, 0.4))
    lines = [*account.lines(BROKE, BROKE + 8)]
    shuffled: list[Line] = []
    for before, line in pairwise([{}, *lines]):
        if "cell" in line:
            # The newest version first, then an older one, both before the cells that came earlier.
            at = next((i + 1 for i in reversed(range(len(shuffled))) if "source" in shuffled[i]), 0)
            old = line | {"parts_by_status": {"Delivered": 1, "Sent": 59}, "delivered_by_latency": {"5": 1}}
            shuffled[at:at] = [line | {"revision": 2}, old]
        else:
            shuffled.append(line)
        assert before != line
    assert told(shuffled, known_rows()) == told(lines, known_rows()) != []


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_replay_prefix_and_restart_tell_the_same(data: st.DataObject) -> None:
    share = data.draw(st.sampled_from([0.1, 0.4, 0.7]))
    senders = data.draw(st.sampled_from([BOTH, ("acme",)]))
    length = data.draw(st.integers(1, 12))
    account = Account(shares=fault(BROKE, BROKE + length, [A], senders, share))
    lines = [*account.lines(BROKE, BROKE + 20)]
    whole_rows = known_rows()
    whole = told(lines, whole_rows)
    cut = data.draw(st.integers(0, len(lines)))
    rows = known_rows()
    prefix = told(lines[:cut], rows)
    assert prefix == whole[: len(prefix)]
    restarted = rows.reloaded()
    assert prefix + told(lines[cut:], restarted) == whole
    assert restarted.written == whole_rows.written


def test_routes_beyond_the_bound_are_not_watched_until_others_are_forgotten() -> None:
    rows = MemoryRows()
    invented = [cell(BEGIN, ("GR", str(at)), "acme", 1, 1) for at in range(MOST_ROUTES + 5)]
    told([tick(BEGIN * 5), *invented], rows)
    assert len(rows.with_prefix(b"c:")) == MOST_ROUTES
    told([tick(BEGIN * 5 + minute) for minute in range(1, 40)], rows)
    assert rows.with_prefix(b"c:") == {}
