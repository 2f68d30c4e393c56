"""
The client of the part `answers`: asks at a steady pace and tells how long each answer took.

`python -m tests.bench.asking SECONDS RATE < PLAN`, with lines [name, url] of JSON that are asked in turn. Each request
has its moment and does not wait for the one before, so a worker that holds up one answer holds up all that fall into
that time, and they are counted. It writes a JSON object: name → the seconds of each answer, and `late` → by how much
each request was late, which is the fault of this program's core.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress
from itertools import cycle
from time import monotonic
from typing import Final

from aiohttp import ClientSession, TCPConnector

_CONNECTIONS: Final = 32
_LATE: Final = "late"

Times = dict[str, list[float]]


def main() -> None:
    """Ask, and write the times to standard output."""
    with suppress(PermissionError):
        os.nice(-10)  # what it waits for the core that it shares would count as time of the answer
    seconds, rate = float(sys.argv[1]), float(sys.argv[2])
    plan = [json.loads(line) for line in sys.stdin]
    sys.stdout.write(json.dumps(asyncio.run(_ask_all(plan, seconds, rate))))


async def _ask_all(plan: list[tuple[str, str]], seconds: float, rate: float) -> Times:
    times: Times = {_LATE: []}
    began = monotonic()
    async with ClientSession(connector=TCPConnector(limit=_CONNECTIONS)) as session, asyncio.TaskGroup() as asking:
        for number, (name, url) in enumerate(cycle(plan)):
            due = began + number / rate
            if due > began + seconds:
                return times
            await asyncio.sleep(due - monotonic())
            times[_LATE].append(monotonic() - due)
            asking.create_task(_ask(session, url, times.setdefault(name, [])))
    raise AssertionError("the plan has no end")


async def _ask(session: ClientSession, url: str, times: list[float]) -> None:
    began = monotonic()
    async with session.get(url) as answer:
        await answer.read()
        answer.raise_for_status()
    times.append(monotonic() - began)


if __name__ == "__main__":
    main()
