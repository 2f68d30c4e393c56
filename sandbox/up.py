"""
`routee-sandbox up`: the sandbox in the foreground.
"""

import argparse
import logging
import os
import signal
import sys
import time
from types import FrameType
from typing import Final, NoReturn

from sandbox.addresses import Addresses, addresses_of
from sandbox.disk import Place
from sandbox.errors import SandboxError
from sandbox.logs import Follower
from sandbox.programs import console
from sandbox.settings import SandboxSettings, file_problems
from sandbox.stack import Sandbox
from streams.program import exit_codes
from streams.program.logline import configure_logging
from streams.program.printable import printable_lines
from streams.program.settings import ABOUT_SETTINGS, SettingsError, load_settings
from streams.program.signals import ending_signals

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5
# An empty folder grows to this in a few minutes; a folder in use needs less than it has.
_STARTS_WITH_BYTES: Final = 100_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take no options: everything is said by settings."""
    parser.epilog = (
        f"{ABOUT_SETTINGS} They are SANDBOX_DIR, SANDBOX_KAFKA_PORT, SANDBOX_CLICKHOUSE_PORT, SANDBOX_KAFKA_BROKERS, "
        "and those of the programs."
    )


def run(_: argparse.Namespace) -> int:
    """
    Run everything until Ctrl-C, SIGTERM or SIGHUP, and tell each step of the start on standard error.

    When callbacks can be sent, standard output gets one line that begins with `ready`, unless it is a terminal: people
    are told the same in a table. Returns 0 after it was stopped, 1 when something did not start or the disk is full,
    2 for wrong settings, 130 when Ctrl-C came before all was ready.
    """
    try:
        settings = load_settings(SandboxSettings, look=file_problems)
    except SettingsError as error:
        sys.stderr.write(f"{printable_lines(str(error))}\n")
        return exit_codes.USAGE
    configure_logging("sandbox", settings)
    # From here on each of these raises KeyboardInterrupt; `Sandbox` stops what it started before it goes on.
    # SIGINT too: a shell starts what it puts in the background with that signal ignored.
    for number in ending_signals():
        signal.signal(number, _interrupt)
    try:
        _run(settings)
    except KeyboardInterrupt as stopped:
        return exit_codes.INTERRUPTED if stopped.args == (signal.SIGINT,) else exit_codes.DONE
    except SandboxError as error:
        sys.stderr.write(f"{printable_lines(str(error))}\n")
        return exit_codes.FAILED
    return exit_codes.DONE


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(number)


def _run(settings: SandboxSettings) -> None:
    """Return when everything was ready and was stopped; an interrupt before that is raised."""
    disk = Place(settings.sandbox_dir, f"SANDBOX_DIR={settings.sandbox_dir}", "SANDBOX_DIR")
    progress = _Progress(settings)
    with disk.watched():
        disk.require(_STARTS_WITH_BYTES)
        shown = console(addresses_of(settings))
        sandbox = Sandbox(settings, progress.tell, [shown] if shown else [])
        with sandbox:
            progress.ready(sandbox.addresses, has_console=shown is not None)
            try:
                _watch(sandbox, disk)
            except KeyboardInterrupt:
                progress.say("stopping")
        progress.say(f"stopped; all state is in {settings.sandbox_dir}")


def _watch(sandbox: Sandbox, disk: Place) -> NoReturn:
    """Show the warnings and errors of the programs, until a signal ends it."""
    follower = Follower(sandbox.logs / f"{name}.log" for name in sandbox.addresses.pages)
    while True:
        for line in follower.serious_lines():
            logger.warning("%s", line)
        disk.require()
        time.sleep(_LOOK_SECONDS)


class _Progress:
    """Tells people of a start: each step with its second, then where everything is."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._began = time.monotonic()
        self._has_begun = False

    def tell(self, step: str) -> None:
        """Say the next step, or one that is done; before the first, say what this is and how to stop it."""
        if not self._has_begun:
            self._has_begun = True
            folder = self._settings.sandbox_dir.absolute()
            self.say("Kafka, ClickHouse, ingest, streams and two sinks, on this machine")
            self.say(f"  state in    {folder}")
            self.say(f"  logs in     {folder / 'logs'}, a file for each process")
            self.say(f"  to stop     Ctrl-C, or kill {os.getpid()}")
        self.say(f"{time.monotonic() - self._began:6.1f} s  {step}")

    def ready(self, addresses: Addresses, *, has_console: bool) -> None:
        """Say where everything is."""
        self.tell("ready")
        where = addresses.console if has_console else "(the extra `console` is not installed)"
        self.say(f"  {'look at it at':18}{where}")
        for what, where in _places(addresses, self._settings):
            self.say(f"  {what:18}{where}")
        if not sys.stdout.isatty():
            sys.stdout.write(f"ready {addresses}\n")
            sys.stdout.flush()

    def say(self, line: str) -> None:
        """Write a line for people."""
        sys.stderr.write(f"{printable_lines(line)}\n")
        sys.stderr.flush()


def _places(addresses: Addresses, settings: SandboxSettings) -> list[tuple[str, str]]:
    """Return what can be done now, and where."""
    pages = addresses.pages.values()
    return [
        ("post callbacks to", addresses.shown_callback_url),
        ("ask ClickHouse at", f"{addresses.clickhouse} (database {settings.clickhouse_database})"),
        ("read Kafka at", addresses.kafka),
        ("read files in", str(addresses.files)),
        ("ask streams at", f"{addresses.streams}/sms/…, /messages/…, /campaigns/…"),
        ("see health at", "  ".join(f"{url}/readyz" for url in pages)),
        ("and metrics at", "  ".join(f"{url}/metrics" for url in pages)),
        ("send traffic with", f".venv/bin/routee-sandbox emulate --url {addresses.shown_callback_url}"),
    ]
