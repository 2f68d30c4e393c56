"""
The stage of the alarms: lines in, records out, and a line that cannot be read is a rejection.
"""

import orjson

from streams.contract.records import DeliveryAlarm, Reason
from streams.domain.alarm_stage import AlarmStage
from streams.domain.alarms.seen import watched_line
from streams.domain.alarms.told import Told, told_alarms
from streams.domain.stage import Output
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.alarms.feed import BEGIN, DAY, Account, cell, fault, told
from tests.unit.streams.domain.pipeline import checked

MOST_ALARMS = 200

BROKE = BEGIN + DAY + 40


def outputs_after(rows: MemoryRows, lines: list[bytes]) -> list[Output]:
    stage = AlarmStage()
    return [output for at, line in enumerate(lines) for output in outputs_of(stage.apply(rows, 0, at, line))]


def lines_of(account: Account, begin: int, end: int) -> list[bytes]:
    """Return a record of all cells of a window, and one for each tick."""
    lines: list[bytes] = []
    cells: list[bytes] = []
    for line in account.lines(begin, end):
        if "cell" in line:
            cells.append(watched_line(line))
        else:
            lines += [b"\n".join(cells), orjson.dumps(line)] if cells else [orjson.dumps(line)]
            cells = []
    return lines


def test_each_alarm_is_told_by_its_key_with_growing_revisions_and_answered() -> None:
    rows, account = MemoryRows(), Account(shares=fault(BROKE, BROKE + 12, [("GR", "A")], ("acme", "shop"), 0.4))
    records = [checked(output) for output in outputs_after(rows, lines_of(account, BEGIN, BROKE + 24))]
    assert [(one["is_open"], one["closed_because"]) for one in records] == [(True, None), (False, "recovered")]
    assert records[0]["revision"] < records[1]["revision"]
    assert told_alarms(rows) == records[1:]
    assert told_alarms(rows, is_open=True) == []
    assert [DeliveryAlarm.model_validate(one).scope for one in records] == ["route", "route"]


def test_the_alarms_read_no_label() -> None:
    with_label = cell(BEGIN, ("GR", "A"), "acme", 2, 1, cell=f'{BEGIN}:["GR","A","acme",null,null,"for Maria"]')
    line = watched_line(with_label)
    assert b"Maria" not in line
    assert told([orjson.loads(line)]) == []


def test_a_line_that_cannot_be_read_is_rejected_and_the_others_are_taken() -> None:
    rows = MemoryRows()
    good = watched_line(cell(BEGIN, ("GR", "A"), "acme", 2, 1))
    (rejected,) = outputs_after(rows, [b"\n".join([b"{", b'{"cell":1}', good])])[:1]
    assert orjson.loads(rejected.value)["reason"] == Reason.BUG
    assert len(rows.with_prefix(b"c:")) == 1


def test_closed_alarms_beyond_the_bound_are_forgotten_and_open_ones_are_not() -> None:
    rows = MemoryRows()
    kept_by = Told(rows, {})
    for at in range(MOST_ALARMS + 20):
        kept_by.open({"alarm": f"k:{at}", "subject": "account", "is_open": at == 3})
    kept = [record["alarm"] for record in told_alarms(rows)]
    assert len(kept) == MOST_ALARMS + 1
    assert kept[-1] == "k:3"
    assert len(rows.with_prefix(b"o:")) == MOST_ALARMS + 1
