"""
The cost of a callback in instructions of the processor, counted by valgrind: noise of the machine does not reach it.

`python -m tests.bench.instructions` counts the rules of streams (`rules`: from an envelope to rows and outputs) and the
way to Kafka (`batches`: outputs grouped, record batches built), each by the difference between a run with it and one
without. The same code gives the same sum within a thousandth, so one run is enough; how it parts into the two varies
more. Compare two versions under the same Python and the same versions of libraries.
"""

import argparse
import asyncio
import gc
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from shutil import which
from types import SimpleNamespace
from typing import Any, Final

from streams.contract.erasures import KEY_BYTES, Erasure, Marks
from streams.contract.topics import CALLBACKS_RAW, CAMPAIGN_PARTIALS, SMS_STATUS, Topic
from streams.domain.erasing import KnownErasures
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.stage import Output
from streams.state import turns
from streams.state.changelog.batches import Batches
from streams.state.changelog.fence import ProducerEpoch
from streams.state.checkpoint import Checkpointer, Owned, Routing, Spec
from streams.state.rows.partition import Origin, Partition
from streams.state.rows.throttle import Throttle
from streams.state.store.stores import MemoryStore, Store
from tests.bench import callbacks
from tests.bench.measuring import say

_COUNTED: Final = re.compile(r"I\s+refs:\s+([\d,]+)")
_TOOL: Final = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
PER_ENVELOPE: Final = 50
_MARKS: Final = Marks(bytes(range(KEY_BYTES)))
_FLUSH_EVERY: Final = 8
_ENVELOPES_A_MINUTE: Final = 60
_RECEIVED_AT: Final = "2026-11-22T09:16:54.000Z"
_STEPS: Final = (
    ("Queued", "2026-11-22T09:16:24.000Z"),
    ("Sent", "2026-11-22T09:16:25.000Z"),
    ("Delivered", "2026-11-22T09:16:28.000Z"),
)

LOADS: Final = {"three statuses": (1, _STEPS), "one final": (1, _STEPS[-1:]), "two parts": (2, _STEPS)}
"""Parts of each message, and the statuses of each part."""

