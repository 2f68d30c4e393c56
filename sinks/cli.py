"""
The command `routee-sinks`, and how its parts are put together.
"""

import argparse
import json
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from sinks.check import file_problems, problems
from sinks.clickhouse.analyst import make_analyst, require_password, user_name
from sinks.clickhouse.client import connect
from sinks.clickhouse.column_statistics import leave_out_statistics
from sinks.clickhouse.comments import apply_comments
from sinks.clickhouse.disks import disks
from sinks.clickhouse.erasure import ClickHouseErasure
from sinks.clickhouse.migrate import (
    create_database,
    mend,
    migrate,
    require_time_zone,
    spread_over_shards,
    verify_way_of_rows,
)
from sinks.clickhouse.migrate import verify as verify_schema
from sinks.clickhouse.retention import apply_retention, retention_differences
from sinks.clickhouse.sink import ClickHouseSink
from sinks.clickhouse.watch import SchemaWatch, WatchedSink
from sinks.erasing import Eraser, Erasing, ErasingSink, Store, met_none
from sinks.erasure import STORES, StoreName, UnusableNumbersError, export, read_people, verify
from sinks.errors import FatalError, SinksError, TopicError
from sinks.files.objects import open_root
from sinks.kafka.erasures import KafkaErasures
from sinks.kafka.findings import kafka_findings
from sinks.kafka.rejections import KafkaRejections
from sinks.kafka.source import KafkaSource
from sinks.kafka.topics import KafkaLookup
from sinks.metrics import Metrics, Readiness
from sinks.refused_bodies import redacted
from sinks.rejections import Flood
from sinks.settings import SinksSettings
from sinks.sink import Sink
from sinks.tables import FILE_TABLE_OF, REJECTED_CALLBACKS_TABLE, TABLE_OF, tables_by_topic
from sinks.web import StatusServer, endpoint
from sinks.worker import Worker
from sinks.writer import Writer
from streams.contract.topics import Topic
from streams.program import exit_codes
from streams.program.allocator import keep_large_buffers
from streams.program.brokers import kafka_file_problems
from streams.program.kafka_problems import Findings
from streams.program.listening import CannotListenError, port_problems
from streams.program.logline import configure_logging
from streams.program.objects import Place, below
from streams.program.printable import printable_lines
from streams.program.private_files import keep_files_private
from streams.program.settings import ABOUT_SETTINGS, Look, SettingsError, load_settings
from streams.program.signals import ending_signals
from streams.program.version import add_version
from streams.program.vitals import Disk, Vitals, disk_of

logger = logging.getLogger(__name__)

# A stop takes less than 10 seconds, even if Kafka answers neither the last commit nor the leave.
DRAIN_SECONDS: Final = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    given = _parser().parse_args(arguments)
    try:
        settings = load_settings(SinksSettings, look=given.look)
    except SettingsError as error:
        print(printable_lines(str(error)), file=sys.stderr)
        return exit_codes.USAGE
    configure_logging("sinks", settings)
    keep_files_private()
    try:
        return int(given.run(settings, **given.options(given)))
    except (UnusableNumbersError, SettingsError) as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE
    except SinksError as error:
        for line in str(error).splitlines():
            logger.error(line)  # noqa: TRY400 - a line for people, a traceback says no more
        return exit_codes.FAILED
    except KeyboardInterrupt:  # `clickhouse` and `files` take it as SIGTERM
        return exit_codes.INTERRUPTED


def run_clickhouse(settings: SinksSettings) -> int:
    """Consume into ClickHouse until SIGTERM."""
    _require_of_machine(settings, kafka_file_problems)
    metrics, readiness = Metrics(), Readiness()
    watch = SchemaWatch(metrics, readiness, partial(retention_differences, settings=settings), disks)
    tables = connect(settings, settings.tables_database)
    verify_way_of_rows(tables)
    watch.look(tables)
    watch.look_again_and_again(lambda: connect(settings, settings.tables_database))
    # On shards, a server may count the rows of others.
    written = ClickHouseSink(connect(settings)) if settings.shards else ClickHouseSink(tables, watch.note_more)
    sink = WatchedSink(written, watch, tables)
    return _consume(
        settings,
        sink,
        ClickHouseErasure(lambda: connect(settings)),
        metrics,
        readiness,
        lambda: watch.disks,
    )


