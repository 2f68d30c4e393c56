"""
`routee-sandbox up`: the sandbox in the foreground.
"""

import argparse
import logging
import signal
import sys
import time
from typing import Final

from sandbox.errors import SandboxError
from sandbox.logs import Follower
from sandbox.settings import SandboxSettings
from sandbox.stack import Sandbox
from streams.program.logline import configure_logging
from streams.program.settings import SettingsError, load_settings

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take no options: everything is said by settings."""
    parser.epilog = (
        "Settings are environment variables, or lines of .env: SANDBOX_DIR, SANDBOX_KAFKA_PORT, "
        "SANDBOX_CLICKHOUSE_PORT, SANDBOX_KAFKA_BROKERS, and those of the programs."
    )


def run(_: argparse.Namespace) -> int:
    """
    Run everything until Ctrl-C or SIGTERM; print one line that begins with `ready` when callbacks can be sent.

    Returns 0 after it was stopped, 1 when something did not start, 2 for wrong settings.
    """
    try:
        settings = load_settings(SandboxSettings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure_logging("sandbox", settings)
    # From here on both signals mean the same, an interrupt; `Sandbox` stops what it started before it goes on.
    # SIGINT too: a shell starts what it puts in the background with that signal ignored.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Sandbox(settings) as sandbox:
            sys.stdout.write(f"ready {sandbox.addresses}\n")
            sys.stdout.flush()
            _watch(Follower(sandbox.logs / f"{name}.log" for name in ("ingest", "streams", *sandbox.addresses.sinks)))
    except KeyboardInterrupt:
        return 0
    except SandboxError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _watch(follower: Follower) -> None:
    """Show what the programs have to complain about, until somebody interrupts."""
    while True:
        for line in follower.serious_lines():
            log.warning("%s", line)
        time.sleep(_LOOK_SECONDS)
