"""
The command `routee-console`.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final

from console.errors import ConsoleError
from console.settings import ConsoleSettings, access_problems
from streams.program import exit_codes
from streams.program.brokers import kafka_file_problems
from streams.program.listening import CannotListenError, port_problems
from streams.program.logline import configure_logging
from streams.program.printable import printable_lines
from streams.program.private_files import keep_files_private
from streams.program.settings import ABOUT_SETTINGS, SettingsError, load_settings
from streams.program.version import add_version

logger = logging.getLogger(__name__)

_EXTRA: Final = ("starlette", "jinja2", "uvicorn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    given = _parser().parse_args(arguments)
    if missing := [name for name in _EXTRA if find_spec(name) is None]:
        print(
            f"{', '.join(missing)}: not installed. The console needs its extra: routee-callbacks[console]",
            file=sys.stderr,
        )
        return exit_codes.FAILED
    try:
        settings = _settings()
    except SettingsError as error:
        print(printable_lines(str(error)), file=sys.stderr)
        return exit_codes.USAGE
    configure_logging("console", settings)
    keep_files_private()
    run: Callable[[ConsoleSettings], int] = given.run
    try:
        return run(settings)
    except ConsoleError as error:
        for line in str(error).splitlines():
            logger.error(line)  # noqa: TRY400 - a line for people, a traceback says no more
        return exit_codes.FAILED
    except KeyboardInterrupt:  # `serve` takes it as SIGTERM
        return exit_codes.INTERRUPTED


def _settings() -> ConsoleSettings:
    """Return the settings; SettingsError with every problem of values, files and access at once."""
    settings = load_settings(ConsoleSettings, look=_look)
    if problems := [*access_problems(vars(settings))]:
        raise SettingsError("\n".join(problems))
    return settings


def _look(named: Mapping[str, Any]) -> list[str]:
    return [*kafka_file_problems(named), *access_problems(named)]


def serve(settings: ConsoleSettings) -> int:
    """Show the pages until SIGTERM."""
    # Starlette, Jinja2 and Kafka's client take half a second, which `--version` does not need.
    import uvloop  # noqa: PLC0415

    from console.server import serve as serve_pages  # noqa: PLC0415

    if problems := [*kafka_file_problems(vars(settings)), *port_problems(settings.endpoint, settings.admin_endpoint)]:
        raise ConsoleError("\n".join(problems))
    try:
        pages = settings.endpoint.bind()
        admin = settings.admin_endpoint.bind()
    except CannotListenError as error:
        raise ConsoleError(str(error)) from error
    with pages, admin, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_pages(settings, pages, admin))
    return exit_codes.DONE


def check(settings: ConsoleSettings) -> int:
    """Print every problem; return 0 when there is none."""
    from console.check import problems  # noqa: PLC0415 - as above

    found = list(problems(settings))
    for line in found:
        print(printable_lines(line), file=sys.stderr)
    if not found:
        print("ok")
    return exit_codes.FAILED if found else exit_codes.DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="routee-console",
        description=f"Pages for people: campaigns, messages, routes, refusals, health. {ABOUT_SETTINGS}",
    )
    add_version(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for run, about in (
        (serve, "Show the pages until SIGTERM."),
        (check, "Look at Kafka, ClickHouse, the read API and the ports; say every problem at once."),
    ):
        commands.add_parser(run.__name__, help=about, description=about).set_defaults(run=run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