def run_files(settings: SinksSettings) -> int:
    """Consume into files until SIGTERM."""
    _require_of_machine(settings, file_problems)
    prefix = settings.kafka_topic_prefix
    # Arrow takes 45 MB, which ClickHouse's sink does not need.
    import pyarrow as pa  # noqa: PLC0415

    from sinks.files.erasure import FileErasure, met_nowhere  # noqa: PLC0415
    from sinks.files.object_sink import ObjectSink  # noqa: PLC0415
    from sinks.files.origin import take_on  # noqa: PLC0415
    from sinks.files.retention import care_again_and_again  # noqa: PLC0415
    from sinks.files.sink import FileSink  # noqa: PLC0415

    # Arrow's own pool would keep the memory of the largest batch for ever.
    pa.set_memory_pool(pa.system_memory_pool())
    root, tables = open_root(settings.sinks_files_root), tables_by_topic(prefix, settings.file_table_of)

    def take_on_folders(source: KafkaSource) -> None:
        take_on(root, tables, source.origins, lambda: closing(KafkaLookup(settings, [*tables])))

    sink: FileSink | ObjectSink
    if isinstance(root, Path):
        sink = FileSink(root, settings.sinks_files_format, prefix, settings.file_table_of)
    else:
        sink = ObjectSink(root, settings.sinks_files_format, prefix, settings.file_table_of)
    met_day = sink.met_day if isinstance(sink, ObjectSink) else met_nowhere
    store = FileErasure(root, tables, lambda: sink.holding, sink.held, met_day)
    # Also of tables that SINKS_TABLES has no more: their files have the same end.
    care_again_and_again(root, FILE_TABLE_OF.values(), settings.sinks_files_retention_days)
    return _consume(
        settings,
        sink,
        store,
        Metrics(),
        Readiness(),
        lambda: disk_of("files", root) if isinstance(root, Path) else (),
        table_of=settings.file_table_of,
        before_reading=take_on_folders,
        met_others=sink.met_others if isinstance(sink, ObjectSink) else met_none,
    )


def run_files_verify(settings: SinksSettings) -> int:
    """Print for each table of files the records that it has, and each gap, overlap and damage."""
    # Arrow takes 45 MB, which ClickHouse's sink does not need.
    from sinks.files.verify import verify  # noqa: PLC0415

    root, is_right = open_root(settings.sinks_files_root), True
    with _files_at_fault(root):
        for found in verify(root, FILE_TABLE_OF.values()):
            for problem in found.problems:
                print(printable_lines(problem), file=sys.stderr)
            print(json.dumps({**found._asdict(), "problems": len(found.problems)}), flush=True)
            is_right = is_right and not found.problems
    return exit_codes.DONE if is_right else exit_codes.FAILED


def run_files_compact(settings: SinksSettings) -> int:
    """Join the files of days that are over, and print for each day what became of it."""
    # Arrow takes 45 MB, which ClickHouse's sink does not need.
    from sinks.files.compaction import compact  # noqa: PLC0415
    from sinks.files.object_compaction import compact_objects  # noqa: PLC0415

    root, is_right, now = open_root(settings.sinks_files_root), True, datetime.now(UTC)
    with _files_at_fault(root):
        tables = FILE_TABLE_OF.values()
        for done in compact(root, tables, now) if isinstance(root, Path) else compact_objects(root, tables, now):
            told = {"day": below(root, done.day), "before": done.before, "after": done.after}
            if done.problem is not None:
                is_right = False
                print(printable_lines(f"{told['day']} stays as it is: {done.problem}"), file=sys.stderr)
            print(json.dumps(told), flush=True)
    return exit_codes.DONE if is_right else exit_codes.FAILED


@contextmanager
def _files_at_fault(root: Place) -> Iterator[None]:
    """Raise FatalError for an error of the file system, or of the object store."""
    try:
        if not root.is_dir():
            raise FatalError(f"SINKS_FILES_ROOT={root}: there is no such folder")
        yield
    except OSError as error:
        raise FatalError(f"SINKS_FILES_ROOT={root}: {error.filename or root}: {error.strerror}") from error


