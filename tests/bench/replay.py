"""
The cost of a replayed callback beside that of a worker, in turns, and the memory of a replay.

`python -m tests.bench.replay`: processes of one partition, one after the other. The worker takes envelopes through the
stage of SMS, builds the batches for Kafka and writes its rows to RocksDB, as in `instructions`; neither Faust nor the
sockets of Kafka are in it. The replay reads the same envelopes from an archive of Parquet, and writes its tables with
the campaigns and cells, which the worker leaves to other stages. So the ratio is no lower than that of a whole worker.
"""

import argparse
import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa

from sinks.files.archive import archive_table
from sinks.files.formats import to_parquet
from sinks.source import Record
from streams.replay.command import replay
from streams.settings import StreamsSettings
from streams.state.store.rocks import RocksMemory, RocksStore
from streams.state.store.write_behind import WriteBehind
from tests.bench import callbacks, measuring
from tests.bench.instructions import Worker
from tests.bench.measuring import say

MOST: Final = 1.5
"""Times the worker's cost that a replayed callback may have."""

_PER_ENVELOPE: Final = 50
_FLUSH_EVERY: Final = 8
_RECORDS_A_FILE: Final = 2_000
_ENVELOPES_A_MINUTE: Final = 60
_BEGIN_MS: Final = 1_795_348_800_000
_RECEIVED_AT: Final = "2026-11-22T09:16:54.000Z"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the cost of each in turns, the median of the ratios, and the memory of two sizes of replay."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.replay", description=__doc__)
    parser.add_argument("--callbacks", type=int, default=150_000, help="of three statuses for each SMS")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--messages", type=int, default=1_000_000, help="SMS of the larger replay whose memory is shown"
    )
    parser.add_argument("--run", choices=["worker", "replay"], help=argparse.SUPPRESS)
    parser.add_argument("--archive", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.run:
        say(json.dumps(_run(given.run, given.callbacks, given.archive)))
        return 0
    with TemporaryDirectory(prefix="routee-bench-") as folder:
        _costs(Path(folder) / "archive", given.callbacks, given.runs)
        if given.messages:
            _memory(Path(folder) / "large", given.messages)
    return 0


def _costs(archive: Path, count: int, runs: int) -> None:
    _write(archive, _lives(count))
    ratios = []
    say(f"{'CPU µs a callback':20} {'worker':>8} {'replay':>8} {'ratio':>6}")
    for _ in range(runs):
        worker, replayed = (_in_process(run, count, archive) for run in ("worker", "replay"))
        each = [one["cpu"] * 1e6 / count for one in (worker, replayed)]
        ratios.append(each[1] / each[0])
        say(f"{'':20} {each[0]:8.1f} {each[1]:8.1f} {ratios[-1]:6.2f}")
    say(f"median ratio: {median(ratios):.2f} of at most {MOST}; yardstick {measuring.yardstick_ms():.1f} ms")


def _memory(archive: Path, messages: int) -> None:
    for part in (messages // 4, messages):
        _write(archive, (body for _, body in callbacks.births(part)))
        replayed = _in_process("replay", part, archive)
        say(f"{part:,} SMS: {replayed['rss']:,.0f} MB of memory, {replayed['cpu'] * 1e6 / part:.1f} CPU µs a callback")


def _lives(count: int) -> Iterator[bytes]:
    return (body for _, body in callbacks.lives(count))


def _write(root: Path, bodies: Iterator[bytes]) -> None:
    """Write an archive of one partition anew, 60 envelopes a minute."""
    folder = root / "raw_callbacks" / "date=2026-11-22"
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    waiting: list[Record] = []
    for offset, value in enumerate(_envelopes(bodies)):
        waiting.append(Record("t", 0, offset, _BEGIN_MS + offset * 60_000 // _ENVELOPES_A_MINUTE, value))
        if len(waiting) == _RECORDS_A_FILE:
            _write_file(folder, waiting)
            waiting = []
    if waiting:
        _write_file(folder, waiting)


def _write_file(folder: Path, records: list[Record]) -> None:
    name = f"0-{records[0].offset}-{records[-1].offset}.parquet"
    (folder / name).write_bytes(to_parquet(archive_table(records)))


def _envelopes(bodies: Iterator[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    for body in bodies:
        waiting.append(body)
        if len(waiting) == _PER_ENVELOPE:
            yield callbacks.envelope_of(waiting, _RECEIVED_AT)
            waiting = []
    if waiting:
        yield callbacks.envelope_of(waiting, _RECEIVED_AT)


def _in_process(run: str, count: int, archive: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.replay", "--run", run, f"--callbacks={count}", f"--archive={archive}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": "0"})
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def _run(run: str, count: int, archive: Path) -> dict[str, float]:
    measuring.pin(measuring.PROGRAM_CORE)
    pa.array([1])  # Arrow imports pandas here, where that is installed: once, and not for each callback
    with TemporaryDirectory(prefix="routee-bench-") as folder:
        if run == "worker":
            records = [*_envelopes(_lives(count))]
            gc.freeze()
            began = _cpu()
            asyncio.run(_work(records, Path(folder)))
        else:
            began = _cpu()
            replay(StreamsSettings(), str(archive), None, Path(folder) / "replay", say)
        return {"cpu": _cpu() - began, "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


async def _work(records: list[bytes], folder: Path) -> None:
    store = WriteBehind(RocksStore(folder, RocksMemory()))
    worker = Worker(store=store)
    for at in range(0, len(records), _FLUSH_EVERY):
        for offset, record in enumerate(records[at : at + _FLUSH_EVERY], at):
            worker.take_in(offset, record)
        await worker.flush(at / 80, is_sent=True)
    store.close(0)


def _cpu() -> float:
    """Return the processor time of all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
