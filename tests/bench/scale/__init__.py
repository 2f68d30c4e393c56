"""
Whether n workers do n times the work of one: 1, 2, 4 and 8 of ingest, of streams and of a sink, on the same Kafka.

Each worker has a tenth of a core and no more (`tests.bench.share`), so that eight fit beside each other on the core of
the measured programs; Kafka and the load have the other one. `scaled` is the rate over n times that of one worker;
where other programs want the core, too, it says nothing, and the processor time of a million items says what more
workers cost. RSS is that of the largest worker. `python -m tests.bench.scale --help`.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tests.bench import measuring
from tests.bench.measuring import Figures, say
from tests.bench.scale import ingest, sinks, streams
from tests.bench.scale.figures import Scaled

_WORKERS: Final = (1, 2, 4, 8)
_PARTS: Final[Mapping[str, Callable[[int, argparse.Namespace], Scaled]]] = {
    "ingest": ingest.measured,
    "streams": streams.measured,
    "sinks": sinks.measured,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each number of workers and print a table per program."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *_PARTS], metavar="PART", help=", ".join(_PARTS))
    parser.add_argument(
        "--workers", type=int, nargs="+", default=_WORKERS, help="the first one is what others scale by"
    )
    parser.add_argument("--share", type=float, default=0.1, help="of a core for each worker")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a run")
    parser.add_argument("--runs", type=int, default=1, help="runs, of which the median is shown")
    given = parser.parse_args(arguments)
    measuring.pin(measuring.OTHER_CORE)
    for part in given.parts or _PARTS:
        say(f"-- {part}, {given.share:g} of a core for each worker")
        before = measuring.yardstick_ms()
        _table(_PARTS[part], given)
        say(f"yardstick: {before:.1f} ms before, {measuring.yardstick_ms():.1f} ms after")
    return 0


def _table(measured: Callable[[int, argparse.Namespace], Scaled], given: argparse.Namespace) -> None:
    # All numbers of workers once, then all again: the processor's speed changes within minutes.
    rounds = [[measured(number, given) for number in given.workers] for _ in range(given.runs)]
    say(f"{measuring.HEADING} {'scaled':>7} {'all back after one left, s':>27}")
    by_number = [*zip(*rounds, strict=True)]
    medians = [Figures.median([run.figures for run in runs]) for runs in by_number]
    one = medians[0].per_second / given.workers[0]
    for number, figures, runs in zip(given.workers, medians, by_number, strict=True):
        waits = [run.rebalance_seconds for run in runs if run.rebalance_seconds is not None]
        rebalance = f"{max(waits):.1f}" if waits else ""
        say(f"{figures.row(f'{number} workers')} {figures.per_second / one / number:7.2f} {rebalance:>27}")


if __name__ == "__main__":
    sys.exit(main())