def run_schema(settings: SinksSettings, analyst_user: str | None = None) -> int:
    """
    Create the database, apply the files of the schema that it lacks, and mend objects of the others.

    With `analyst_user`, make this user, who only reads.
    """
    if analyst_user is not None:
        require_password(settings)
    anywhere = connect(settings, database="")
    for database in dict.fromkeys((settings.clickhouse_database, settings.tables_database)):
        create_database(anywhere, database, settings.clickhouse_cluster)
    anywhere.close()
    clickhouse = connect(settings, settings.tables_database)
    require_time_zone(clickhouse)
    poorer = mend(clickhouse, settings.clickhouse_cluster)
    applied = migrate(clickhouse, settings.clickhouse_cluster)
    leave_out_statistics(clickhouse, settings.clickhouse_cluster)
    apply_comments(clickhouse, settings.clickhouse_cluster)
    if settings.shards:
        with closing(connect(settings)) as above:
            spread_over_shards(clickhouse, above)
            apply_comments(above, settings.clickhouse_cluster)
    if changed := apply_retention(clickhouse, settings):
        logger.info("rows are kept for as many days as the settings say", extra={"tables": ", ".join(changed)})
    if poorer:
        logger.warning(
            "these tables may lack rows. To bring back all that Kafka still has, stop the sinks of ClickHouse, delete "
            "their group in Kafka (see A lost database in sinks/README.md), and start them",
            extra={"tables": ", ".join(sorted(set(poorer))), "group": _group(settings, ClickHouseSink.name)},
        )
    verify_schema(clickhouse)
    if analyst_user is not None:
        make_analyst(clickhouse, settings, analyst_user)
        logger.info("the user for analysts is there", extra={"user": analyst_user})
    clickhouse.close()
    logger.info(
        "schema is up to date",
        extra={"database": settings.clickhouse_database, "applied": ", ".join(applied) or "nothing"},
    )
    return exit_codes.DONE


def _group(settings: SinksSettings, sink: str) -> str:
    return f"{settings.kafka_topic_prefix}sinks-{sink}"


def run_check(settings: SinksSettings) -> int:
    """Print every problem: an answer for people, not a log."""
    found = list(problems(settings, warn=lambda line: print(f"warning: {line}")))
    for problem in found:
        print(printable_lines(problem), file=sys.stderr)
    if not found:
        print("everything is there")
    return exit_codes.FAILED if found else exit_codes.DONE


def run_erasure_verify(settings: SinksSettings) -> int:
    """Print for each store how many rows it still has of the people on standard input."""
    people = read_people(sys.stdin)
    for counted in verify(settings, _stores(settings), people):
        print(json.dumps(counted), flush=True)
    return exit_codes.DONE


def run_erasure_export(settings: SinksSettings) -> int:
    """Print every row that the stores have of the people on standard input."""
    people = read_people(sys.stdin)
    for line in export(settings, _stores(settings), people):
        print(line.decode(), flush=True)
    return exit_codes.DONE


def _stores(settings: SinksSettings) -> Sequence[StoreName]:
    """Return the stores that settings tell of."""
    told = settings.model_fields_set
    named = {"clickhouse": any(name.startswith("clickhouse_") for name in told), "files": "sinks_files_root" in told}
    if not any(named.values()):
        logger.warning("no store is looked at: set CLICKHOUSE_URL or SINKS_FILES_ROOT, as for the sinks")
    return [store for store in STORES if named[store]]


def _require_of_machine(settings: SinksSettings, look: Look) -> None:
    """Raise FatalError with a line for each file or folder that cannot be used, and for a port that is taken."""
    if problems := [*look(vars(settings)), *port_problems(endpoint(settings))]:
        raise FatalError("\n".join(problems))


