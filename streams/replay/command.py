"""
`routee-streams replay`: every partition by a process of its own, one for each core, then the stages that merge.
"""

import heapq
import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import orjson

from streams.contract.erasures import Erasure
from streams.domain.erasing import KnownErasures
from streams.errors import StreamsError, UsageError
from streams.program.archive import archive_problem
from streams.program.version import project_version
from streams.replay.kept import on_disk
from streams.replay.sources import ArchiveSource, KafkaSource, Source, known_erasures, require_topics
from streams.replay.stages import Line, Merging, PartitionReplay
from streams.replay.tables import CAMPAIGNS, MESSAGES, REJECTIONS, SMS, WINDOWS, write
from streams.settings import StreamsSettings
from streams.state.store.stores import StoreError

KAFKA: Final = "kafka"
SUMMARY: Final = "replay.json"


class Job(NamedTuple):
    """One partition to replay."""

    source: Source
    partition: int
    settings: StreamsSettings
    erasures: list[Erasure]
    """They hold from the first record on."""
    until_ms: int | None
    """Kafka's time before which the records are."""
    into: Path
    aside: Path
    """The file for its lines."""


class Replayed(NamedTuple):
    """The result of a partition."""

    partition: int
    first: int | None
    last: int | None
    records: int
    missing: int
    """Offsets between the first and the last that no record has."""
    rows: dict[str, int]


def replay(
    settings: StreamsSettings, origin: str, until_ms: int | None, into: Path, warn: Callable[[str], object]
) -> dict[str, Any]:
    """
    Write the tables into a folder, which is there when it is whole; return its summary.

    UsageError for a folder that is in use, StreamsError.
    """
    _require_new(into)
    source = _source(settings, origin)
    has_erasures = origin == KAFKA or settings.erasure_marks is not None
    erasures = known_erasures(settings) if has_erasures else []
    partitions = source.partitions()
    if not partitions:
        raise StreamsError(f"--from {origin}: it has no records")
    into = into.resolve()
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".replay-", dir=into.parent) as folder:
            tables = Path(folder) / "tables"
            tables.mkdir()
            jobs = [
                Job(source, partition, settings, erasures, until_ms, tables, Path(folder) / str(partition))
                for partition in partitions
            ]
            done = _all_of(jobs)
            rows = _merge(jobs, tables, Path(folder) / "merging")
            for one in done:
                for name, count in one.rows.items():
                    rows[name] = rows.get(name, 0) + count
            summary = {
                "version": project_version(),
                "until_ms": until_ms,
                "rows": rows,
                "partitions": {str(one.partition): [one.first, one.last, one.records] for one in done},
            }
            told = orjson.dumps(summary, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
            (tables / SUMMARY).write_bytes(told + b"\n")
            tables.replace(into)
    except OSError as error:  # of writing: a source tells its own
        raise StreamsError(f"--into {into}: {error.strerror or type(error).__name__}") from error
    except StoreError as error:
        raise StreamsError(f"--into {into}: {error}") from error
    except (BrokenProcessPool, MemoryError) as error:
        raise StreamsError("a process of the replay was killed: likely the machine is out of memory") from error
    for one in done:
        if one.missing:
            warn(f"partition {one.partition}: {one.missing} records between {one.first} and {one.last} are missing")
    return summary


def _source(settings: StreamsSettings, origin: str) -> Source:
    """Return the source of this name; UsageError for no archive, StreamsError for topics that cannot be read."""
    if origin == KAFKA:
        require_topics(settings)
        return KafkaSource(settings)
    if problem := archive_problem(origin):
        raise UsageError(f"--from {problem}")
    return ArchiveSource(origin)


def _require_new(into: Path) -> None:
    if into.is_mount():  # nothing can take its place
        raise UsageError(f"--into {into}: it is a mount, name a new folder in it")
    try:
        if any(into.iterdir()):
            raise UsageError(f"--into {into}: it is not empty, name a new folder")
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"--into {into}: {error.strerror}") from error


def _all_of(jobs: list[Job]) -> list[Replayed]:
    if len(jobs) == 1:
        return [replay_partition(jobs[0])]
    with ProcessPoolExecutor(min(len(jobs), len(os.sched_getaffinity(0))), get_context("spawn")) as pool:
        return list(pool.map(replay_partition, jobs))


def _merge(jobs: list[Job], into: Path, aside: Path) -> dict[str, int]:
    """Write the tables that are merged of all partitions; return the number of their rows."""
    with on_disk(aside) as keep:
        merging = Merging(keep)
        with ExitStack() as stack:
            lines = [_lines_of(job.aside, stack) for job in jobs]
            merging.take(heapq.merge(*lines, key=itemgetter(0, 1)))
        return {
            CAMPAIGNS.name: write(CAMPAIGNS, into, 0, merging.campaign_records()),
            WINDOWS.name: write(WINDOWS, into, 0, merging.cell_records()),
        }


def replay_partition(job: Job) -> Replayed:
    """Take in the records of a partition, and write its tables and its lines."""
    erasures = KnownErasures(job.settings.erasure_marks)
    for at, erasure in enumerate(job.erasures):
        erasures.add(at, erasure)
    with on_disk(job.aside.with_suffix(".rows")) as keep:
        stage = PartitionReplay(job.settings.policy, job.partition, erasures.all, keep)
        first, last, records = _take_in(job, stage)
        rows = {
            SMS.name: write(SMS, job.into, job.partition, stage.sms_records()),
            MESSAGES.name: write(MESSAGES, job.into, job.partition, stage.message_records()),
            REJECTIONS.name: write(REJECTIONS, job.into, job.partition, stage.rejection_records()),
        }
    missing = 0 if first is None or last is None else last - first + 1 - records
    return Replayed(job.partition, first, last, records, missing, rows)


def _take_in(job: Job, stage: PartitionReplay) -> tuple[int | None, int | None, int]:
    """Take in the records, and write the lines; return the first and the last offset, and the number of records."""
    first = last = None
    records = 0
    with job.aside.open("wb") as aside:
        for record in job.source.records(job.partition):
            if job.until_ms is not None and record.timestamp_ms >= job.until_ms:
                break
            for line in stage.take(record.offset, record.timestamp_ms, record.value):
                pickle.dump(line, aside)
            first, last, records = record.offset if first is None else first, record.offset, records + 1
        for line in stage.settle():
            pickle.dump(line, aside)
    return first, last, records


def _lines_of(file: Path, stack: ExitStack) -> Iterator[Line]:
    opened = stack.enter_context(file.open("rb"))
    while True:
        try:
            yield pickle.load(opened)  # noqa: S301 - a file of this process' own, made a moment ago
        except EOFError:
            return
