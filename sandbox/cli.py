"""
`routee-sandbox`: everything on one machine.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox import up
from sandbox.demo import command as demo
from sandbox.emulator import arguments as emulator_arguments
from sandbox.emulator import command as emulator


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand: its options, and what it does with them; `run` returns the exit code."""

    name: str
    about: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS = (
    Command("up", "run Kafka, ClickHouse and the three programs until Ctrl-C", up.add_arguments, up.run),
    Command("demo", "send campaigns through all of it, watch, check every number, stop", demo.add_arguments, demo.run),
    Command("emulate", "be Routee, for any callback URL", emulator_arguments.add_arguments, emulator.run),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 when done, 1 when it failed, 2 for wrong usage or settings."""
    parser = argparse.ArgumentParser(
        prog="routee-sandbox", description="The whole pipeline on this machine, with nothing but Python."
    )
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.about, description=command.about)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    given = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = given.run
    return run(given)


if __name__ == "__main__":
    sys.exit(main())