def _consume(  # noqa: PLR0913, PLR0917 - what the two sinks differ in
    settings: SinksSettings,
    written: Sink,
    store: Store,
    metrics: Metrics,
    readiness: Readiness,
    disks: Callable[[], Iterable[Disk]],
    table_of: Mapping[Topic, str] = TABLE_OF,
    before_reading: Callable[[KafkaSource], None] = lambda _: None,
    met_others: Callable[[], bool] = met_none,
) -> int:
    stop = _stop_on_signals()
    keep_large_buffers()
    tables = tables_by_topic(settings.kafka_topic_prefix, table_of)
    group = _group(settings, written.name)
    found = _require_usable_topics(settings, group, table_of)
    erasures, erasing = KafkaErasures(settings), Erasing(settings.erasure_marks)
    # Before the first record is read.
    erasing.add(erasures.all())
    eraser = Eraser(erasing, erasures, store, metrics=metrics, readiness=readiness)
    sink = ErasingSink(written, eraser.erase_again, met_others)
    rejections = KafkaRejections(settings)
    flood = Flood(settings.sinks_max_rejected_per_minute)
    refine = {REJECTED_CALLBACKS_TABLE: redacted} if settings.sinks_refused_bodies == "redacted" else {}
    writer = Writer(
        sink,
        rejections,
        tables,
        flood=flood,
        metrics=metrics,
        readiness=readiness,
        erasing=erasing,
        refine=refine,
    )
    status = StatusServer(_bind(settings), metrics.registry, readiness, Vitals(f"sinks-{written.name}", disks))
    source = KafkaSource(settings, list(tables), group)
    worker = Worker(source, sink, writer, limits=settings.limits_of(sink.name), metrics=metrics, readiness=readiness)
    # A reader that stays away because records may be lost loses more.
    for line in (*found.refused, *found.warned):
        logger.warning("%s", line)
    eraser.start()
    try:
        before_reading(source)
        logger.info("consuming", extra={"sink": sink.name, "topics": ", ".join(tables), "admin_port": status.port})
        worker.run(stop, DRAIN_SECONDS)
    except FatalError:
        # Only written records are committed: the next run reads the others again.
        source.close()
        raise
    finally:
        eraser.close()
        status.close()
        rejections.close()
    logger.info("stopped")
    return exit_codes.DONE


def _bind(settings: SinksSettings) -> socket.socket:
    try:
        return endpoint(settings).bind()
    except CannotListenError as error:
        raise FatalError(str(error)) from error


def _require_usable_topics(settings: SinksSettings, group: str, topics: Collection[Topic]) -> Findings:
    """Return the findings about Kafka. TopicError for topics and permissions without which a sink cannot work."""
    found = kafka_findings(settings, group, topics)
    if found.unusable:
        raise TopicError("\n".join(found.unusable))
    return found


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in ending_signals():
        signal.signal(number, lambda *_: stop.set())
    return stop


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="routee-sinks",
        description=f"Routee's statuses from Kafka to ClickHouse or files. {ABOUT_SETTINGS}",
    )
    add_version(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[..., int], about: str, look: Look | None, options: Sequence[str] = ()
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about)
        made.set_defaults(run=run, look=look, options=lambda given: {name: getattr(given, name) for name in options})
        return made

    command(
        "clickhouse",
        run_clickhouse,
        "Consume into ClickHouse: at least once into tables that keep one row per key.",
        kafka_file_problems,
    )
    files = command(
        "files", run_files, "Consume into Parquet or NDJSON files: each record in exactly one file.", file_problems
    )
    command(
        "schema",
        run_schema,
        "Create the database, its tables and views, and what is missing of them; does nothing when all is there.",
        None,
        ["analyst_user"],
    ).add_argument(
        "--analyst-user",
        metavar="NAME",
        type=user_name,
        help="besides, make a user who only reads, within limits; CLICKHOUSE_ANALYST_PASSWORD is the password",
    )
    command(
        "check",
        run_check,
        "Look at Kafka, the topics, ClickHouse, its schema and the folder; say every problem at once.",
        file_problems,
    )
    programs = commands
    commands = files.add_subparsers(metavar="COMMAND")
    command(
        "verify",
        run_files_verify,
        "Look into every file: say each gap, overlap and damage. Without Kafka.",
        None,
    )
    command(
        "compact",
        run_files_compact,
        "Join the many files of each day that is over into few large ones. Without Kafka.",
        None,
    )
    erasure = programs.add_parser("erasure", help="The data that the stores have of people: to prove, to show.")
    commands = erasure.add_subparsers(required=True, metavar="COMMAND")
    command(
        "verify",
        run_erasure_verify,
        "Count the rows that the stores still have of people: their numbers on standard input, one a line.",
        kafka_file_problems,
    )
    command(
        "export",
        run_erasure_export,
        "Print every row that the stores have of people as NDJSON: their numbers on standard input, one a line.",
        kafka_file_problems,
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
