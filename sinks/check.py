"""
`routee-sinks check`: every problem that would keep a sink from working, one line each.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import verify
from sinks.clickhouse.retention import retention_differences
from sinks.errors import SinksError
from sinks.files.objects import bucket_problems, open_root
from sinks.kafka.findings import kafka_findings
from sinks.kafka.topics import KafkaLookup
from sinks.settings import SinksSettings, files_root
from sinks.tables import TABLE_OF, tables_by_topic
from streams.program.brokers import kafka_file_problems
from streams.program.kafka_problems import Findings


def problems(settings: SinksSettings, warn: Callable[[str], object]) -> Iterator[str]:
    """Yield the problems of both sinks; tells `warn` a line for each thing that is only unusual."""
    unusable = list(kafka_file_problems(vars(settings)))
    with_kafka = Findings(unusable) if unusable else _kafka(settings)
    yield from with_kafka.problems
    for line in with_kafka.warned:
        warn(line)
    yield from _clickhouse(settings)
    with_folder = list(folder_problems(settings.sinks_files_root))
    yield from with_folder
    if not with_kafka.unusable and not with_folder:
        yield from _foreign_files(settings)


def _kafka(settings: SinksSettings) -> Findings:
    try:
        return kafka_findings(settings, topics={**TABLE_OF, **settings.file_table_of})
    except SinksError as error:
        return Findings([str(error)])


def _clickhouse(settings: SinksSettings) -> Iterator[str]:
    try:
        clickhouse = connect(settings, settings.tables_database)
        try:
            yield from map(str, retention_differences(clickhouse, settings))
            verify(clickhouse)
        finally:
            clickhouse.close()
    except SinksError as error:
        yield str(error)


def _foreign_files(settings: SinksSettings) -> Iterator[str]:
    """Yield the folders with files of other topics than the ones in Kafka."""
    # Arrow takes 45 MB, which ClickHouse's sink does not need.
    from sinks.files.origin import problems  # noqa: PLC0415

    tables = tables_by_topic(settings.kafka_topic_prefix, settings.file_table_of)
    try:
        with closing(KafkaLookup(settings, [*tables])) as lookup:
            yield from problems(
                open_root(settings.sinks_files_root), tables, lookup.origins, lambda: nullcontext(lookup)
            )
    except SinksError as error:
        yield str(error)
    except OSError as error:
        yield f"SINKS_FILES_ROOT={settings.sinks_files_root}: {error.filename}: {error.strerror}"


def file_problems(named: Mapping[str, Any]) -> Iterator[str]:
    """Yield the faults of the files and the folder that settings name; `named` has the valid settings."""
    yield from kafka_file_problems(named)
    if "sinks_files_root" in named:
        yield from folder_problems(files_root(named["sinks_files_root"]))


def folder_problems(root: Path | str) -> Iterator[str]:
    """Yield why files cannot be written to the folder. Tried in the folder, or in its nearest existing parent."""
    if isinstance(root, str):
        yield from bucket_problems(root)
        return
    there = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists())
    if not there.is_dir():
        yield f"SINKS_FILES_ROOT={root}: {there} is not a folder"
        return
    try:
        with tempfile.TemporaryDirectory(dir=there):
            pass
    except OSError as error:
        yield f"SINKS_FILES_ROOT={root}: {there} cannot be written to: {error.strerror}"
