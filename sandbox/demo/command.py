"""
`routee-sandbox demo`.
"""

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sandbox.addresses import addresses_of
from sandbox.audit.audit import Audit
from sandbox.audit.errors import AuditError
from sandbox.demo import alarms
from sandbox.demo.queries import QUERIES
from sandbox.demo.run import Look, Run, SwallowOne, traffic_options
from sandbox.demo.screen import Screen, difference_lines, healed_line, verdict_lines
from sandbox.disk import Place
from sandbox.emulator.arguments import at_least_one, command_line
from sandbox.emulator.command import default_start
from sandbox.emulator.errors import EmulatorError
from sandbox.emulator.sender import Tally
from sandbox.emulator.traffic.model import Callback
from sandbox.emulator.traffic.options import TrafficOptions
from sandbox.errors import SandboxError, StartError
from sandbox.programs import console
from sandbox.stack import Sandbox
from sandbox.temporary import RULES, temporary_settings
from streams.program import exit_codes
from streams.program.logline import configure_logging
from streams.program.settings import SettingsError
from streams.program.signals import ending_signals

_RATE: Final = 1500.0
_LOOK_SECONDS: Final = 1.0
# The demo leaves 75 MB as it stands, and more the more recipients it is given.
_NEEDED_BYTES: Final = 150_000_000

_ITS_URL: Final = "http://127.0.0.1:8080/callbacks"
_RECONCILIATION: Final = """\
reconciliation: what was counted from single callbacks against Routee's own last report. It is `mixed` where an SMS
got a second, different final status after that report, or in the same second as the first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `demo`."""
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="same seed, same traffic (%(default)s)")
    parser.add_argument(
        "--recipients", type=at_least_one, default=1500, metavar="N", help="of each of four campaigns (%(default)s)"
    )
    parser.add_argument(
        "--swallow-one",
        action="store_true",
        help="lose one callback silently, and ask Routee for nothing: the check must find it, and the demo fail",
    )
    parser.add_argument(
        "--console",
        action="store_true",
        help="show all of it in the console, and leave everything running until Ctrl-C",
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder with all data, logs and the ledger")


def run(args: argparse.Namespace) -> int:
    """
    Run the demo; return 0 only if every number agrees with the ledger, 130 when it was interrupted, 1 otherwise.

    No process is left running on any way out, and the folder stays only with `--keep`.
    """
    screen = Screen()
    for ending in ending_signals():
        if signal.getsignal(ending) is signal.SIG_DFL:
            signal.signal(ending, signal.default_int_handler)
    os.environ.update(RULES)
    try:
        with _folder(keep=args.keep) as folder:
            return _demo(screen, folder, args)
    except KeyboardInterrupt:
        screen.failed("interrupted; everything is stopped")
        return exit_codes.INTERRUPTED
    except (SandboxError, SettingsError, EmulatorError, AuditError) as error:
        screen.failed(str(error))
    return exit_codes.FAILED


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix="routee-demo-"))
    except OSError as error:
        raise StartError(f"a temporary folder can not be made: {error.strerror}; set TMPDIR to another one") from error
    try:
        yield folder
    finally:
        if keep:
            sys.stderr.write(f"kept: {folder}\n")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _demo(screen: Screen, folder: Path, args: argparse.Namespace) -> int:
    disk = Place(folder, f"the temporary folder {folder}", "TMPDIR")
    with disk.watched():
        disk.require(_NEEDED_BYTES)
        return _in_sandbox(screen, folder, disk, args)


def _in_sandbox(screen: Screen, folder: Path, disk: Place, args: argparse.Namespace) -> int:
    settings = temporary_settings(folder)
    configure_logging("sandbox", settings)
    logging.getLogger("kafka").setLevel(logging.ERROR)  # its complaints of a busy machine would break the picture
    screen.title(args.seed)
    began = time.monotonic()
    with screen.step("Starting Kafka, ClickHouse, ingest, streams and two sinks") as tell:
        shown = console(addresses_of(settings)) if args.console else None
        sandbox = Sandbox(settings, tell, [shown] if shown else [])
        sandbox.start()
    try:
        screen.done(f"Kafka, ClickHouse, ingest, streams and two sinks are up after {time.monotonic() - began:.1f} s")
        if args.console:
            screen.hint(f"Look at {sandbox.addresses.console}" if shown else "The extra `console` is not installed.")
        code = _watched(screen, sandbox, disk, args)
        if shown:
            _leave_running(screen, sandbox, disk)
        return code
    finally:
        with screen.step("Stopping"):
            sandbox.stop()