_MODULE: Final = "tests.bench.instructions"
_NOTHING, _RULES, _BATCHES = "nothing", "rules", "batches"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per load: instructions per callback."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.instructions", description=__doc__)
    parser.add_argument("loads", nargs="*", choices=[[], *LOADS], metavar="LOAD", help=", ".join(LOADS))
    parser.add_argument("--callbacks", type=int, default=2_400)
    parser.add_argument("--erasures", type=int, default=0, help="of other recipients, made before the callbacks")
    parser.add_argument("--behind", action="store_true", help="the erasures were made after the callbacks")
    parser.add_argument("--run", choices=[_NOTHING, _RULES, _BATCHES], help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    loads = given.loads or [*LOADS]
    if given.run:
        asyncio.run(_run(given, loads[0]))
        return 0
    if not can_count():
        return 0
    say(f"{'instructions per callback':28} {'rules':>9} {'batches':>9} {'both':>9}")
    for load in loads:
        _process(_MODULE, *_arguments(_BATCHES, load, given))  # so that no count has the compiling of modules
        nothing, rules, both = (count(run, load, given) for run in (_NOTHING, _RULES, _BATCHES))
        figures = (rules - nothing, both - rules, both - nothing)
        say(f"{load:28} " + " ".join(f"{figure / given.callbacks:9,.0f}" for figure in figures))
    return 0


def can_count() -> bool:
    """Return whether valgrind is there; say so when it is not."""
    if which(_TOOL[0]) is None:
        say("left out: valgrind is not installed, which counts instructions (Debian: apt install valgrind)")
        return False
    return True


def count_of(module: str, *arguments: str) -> int:
    """Return the instructions of a whole process that runs a module."""
    found = _COUNTED.search(_process(module, *arguments, tool=_TOOL))
    if found is None:
        raise ValueError("valgrind printed no number of instructions")
    return int(found[1].replace(",", ""))


def count(run: str, load: str, given: argparse.Namespace) -> int:
    """Return the instructions of a whole run."""
    return count_of(_MODULE, *_arguments(run, load, given))


def _arguments(run: str, load: str, given: argparse.Namespace) -> list[str]:
    options = [f"--callbacks={given.callbacks}", f"--erasures={given.erasures}", *["--behind"] * given.behind]
    return [load, *options, "--run", run]


def _process(module: str, *arguments: str, tool: Sequence[str] = ()) -> str:
    """Return what a process of its own prints on standard error."""
    command = [*tool, sys.executable, "-m", module, *arguments]
    # The order of a set of texts would differ from run to run.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr


def envelopes(load: str, count: int) -> list[bytes]:
    """Return so many callbacks in raw records: every message's first status, then every message's next one."""
    parts, steps = LOADS[load]
    bodies = [
        callbacks.body(message, number % callbacks.CAMPAIGNS, status, at, part, parts)
        for status, at in steps
        for number, message in enumerate(callbacks.message_ids(count // len(steps) // parts))
        for part in range(1, parts + 1)
    ]
    every = range(0, len(bodies), PER_ENVELOPE)
    return [callbacks.envelope_of(bodies[at : at + PER_ENVELOPE], _RECEIVED_AT) for at in every]


async def _run(given: argparse.Namespace, load: str) -> None:
    run, records = given.run, envelopes(load, given.callbacks)
    turns.TURN_SECONDS = 1e9  # type: ignore[misc]  # how many turns there are would depend on the time
    gc.freeze()
    worker = Worker(_erasures(given.erasures, is_behind=given.behind))
    for at in range(0, len(records) if run != _NOTHING else 0, _FLUSH_EVERY):
        for offset, record in enumerate(records[at : at + _FLUSH_EVERY], at):
            worker.take_in(offset, record)
        await worker.flush(at / 80, is_sent=run == _BATCHES)


def _erasures(number: int, *, is_behind: bool) -> KnownErasures:
    """Return erasures that a worker has at hand: it made a view of them once, before any of these callbacks."""
    known, marks = KnownErasures(_MARKS), _MARKS
    received = datetime.fromisoformat(_RECEIVED_AT)
    at = received + timedelta(days=1) if is_behind else received - timedelta(days=1)
    for offset in range(number):
        known.add(offset, Erasure(mark=marks.of(f"+4470000{offset:05}") or "", at=at, key_id=marks.key_id))
    known.before(number)
    return known


class Worker:
    """One partition as a worker has it, its rows in a dictionary or a store; its producer only builds batches."""

    def __init__(self, erasing: KnownErasures | None = None, store: Store | None = None) -> None:
        self._store: Store = MemoryStore() if store is None else store
        self._store.open(0)
        spec = Spec(
            "sms",
            SmsStage(Policy()),
            CALLBACKS_RAW,
            "topic-id",
            partitions=1,
            exclusive=frozenset({SMS_STATUS}),
            bundled=frozenset({CAMPAIGN_PARTIALS}),
        )
        batches = Batches(_Producer())
        self._checkpointer = Checkpointer(
            spec,
            changelog="changelog",
            store=self._store,
            batches=lambda: batches,
            routing=Routing(_name, _partition),
            check=lambda: None,
        )
        read = lambda key: self._store.read(0, key)  # noqa: E731 - one line of glue
        self._partition = Partition(0, spec.stage, read, Throttle(0.25), Origin("topic-id"), erasing=erasing)
        self._owned = Owned(self._partition, ProducerEpoch(1, 0), -1, None, 0)
        self._checkpointer.owned[0] = self._owned

    def take_in(self, offset: int, record: bytes) -> None:
        """Take in a raw record."""
        deque(self._partition.take_in(offset, record), 0)

    async def flush(self, now: float, *, is_sent: bool) -> None:
        """Make a checkpoint; build and send its batches, or write its rows only."""
        checkpoint = self._partition.seal(now)
        if is_sent:
            await self._checkpointer._write([(self._owned, checkpoint)])
        else:
            self._store.write(0, checkpoint.rows, 0)


def _name(topic: Topic) -> str:
    return topic.suffix


def _partition(output: Output, source: int) -> int:
    # The campaigns of one partition are spread over all.
    return hash(output.key) % callbacks.PARTITIONS if output.topic is CAMPAIGN_PARTIALS else source


class _Producer:
    """Builds batches to their last byte, and appends them to nothing."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, int], int] = {}

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[Any]":  # noqa: ANN401
        """Acknowledge a batch at the end of the partition."""
        batch._build()
        first = self._ends.get((topic, partition), 0)
        self._ends[topic, partition] = first + batch.record_count()
        appended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        appended.set_result(SimpleNamespace(offset=first))
        return appended


if __name__ == "__main__":
    sys.exit(main())
