"""
An end for files: folders of days that are older than SINKS_FILES_RETENTION_DAYS are removed, each as a whole.

1. The furthest position of each partition in the folder is written beside the folders of days, synced: names of files
   are positions, and a quiet partition may have no other file. Killed here: nothing is removed yet.
2. The folder is moved beside the folders of the tables: `**` of some readers finds hidden folders, too. A reader sees
   all of a day, or nothing; files that it has open stay readable. Killed here: the next pass goes on with it.
3. The renamed folder is deleted. A process that was writing a file of that day makes the folder anew, and writes again.

In an object store nothing can be renamed: after 1 the objects of a day are deleted, a thousand a request, its manifest
first. Killed in the middle: the next pass goes on with it.
"""

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from errno import EIO
from itertools import count
from pathlib import Path
from typing import Final

from sinks.files.compaction import remove_rest
from sinks.files.contents import UNREADABLE_CONTENT
from sinks.files.durable import read_if_there, replace
from sinks.files.locks import lock_of
from sinks.files.manifest import write_manifests
from sinks.files.object_compaction import clear
from sinks.files.positions import position_file
from sinks.files.proof import last_offset, place_of
from streams.program.file_names import DAYS, MANIFEST, day_of, parse_chained, parse_name
from streams.program.joined import current_objects, named_objects
from streams.program.objects import ObjectPath, Place

logger = logging.getLogger(__name__)

_EXPIRED: Final = ".expired-"
LOOK_SECONDS: Final = 3600.0
_LOOKS_A_DAY: Final = 24
_RECENT_DAYS: Final = 7
"""Older days of a bucket, whose objects a look has to list, are looked at once a day."""


def expire(root: Place, tables: Iterable[str], days: int, today: date) -> list[Place]:
    """
    Remove the folders of days that lie more than `days` before today, and return them; none when `days` is 0.

    Another process that is doing the same is left to it. OSError when a folder cannot be read or removed.
    """
    removed: list[Place] = []
    for folder in (root / table for table in tables) if days else ():
        lock = lock_of(folder, "retention")
        if not folder.is_dir() or not lock.acquire():
            continue
        try:
            oldest = today - timedelta(days=days)
            removed += (
                _expire_objects(folder, oldest) if isinstance(folder, ObjectPath) else _expire_table(folder, oldest)
            )
        finally:
            lock.release()
    return removed


def _expire_objects(folder: ObjectPath, oldest: date) -> list[ObjectPath]:
    due = [day for day in folder.glob(DAYS) if (of := day_of(day.name)) is not None and of < oldest]
    for day in due:
        _note(folder, _ends(folder, day))
        # Without it no object of the day is missed by `verify`.
        (day / MANIFEST).unlink()
        day.unlink_all(sorted(file.name for file in day.iterdir()))
        # Another process may have written it anew meanwhile.
        (day / MANIFEST).unlink()
    return due


def _ends(folder: ObjectPath, day: ObjectPath) -> dict[int, int]:
    """Return the position of each partition after its objects of a day; the manifest tells it, or the last object."""
    last: dict[int, ObjectPath] = {}
    for file in current_objects(day):
        if (name := parse_chained(file.name)) is not None:
            last[name.partition] = max(last.get(name.partition, file), file, key=place_of)
    named = named_objects(day) or {}
    ends: dict[int, int] = {}
    for number, file in last.items():
        end = named.get(file.name)
        try:
            ends[number] = 1 + (last_offset(file) if end is None else end)
        except UNREADABLE_CONTENT as error:
            raise OSError(EIO, f"its last object cannot be read: {type(error).__name__}", str(folder)) from error
    return ends


def _expire_table(folder: Path, oldest: date) -> list[Path]:
    # Until 0.2.0 they were in the folder of the table.
    for left in (*folder.glob(f"{_EXPIRED}*"), *folder.parent.glob(f"{_EXPIRED}{folder.name}-*")):
        shutil.rmtree(left)
    due = [day for day in sorted(folder.glob(DAYS)) if (of := day_of(day.name)) is not None and of < oldest]
    for day in due:
        _note_positions(folder, day)
        hidden = folder.parent / f"{_EXPIRED}{folder.name}-{day.name}"
        day.rename(hidden)
        shutil.rmtree(hidden)
    return due


def _note_positions(folder: Path, day: Path) -> None:
    found: dict[int, int] = {}
    for entry in os.scandir(day):
        if (name := parse_name(entry.name)) is not None:
            found[name.partition] = max(name.position, found.get(name.partition, 0))
    _note(folder, found)


def _note(folder: Place, found: Mapping[int, int]) -> None:
    for partition, position in found.items():
        file = folder / position_file(partition)
        if position > int((before := read_if_there(file)) or 0):
            replace(file, before, b"%d\n" % position)


def care_again_and_again(
    root: Place, tables: Iterable[str], days: int, seconds: float = LOOK_SECONDS
) -> Callable[[], None]:
    """
    Expire, on a thread of its own, at once and then once in so many seconds; return the function that ends it.

    Besides, write the manifests of days that are over, and remove what a compaction that was killed has left. Each of
    the three is done also when another one fails: on a full disk no manifest can be written, and files have to go.
    """
    ended, tables = threading.Event(), [*tables]
    looked: dict[Place, int] = {}
    looks = count()

    def remove_expired() -> None:
        if removed := expire(root, tables, days, datetime.now(UTC).date()):
            logger.info("files were kept as long as they may be", extra={"folders": [*map(str, removed)]})

    def write() -> None:
        now = datetime.now(UTC)
        settled = None if next(looks) % _LOOKS_A_DAY == 0 else now.date() - timedelta(days=_RECENT_DAYS)
        write_manifests(root, tables, now, looked, settled)

    steps: Sequence[Callable[[], object]] = (
        lambda: remove_rest(root) if isinstance(root, Path) else clear(root, tables),
        remove_expired,
        write,
    )

    def run() -> None:
        while True:
            for step in steps:
                try:
                    step()
                except OSError as error:
                    logger.warning("files are not looked after: %s: %s", error.filename, error.strerror)
            if ended.wait(seconds):
                return

    threading.Thread(target=run, name="retention", daemon=True).start()
    return ended.set
