"""
The cost of the alarms: instructions of the processor for a minute, and bytes of state.

The figures do not depend on how many SMS there are, but on routes, senders, campaigns that are under way, and the times
of the settings: a cell that changed is told every 5 seconds, a campaign every second, and a route is judged three times
in five minutes.
"""

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from shutil import which
from typing import Any, Final

import orjson

from streams.domain.alarm_stage import AlarmStage
from streams.domain.alarms.seen import watched_line
from tests.bench import instructions
from tests.support.memory_rows import MemoryRows, outputs_of
from tests.unit.streams.domain.alarms.feed import BEGIN, DAY, Account, cell, tick, told

ROUTES, SENDERS, CAMPAIGNS, PARTITIONS = 20, 4, 2, 8
_MINUTES: Final = 10
_TELLINGS, _TELLINGS_OF_CAMPAIGNS = 12, 60
_COUNTED: Final = re.compile(r"I\s+refs:\s+([\d,]+)")
_TOOL: Final = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


def instructions_of_a_minute() -> float | None:
    """Return the instructions of the alarms' agent for a minute of an account; None without valgrind."""
    if which(_TOOL[0]) is None:
        return None
    nothing, work = (_count(run) for run in ("nothing", "work"))
    return (work - nothing) / _MINUTES


def _count(run: str) -> int:
    command = [*_TOOL, sys.executable, "-m", "tests.bench.alarms.cost", run]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = _COUNTED.search(done.stderr)
    if found is None:
        raise ValueError("valgrind printed no number of instructions")
    return int(found[1].replace(",", ""))


def _lines() -> Iterator[bytes]:
    """Yield a record for the cells of each five seconds and the campaigns of each, and the ticks of each minute."""
    routes = [("GR", str(number)) for number in range(ROUTES)]
    senders = [f"sender-{number}" for number in range(SENDERS)]
    for minute in range(_MINUTES):
        window = BEGIN + minute // 5
        for telling in range(1, _TELLINGS + 1):
            revision = minute % 5 * _TELLINGS + telling
            sent = 10 * revision
            yield b"\n".join(
                watched_line(cell(window, route, sender, sent, sent - 5, revision=revision))
                for route in routes
                for sender in senders
            )
        for telling in range(_TELLINGS_OF_CAMPAIGNS):
            revision = 1 + minute * _TELLINGS_OF_CAMPAIGNS + telling
            yield b"\n".join(orjson.dumps(_campaign(number, minute, revision)) for number in range(CAMPAIGNS))
        for table in ("sms", "campaigns", "deliveries"):
            for number in range(PARTITIONS):
                yield orjson.dumps(tick(BEGIN * 5 + minute, f"{table}-{number}"))


def _campaign(number: int, minute: int, revision: int) -> dict[str, Any]:
    return {
        "campaign": f"4d8e9c1a-0000-4000-8000-{number:012}",
        "at": BEGIN * 5 + minute,
        "handed": 200 * (1 + revision // 100),
        "final": revision,
        "reported": 100 * (1 + revision // 100),
        "under_way": False,
        "ended": False,
        "generation": 0,
        "revision": revision,
    }


def instructions_of_a_callback() -> float | None:
    """Return the instructions of the rules of streams for a callback of three statuses; None without valgrind."""
    if which(_TOOL[0]) is None:
        return None
    load, given = "three statuses", argparse.Namespace(callbacks=2_400, erasures=0, behind=False)
    counted = instructions.count("batches", load, given) - instructions.count("nothing", load, given)
    return counted / int(given.callbacks)


def bytes_of_state() -> Counter[str]:
    """Return the bytes of the rows of one route with four senders after a day, by what they are."""
    rows = MemoryRows()
    account = Account(routes=[("GR", "A")], senders=tuple(f"sender-{number}" for number in range(SENDERS)), sent=100)
    told(account.lines(BEGIN, BEGIN + DAY + 20), rows)
    names = {b"r:": "route", b"q:": "route, OnCompletion", b"c:": "cells of the last windows"}
    sizes: Counter[str] = Counter()
    for key, row in rows.written.items():
        if key[:2] in names:
            sizes[names[key[:2]]] += len(key) + len(row)
    return sizes


def main(run: str) -> int:
    """Do the work of some minutes, or only make its lines."""
    records = [*_lines()]
    stage, rows = AlarmStage(), MemoryRows()
    for at, value in enumerate(records if run == "work" else ()):
        outputs_of(stage.apply(rows, 0, at, value))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