def _leave_running(screen: Screen, sandbox: Sandbox, disk: Place) -> None:
    """Return when a person ends it."""
    screen.heading("Look at it", "everything runs until Ctrl-C")
    screen.command(sandbox.addresses.console)
    try:
        while True:
            disk.require()
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        return


def _watched(screen: Screen, sandbox: Sandbox, disk: Place, args: argparse.Namespace) -> int:
    traffic = traffic_options(args.seed, sandbox.addresses.callback_url, args.recipients)
    demo = Run(sandbox, traffic, default_start(datetime.now(UTC)), _RATE)
    swallow = SwallowOne() if args.swallow_one else None
    screen.heading(
        f"Routee sends {traffic.campaigns} campaigns to {traffic.recipients:,} each, and {traffic.singles} single SMS",
        "many twice, out of order, in parts; one callback in twenty never comes, and none during an outage",
    )
    tally = _send(screen, demo, disk, swallow or demo.losses())
    requests = None if swallow else _heal(screen, demo)
    with screen.step("Comparing every row with the ledger, once nothing has moved for 6 s"):
        audit = demo.audit(backfilled=swallow is None)
    disk.require()

    screen.heading("Campaigns, as ClickHouse has them", "SELECT … FROM campaigns")
    screen.table(demo.table())
    screen.hint(_RECONCILIATION)
    screen.heading("Checked against the emulator's ledger", "it knows what must come of every accepted callback")
    if swallow:
        screen.hint(f"One callback about SMS {swallow.sms_key} was answered 200 and thrown away: it must be missed.")
    if audit.differences:
        _disagree(screen, audit)
        return exit_codes.FAILED
    for line in verdict_lines(audit, tally):
        screen.done(line)
    if requests:
        screen.done(healed_line(tally, demo.healed(), requests))
    _alarm(screen, args.seed)
    _what_next(screen, demo, traffic)
    return exit_codes.DONE


def _heal(screen: Screen, demo: Run) -> int:
    with screen.step("Asking Routee for what no callback told: routee-ingest backfill"):
        return asyncio.run(demo.heal())


def _alarm(screen: Screen, seed: int) -> None:
    screen.heading(
        f"An operator breaks, in {alarms.HOURS} hours of simulated time",
        f"{alarms.SINGLES:,} SMS by the seed, through the rules of streams alone: routee-streams alarms rehearse",
    )
    with screen.step("Letting the day pass"):
        told = alarms.rehearse(seed)
    for line in alarms.lines(told):
        screen.done(line)
    if not told.alarms:
        screen.hint("No alarm was told: the traffic of this seed is too little for this break.")


def _send(screen: Screen, demo: Run, disk: Place, swallow: Callable[[Callback], bool] | None) -> Tally:
    with screen.campaigns(demo.campaigns) as show:

        def look(now: Look) -> None:
            disk.require()
            show(now)

        tally = asyncio.run(demo.send(look, swallow))
    again = f"{tally.retried:,} of them only after another try" if tally.retried else "all at the first try"
    screen.done(f"{tally.arrived:,} callbacks accepted, {again}")
    return tally


def _disagree(screen: Screen, audit: Audit) -> None:
    for line in difference_lines(audit):
        screen.failed(line)
    screen.failed(f"{len(audit.differences):,} numbers do not agree with the ledger")


def _what_next(screen: Screen, demo: Run, traffic: TrafficOptions) -> None:
    for query in QUERIES:
        screen.answers(query.question, query.sql, list(demo.clickhouse.rows(query.sql)))
    screen.heading("Ask yourself", "the same traffic, in a sandbox that stays up")
    screen.command("make demo-console    # or this traffic in the console, with everything left running")
    screen.command("make sandbox")
    screen.command(f".venv/bin/{command_line(replace(traffic, callback_url=_ITS_URL))}")
    screen.command("curl http://127.0.0.1:8123 -d 'SELECT * FROM routee.latency_by_operator FORMAT PrettyCompact'")
