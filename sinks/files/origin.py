"""
The topic of a table's files, in their folder: `.source.json`. A folder with the files of another topic is refused.

The names of files are positions, and these belong to one topic: one that is deleted and made anew, or is on another
Kafka, has the same name and the same offsets again, and its records would be passed over.

1. The topic is written before the first file, whole and synced. Killed before: there is no file yet.
2. Every start compares it with the topic in Kafka, name and id, and the last records of the files with those in Kafka
   (`proof`): a topic that lost its end, or came back from a backup, has the same id.
3. A folder that does not say its topic is taken on if its files fit: version 0.1.0 did not write it.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from sinks.errors import FatalError, PositionError
from sinks.files.durable import read_if_there, replace
from sinks.files.locks import lock_of
from sinks.files.proof import last_files, misfit
from sinks.source import Lookup, Origin
from streams.program.objects import Place

logger = logging.getLogger(__name__)

SOURCE_FILE: Final = ".source.json"
"""Readers of a folder leave out names that begin with a dot."""
_FORMAT: Final = 1
_LOCK_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 0.1
_WHAT_TO_DO: Final = "set SINKS_FILES_ROOT to another folder, or move this one away"

OpenLookup = Callable[[], AbstractContextManager[Lookup]]


class _Source(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(frozen=True, strict=True)

    format: int
    topic: str
    topic_id: str | None
    cluster_id: str | None


def take_on(root: Place, tables: Mapping[str, str], origins: Mapping[str, Origin], open_lookup: OpenLookup) -> None:
    """
    Make sure that each table's folder has files of its topic only, and write the topic into it.

    PositionError with a line for each folder of another topic. FatalError when a folder cannot be read or written.
    """
    found: list[str] = []
    for topic, table in tables.items():
        try:
            with _locked(root / table):
                found += _take_on_one(root, table, origins[topic], open_lookup)
        except OSError as error:
            raise FatalError(f"SINKS_FILES_ROOT={root}: {error.filename or root / table}: {error.strerror}") from error
    if found:
        raise PositionError("\n".join(found))


def _take_on_one(root: Place, table: str, origin: Origin, open_lookup: OpenLookup) -> list[str]:
    folder = root / table
    try:
        before = _content(folder / SOURCE_FILE)
    except PositionError as error:
        return [f"SINKS_FILES_ROOT={root}: {error}"]
    if problem := _problem(root, table, origin, open_lookup):
        return [problem]
    known = _read(folder)
    if known is None and last_files(folder):
        logger.warning(
            "the folder does not say its topic, and its files fit", extra={"folder": str(folder), **origin._asdict()}
        )
    kept = origin if known is None else _more_of(origin, known)
    if kept != known:
        told = _Source(format=_FORMAT, **kept._asdict()).model_dump_json().encode() + b"\n"
        try:
            replace(folder / SOURCE_FILE, before, told)
        except BlockingIOError:  # written meanwhile, by a process that began at the same moment
            return _take_on_one(root, table, origin, open_lookup)
    return []


def problems(
    root: Place, tables: Mapping[str, str], origins: Mapping[str, Origin], open_lookup: OpenLookup
) -> Iterator[str]:
    """Yield a line for each folder that has files of another topic; nothing is written."""
    for topic, table in tables.items():
        if problem := _problem(root, table, origins[topic], open_lookup):
            yield problem


def _problem(root: Place, table: str, origin: Origin, open_lookup: OpenLookup) -> str | None:
    folder = root / table
    try:
        known = _read(folder)
    except PositionError as error:
        return f"SINKS_FILES_ROOT={root}: {error}"
    if known is not None and known.replaced_by(origin):
        return f"SINKS_FILES_ROOT={root}: {folder} has files of {_told(known)}, not of {_told(origin)}: {_WHAT_TO_DO}"
    try:
        files = last_files(folder)
    except PositionError as error:
        return f"SINKS_FILES_ROOT={root}: {error}"
    if not files:
        return None
    with open_lookup() as lookup:
        why = misfit(files, table, origin.topic, lookup)
    if why is None:
        return None
    return f"SINKS_FILES_ROOT={root}: the files in {folder} are not of {_told(origin)}: {why}: {_WHAT_TO_DO}"


def _read(folder: Place) -> Origin | None:
    """Return the topic that the folder says, None when it says none. PositionError when it cannot be understood."""
    file = folder / SOURCE_FILE
    content = _content(file)
    if content is None:
        return None
    try:
        source = _Source.model_validate_json(content)
    except ValidationError:
        raise PositionError(f"{file} is damaged. Remove it: the files are then compared with the topic") from None
    if source.format != _FORMAT:
        raise PositionError(f"{file} has format {source.format}, and this version knows {_FORMAT}: use a later one")
    return Origin(source.topic, source.topic_id, source.cluster_id)


def _content(file: Place) -> bytes | None:
    try:
        return read_if_there(file)
    except OSError as error:
        raise PositionError(f"{file} cannot be read: {error.strerror}") from None


def _more_of(origin: Origin, known: Origin) -> Origin:
    """Return what Kafka tells now, and of earlier tellings the ids that it does not tell now."""
    return Origin(origin.topic, origin.topic_id or known.topic_id, origin.cluster_id or known.cluster_id)


def _told(origin: Origin) -> str:
    of_cluster = f" of the Kafka {origin.cluster_id}" if origin.cluster_id else ""
    return f"topic {origin.topic} with id {origin.topic_id or 'unknown'}{of_cluster}"


@contextmanager
def _locked(folder: Place) -> Iterator[None]:
    """Let one process at a time read and write the topic of a folder. FatalError when another one holds it for long."""
    lock = lock_of(folder, "source")
    deadline = time.monotonic() + _LOCK_SECONDS
    while not lock.acquire():
        if time.monotonic() > deadline:
            raise FatalError(
                f"{folder}: another process has held .lock-source for {_LOCK_SECONDS:.0f} s: is it frozen?"
            )
        time.sleep(_RETRY_SECONDS)
    try:
        yield
    finally:
        lock.release()
