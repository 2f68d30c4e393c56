"""
The command `routee-sinks`, and how its parts are put together.
"""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

from sinks.check import file_problems, problems
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import create_database, migrate, verify
from sinks.clickhouse.sink import ClickHouseSink
from sinks.errors import FatalError, SinksError
from sinks.kafka.rejections import KafkaRejections
from sinks.kafka.source import KafkaSource
from sinks.metrics import Metrics, Readiness
from sinks.rejections import Flood
from sinks.settings import SinksSettings
from sinks.sink import Sink
from sinks.tables import tables_by_topic
from sinks.web import StatusServer, port_problems
from sinks.worker import Worker
from sinks.writer import Writer
from streams.program import exit_codes
from streams.program.brokers import kafka_file_problems
from streams.program.logline import configure_logging
from streams.program.settings import Look, SettingsError, load_settings
from streams.program.signals import ending_signals
from streams.program.version import add_version

logger = logging.getLogger(__name__)

# A stop takes less than 10 seconds, even if Kafka answers neither the last commit nor the leave.
DRAIN_SECONDS: Final = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    given = _parser().parse_args(arguments)
    try:
        settings = load_settings(SinksSettings, look=given.look)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE
    configure_logging("sinks", settings)
    try:
        return int(given.run(settings))
    except SinksError as error:
        for line in str(error).splitlines():
            logger.error(line)  # noqa: TRY400 - a line for people, a traceback says no more
        return exit_codes.FAILED
    except KeyboardInterrupt:  # `clickhouse` and `files` take it as SIGTERM
        return exit_codes.INTERRUPTED


def run_clickhouse(settings: SinksSettings) -> int:
    """Consume into ClickHouse until SIGTERM."""
    _require_of_machine(settings, kafka_file_problems)
    clickhouse = connect(settings)
    verify(clickhouse)
    return _consume(settings, ClickHouseSink(clickhouse))


def run_files(settings: SinksSettings) -> int:
    """Consume into files until SIGTERM."""
    _require_of_machine(settings, file_problems)
    # Arrow takes 45 MB, which ClickHouse's sink does not need.
    import pyarrow as pa  # noqa: PLC0415

    from sinks.files.sink import FileSink  # noqa: PLC0415

    # Arrow's own pool would keep the memory of the largest batch for ever.
    pa.set_memory_pool(pa.system_memory_pool())
    return _consume(
        settings, FileSink(settings.sinks_files_root, settings.sinks_files_format, settings.kafka_topic_prefix)
    )


def run_schema(settings: SinksSettings) -> int:
    """Create the database, and apply the files of the schema that it lacks."""
    anywhere = connect(settings, database="")
    create_database(anywhere, settings.clickhouse_database, settings.clickhouse_cluster)
    anywhere.close()
    clickhouse = connect(settings)
    applied = migrate(clickhouse, settings.clickhouse_cluster)
    clickhouse.close()
    logger.info(
        "schema is up to date",
        extra={"database": settings.clickhouse_database, "applied": ", ".join(applied) or "nothing"},
    )
    return exit_codes.DONE


def run_check(settings: SinksSettings) -> int:
    """Print every problem: an answer for people, not a log."""
    found = list(problems(settings))
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print("everything is there")
    return exit_codes.FAILED if found else exit_codes.DONE


def _require_of_machine(settings: SinksSettings, look: Look) -> None:
    """Raise FatalError with a line for each file or folder that cannot be used, and for a port that is taken."""
    if problems := [*look(vars(settings)), *port_problems(settings.sinks_metrics_port)]:
        raise FatalError("\n".join(problems))


def _consume(settings: SinksSettings, sink: Sink) -> int:
    stop = _stop_on_signals()
    metrics, readiness = Metrics(), Readiness()
    tables = tables_by_topic(settings.kafka_topic_prefix)
    rejections = KafkaRejections(settings)
    flood = Flood(settings.sinks_max_rejected_per_minute)
    writer = Writer(sink, rejections, tables, flood=flood, metrics=metrics, readiness=readiness)
    status = StatusServer(settings.sinks_metrics_port, metrics.registry, readiness)
    source = KafkaSource(settings, list(tables), f"{settings.kafka_topic_prefix}sinks-{sink.name}")
    worker = Worker(source, sink, writer, limits=settings.limits_of(sink.name), metrics=metrics, readiness=readiness)
    logger.info("consuming", extra={"sink": sink.name, "topics": ", ".join(tables), "metrics_port": status.port})
    try:
        worker.run(stop, DRAIN_SECONDS)
    except FatalError:
        # Only written records are committed: the next run reads the others again.
        source.close()
        raise
    finally:
        status.close()
        rejections.close()
    logger.info("stopped")
    return exit_codes.DONE


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in ending_signals():
        signal.signal(number, lambda *_: stop.set())
    return stop


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="routee-sinks",
        description="Routee's statuses from Kafka to ClickHouse or files. Settings are environment variables.",
    )
    add_version(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[SinksSettings], int], about: str, look: Look | None) -> None:
        commands.add_parser(name, help=about, description=about).set_defaults(run=run, look=look)

    command(
        "clickhouse",
        run_clickhouse,
        "Consume into ClickHouse: at least once into tables that keep one row per key.",
        kafka_file_problems,
    )
    command("files", run_files, "Consume into Parquet or NDJSON files: each record in exactly one file.", file_problems)
    command(
        "schema",
        run_schema,
        "Create the database and its tables and views; does nothing when they are up to date.",
        None,
    )
    command(
        "check",
        run_check,
        "Look at Kafka, the topics, ClickHouse, its schema and the folder; say every problem at once.",
        file_problems,
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
