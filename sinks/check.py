"""
`routee-sinks check`: every problem that would keep a sink from working, one line each.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import verify
from sinks.errors import SinksError
from sinks.kafka.source import check_topics
from sinks.kafka.topic_settings import topic_settings
from sinks.settings import SinksSettings
from sinks.tables import tables_by_topic
from streams.contract.topics import SINKS_REJECTED
from streams.program.brokers import kafka_file_problems


def problems(settings: SinksSettings, warn: Callable[[str], object]) -> Iterator[str]:
    """Yield the problems of both sinks; tells `warn` a line for each thing that is only unusual."""
    wrong_files = list(kafka_file_problems(vars(settings)))
    yield from wrong_files or _topics(settings, warn)
    yield from _clickhouse(settings)
    yield from folder_problems(settings.sinks_files_root)


def _topics(settings: SinksSettings, warn: Callable[[str], object]) -> Iterator[str]:
    prefix = settings.kafka_topic_prefix
    yield from check_topics(settings, [*tables_by_topic(prefix), SINKS_REJECTED.name(prefix)])
    found = topic_settings(settings)
    yield from found.refused
    for line in found.warned:
        warn(line)


def _clickhouse(settings: SinksSettings) -> Iterator[str]:
    try:
        clickhouse = connect(settings)
        try:
            verify(clickhouse)
        finally:
            clickhouse.close()
    except SinksError as error:
        yield str(error)


def file_problems(named: Mapping[str, Any]) -> Iterator[str]:
    """Yield the faults of the files and the folder that settings name; `named` has the valid settings."""
    yield from kafka_file_problems(named)
    if "sinks_files_root" in named:
        yield from folder_problems(Path(named["sinks_files_root"]))


def folder_problems(root: Path) -> Iterator[str]:
    """Yield why files cannot be written to the folder. Tried in the folder, or in its nearest existing parent."""
    there = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists())
    if not there.is_dir():
        yield f"SINKS_FILES_ROOT={root}: {there} is not a folder"
        return
    try:
        with tempfile.TemporaryDirectory(dir=there):
            pass
    except OSError as error:
        yield f"SINKS_FILES_ROOT={root}: {there} cannot be written to: {error.strerror}"
