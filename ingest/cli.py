"""
The command `routee-ingest`: serve, check, backfill, redrive.
"""

import argparse
import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from ingest.backfill import arguments as backfill_arguments
from ingest.descriptors import most_connections
from ingest.errors import IngestError
from ingest.files import file_problems
from ingest.redrive import arguments as redrive_arguments
from ingest.settings import IngestSettings
from streams.program.brokers import kafka_file_problems
from streams.program.descriptors import raise_limit
from streams.program.exit_codes import DONE, FAILED, INTERRUPTED, USAGE
from streams.program.listening import CannotListenError, port_problems
from streams.program.logline import configure_logging
from streams.program.printable import printable_lines
from streams.program.private_files import keep_files_private
from streams.program.settings import ABOUT_SETTINGS, CommonSettings, SettingsError, load_settings
from streams.program.version import add_version

logger = logging.getLogger(__name__)

SettingsT = TypeVar("SettingsT", bound=CommonSettings)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command == "backfill":
        return _backfill(parser, given)
    if given.command == "redrive":
        return _redrive(parser, given)
    try:
        settings = load_settings(IngestSettings, look=file_problems)
    except SettingsError as error:
        sys.stderr.write(f"{printable_lines(str(error))}\n")
        return USAGE
    configure_logging("ingest", settings)
    try:
        return _serve(settings) if given.command == "serve" else _check(settings)
    except KeyboardInterrupt:  # before the server listens; afterwards it stops as at SIGTERM
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="routee-ingest",
        description="Takes Routee's callbacks over HTTP and answers 200 once Kafka has them.",
        epilog=f"{ABOUT_SETTINGS} See ingest/README.md.",
    )
    add_version(parser)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the HTTP server until SIGTERM")
    commands.add_parser("check", help="validate the settings, reach Kafka, name every problem")
    about = "ask Routee for the statuses that no callback told"
    backfill_arguments.add_arguments(commands.add_parser("backfill", help=about, description=about))
    about = "store refused callbacks again, as they were posted or corrected"
    redrive_arguments.add_arguments(commands.add_parser("redrive", help=about, description=about))
    return parser


def _backfill(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    from ingest.backfill.settings import BackfillSettings  # noqa: PLC0415 - the server needs none of this

    if problem := backfill_arguments.usage_problem(given):
        parser.error(problem)
    settings = _loaded(BackfillSettings)
    if settings is None:
        return USAGE
    from ingest.backfill.command import run  # noqa: PLC0415

    return _done(lambda: run(settings, given))


def _redrive(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    if problem := redrive_arguments.usage_problem(given):
        parser.error(problem)
    settings = _loaded(CommonSettings)
    if settings is None:
        return USAGE
    from ingest.redrive.command import run  # noqa: PLC0415

    return _done(lambda: run(settings, given))


def _loaded(model: type[SettingsT]) -> SettingsT | None:
    """Return the settings of a command beside the server; None after their problems were said."""
    try:
        settings = load_settings(model, look=kafka_file_problems)
    except SettingsError as error:
        sys.stderr.write(f"{printable_lines(str(error))}\n")
        return None
    configure_logging("ingest", settings)
    keep_files_private()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return settings


def _done(command: Callable[[], None]) -> int:
    """Run it; return its exit code."""
    try:
        command()
    except (IngestError, CannotListenError) as error:
        for line in str(error).splitlines():
            logger.error("%s", line)  # noqa: TRY400 - for people, the traceback says nothing more
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE


def _serve(settings: IngestSettings) -> int:
    keep_files_private()
    if settings.log_level != "debug":
        # Its errors come back as exceptions; in an outage it would log a line per attempt.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    if not settings.secrets:
        logger.warning("INGEST_SECRETS is empty: every client that reaches the port can post callbacks")
    raise_limit()
    if (most := most_connections(settings.ingest_max_connections)) < settings.ingest_max_connections:
        logger.warning("INGEST_MAX_CONNECTIONS: only %d fit into the limit of open files (ulimit -n)", most)
    if problems := _start_problems(settings):
        for problem in problems:
            logger.error("%s", problem)
        return FAILED
    try:
        return _serve_in_workers(settings) if settings.ingest_workers > 1 else _serve_here(settings)
    except (IngestError, CannotListenError) as error:
        logger.error("%s", error)  # noqa: TRY400 - one line for people, the traceback says nothing more
        return FAILED


def _start_problems(settings: IngestSettings) -> list[str]:
    """
    Return a line for each file that cannot be used, for a port that cannot be had, and for topics that must not differ.

    Differences that are only worth a warning are logged here: once, however many workers there are.
    """
    from ingest.check import start_problems  # noqa: PLC0415 - `--help` and wrong settings need none of this
    from ingest.listener import bind  # noqa: PLC0415
    from ingest.pages import endpoint  # noqa: PLC0415

    problems = list(file_problems(vars(settings)))
    with contextlib.ExitStack() as held:  # both at once: the two may be one
        try:
            held.enter_context(bind(settings))
        except IngestError as error:
            problems.append(str(error))
        problems.extend(port_problems(endpoint(settings)))
    topics = start_problems(settings)
    for line in topics.warned:
        logger.warning("%s", line)
    return problems + topics.refused


def _serve_here(settings: IngestSettings) -> int:
    from ingest.listener import bind  # noqa: PLC0415
    from ingest.metrics import Metrics  # noqa: PLC0415 - `--help` and wrong settings need none of this
    from ingest.pages import endpoint  # noqa: PLC0415
    from ingest.server import Sockets, run  # noqa: PLC0415

    run(settings, Sockets(bind(settings), endpoint(settings).bind()), Metrics())
    return DONE


def _serve_in_workers(settings: IngestSettings) -> int:
    from ingest.clock import SystemClock  # noqa: PLC0415
    from ingest.metrics import Metrics  # noqa: PLC0415
    from ingest.server import Sockets, run  # noqa: PLC0415
    from ingest.workers import Workers  # noqa: PLC0415

    def work(sockets: Sockets, metrics: Metrics, parent: int) -> int:
        try:
            run(settings, sockets, metrics, parent)
        except IngestError as error:
            logger.error("%s", error)  # noqa: TRY400 - as above
            return FAILED
        return DONE

    return Workers(settings, work, SystemClock()).run()


def _check(settings: IngestSettings) -> int:
    from ingest.check import problems  # noqa: PLC0415

    found = problems(settings)
    for line in found.warned:
        sys.stdout.write(f"warning: {printable_lines(line)}\n")
    for problem in found.problems:
        sys.stderr.write(f"{printable_lines(problem)}\n")
    if not found.problems:
        sys.stdout.write("settings are valid and Kafka has the topics\n")
    return FAILED if found.problems else DONE
