"""
`routee-sandbox emulate`: Routee against any callback URL, until everything is accepted or given up.
"""

import asyncio
import os
import signal
import sys
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Final

import uvloop

from sandbox.emulator.arguments import add_arguments, send_options, traffic_options
from sandbox.emulator.connection import Target
from sandbox.emulator.errors import EmulatorError
from sandbox.emulator.ledger import Ledger
from sandbox.emulator.sender import Sender, SendOptions, Tally, reach
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.schedule import schedule
from streams.program import exit_codes
from streams.program.signals import ending_signals

__all__ = ["add_arguments", "default_start", "run"]

_PROGRESS_SECONDS: Final = 5.0


def run(args: Namespace) -> int:
    """
    Run `emulate`; return 0 when every callback was accepted or SIGTERM stopped it, 1 when not, 130 after Ctrl-C.

    Both stop cleanly, and so does SIGHUP, like SIGTERM: requests in flight are waited for, and the ledger ends with
    `complete: false`.
    """
    start = args.start if args.start is not None else default_start(datetime.now(UTC))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_emulate(traffic_options(args), start, send_options(args), args.ledger))
    except EmulatorError as error:
        _say(str(error))
    except OSError as error:
        _say(f"--ledger {args.ledger}: {error.strerror}")
    return exit_codes.FAILED


def default_start(now: datetime) -> int:
    """Return yesterday's midnight: nothing lies in the future, and a day long the same seed gives the same bytes."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return int((midnight - timedelta(days=1)).timestamp())


async def _emulate(traffic: TrafficOptions, start: int, sending: SendOptions, file: Path | None) -> int:
    target = Target.parse(traffic.callback_url)
    await reach(target)
    with Ledger(file or Path(os.devnull)) as ledger:  # only when the target answers, since it empties the file
        return await _send(Sender(target, ledger, sending), ledger, traffic, start)


async def _send(sender: Sender, ledger: Ledger, traffic: TrafficOptions, start: int) -> int:
    stopped: list[int] = []
    for number in ending_signals():
        asyncio.get_running_loop().add_signal_handler(number, _stop, sender, stopped, number)
    ledger.open(traffic, start)
    began = monotonic()
    progress = asyncio.create_task(_progress(sender.tally))
    await sender.send(schedule(traffic, start))
    progress.cancel()
    ledger.close(complete=not stopped)
    _say(_summary(sender.tally, monotonic() - began))
    if stopped:
        return exit_codes.INTERRUPTED if signal.SIGINT in stopped else exit_codes.DONE
    return exit_codes.FAILED if sender.tally.unanswered else exit_codes.DONE


def _stop(sender: Sender, stopped: list[int], number: int) -> None:
    stopped.append(number)
    sender.stop()


async def _progress(tally: Tally) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        _say(f"{tally.over:,} callbacks over with, {tally.accepted:,} accepted")


def _summary(tally: Tally, seconds: float) -> str:
    answers = ", ".join(f"{count:,} x {answer}" for answer, count in sorted(tally.answers.items()))
    return (
        f"{tally.accepted:,} accepted, {tally.unanswered:,} never answered 200, {tally.lost:,} lost on purpose; "
        f"{tally.retried:,} sent again; {seconds:.1f} s, {tally.over / max(seconds, 0.001):,.0f}/s ({answers})"
    )


def _say(line: str) -> None:
    sys.stderr.write(f"emulate: {line}\n")
