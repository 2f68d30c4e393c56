"""
`routee-sandbox`: everything on one machine.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from sandbox.disk import is_full
from sandbox.extra import missing_extra
from streams.program import exit_codes
from streams.program.printable import printable
from streams.program.private_files import keep_files_private
from streams.program.version import add_version


@dataclass(frozen=True, slots=True)
class Command:
    """
    A subcommand; its `module` has `add_arguments(parser)` and `run(args)`, which returns the exit code.

    One that runs Kafka and ClickHouse itself needs the extra `sandbox` to be installed.
    """

    name: str
    about: str
    module: str
    needs_extra: bool = False


COMMANDS = (
    Command("up", "run Kafka, ClickHouse and the three programs until Ctrl-C", "sandbox.up", needs_extra=True),
    Command(
        "demo",
        "send campaigns through all of it, watch, check every number, stop",
        "sandbox.demo.command",
        needs_extra=True,
    ),
    Command("emulate", "be Routee, for any callback URL", "sandbox.emulator.command"),
    Command("verify", "hold a running sandbox against the ledger of an emulator", "sandbox.audit.command"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 when done, 1 when it failed, 2 for wrong usage or settings, 130 when interrupted."""
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:  # before anything was started that would have to be stopped
        return exit_codes.INTERRUPTED
    except OSError as error:
        if not is_full(error):
            raise
        place = printable(str(error.filename or "the output"))
        print(f"{place}: the disk is full, free some space there", file=sys.stderr)
        return exit_codes.FAILED


def _run(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="routee-sandbox", description="The whole pipeline on this machine, with nothing but Python."
    )
    add_version(parser)
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.about, description=command.about)
        if command.name in given[:1]:  # the other modules would take a second to import
            if command.needs_extra and (line := missing_extra()):
                print(line, file=sys.stderr)
                return exit_codes.FAILED
            module = import_module(command.module)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    args = parser.parse_args(given)
    keep_files_private()
    run: Callable[[argparse.Namespace], int] = args.run
    return run(args)


if __name__ == "__main__":
    sys.exit(main())
