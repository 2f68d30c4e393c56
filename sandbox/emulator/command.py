"""
`routee-sandbox emulate`: Routee against any callback URL, until everything is accepted or given up.
"""

import asyncio
import os
import signal
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Final

import uvloop

from sandbox.emulator.arguments import add_arguments, pull_options, send_options, traffic_options
from sandbox.emulator.connection import Target
from sandbox.emulator.errors import EmulatorError, PullPortError
from sandbox.emulator.ledger import Ledger
from sandbox.emulator.pull.books import Books
from sandbox.emulator.pull.server import PullApi
from sandbox.emulator.sender import Sender, Tally, reach
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.emulator.traffic.schedule import schedule
from streams.program import exit_codes
from streams.program.printable import printable_lines
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
            return runner.run(_emulate(args, start))
    except EmulatorError as error:
        _say(str(error))
    except OSError as error:
        _say(f"--ledger {args.ledger}: {error.strerror}")
    return exit_codes.FAILED


def default_start(now: datetime) -> int:
    """Return yesterday's midnight: nothing lies in the future, and a day long the same seed gives the same bytes."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return int((midnight - timedelta(days=1)).timestamp())


async def _emulate(args: Namespace, start: int) -> int:
    traffic = traffic_options(args)
    target = Target.parse(traffic.callback_url)
    await reach(target)
    with Ledger(args.ledger or Path(os.devnull)) as ledger:  # only when the target answers, since it empties the file
        sender = Sender(target, ledger, send_options(args))
        if args.pull_port is None:
            return await _send(sender, ledger, traffic, start, _Stopping(sender))
        books = Books(traffic, start)
        stopping = _Stopping(sender)
        async with _served(PullApi(books, pull_options(args), traffic.seed), args.pull_port):
            code = await _send(sender, ledger, traffic, start, stopping, books)
            _say(f"the pull API goes on at http://127.0.0.1:{args.pull_port}, until Ctrl-C")
            await stopping.wait()
        return code


@asynccontextmanager
async def _served(pull: PullApi, port: int) -> AsyncIterator[None]:
    try:
        await pull.start(port)
    except OSError as error:
        raise PullPortError(f"--pull-port {port}: {os.strerror(error.errno or 0)}") from error
    try:
        yield
    finally:
        await pull.close()


class _Stopping:
    """The signals that came; the first stops the sender."""

    def __init__(self, sender: Sender) -> None:
        self.numbers: list[int] = []
        self._sender = sender
        self._came = asyncio.Event()
        for number in ending_signals():
            asyncio.get_running_loop().add_signal_handler(number, self._stop, number)

    async def wait(self) -> None:
        """Return once a signal has come."""
        await self._came.wait()

    def _stop(self, number: int) -> None:
        self.numbers.append(number)
        self._sender.stop()
        self._came.set()


async def _send(  # noqa: PLR0913, PLR0917 - the parts of one run
    sender: Sender, ledger: Ledger, traffic: TrafficOptions, start: int, stopping: _Stopping, books: Books | None = None
) -> int:
    ledger.open(traffic, start)
    began = monotonic()
    progress = asyncio.create_task(_progress(sender.tally))
    callbacks = schedule(traffic, start)
    await sender.send(books.follow(callbacks) if books else callbacks)
    progress.cancel()
    ledger.close(complete=not stopping.numbers)
    _say(_summary(sender.tally, monotonic() - began))
    if stopping.numbers:
        return exit_codes.INTERRUPTED if signal.SIGINT in stopping.numbers else exit_codes.DONE
    return exit_codes.FAILED if sender.tally.unanswered else exit_codes.DONE


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
    sys.stderr.write(f"emulate: {printable_lines(line)}\n")
