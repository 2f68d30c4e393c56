"""
An end for files: folders of days that are older than SINKS_FILES_RETENTION_DAYS are removed, each as a whole.

1. The furthest position of each partition in the folder is written beside the folders of days, synced: names of files
   are positions, and a quiet partition may have no other file. Killed here: nothing is removed yet.
2. The folder is moved beside the folders of the tables: `**` of some readers finds hidden folders, too. A reader sees
   all of a day, or nothing; files that it has open stay readable. Killed here: the next pass goes on with it.
3. The renamed folder is deleted. A process that was writing a file of that day makes the folder anew, and writes again.
"""

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from sinks.files.compaction import remove_rest
from sinks.files.durable import publish
from sinks.files.layout import DAYS, day_of, parse_name
from sinks.files.locks import Lock
from sinks.files.manifest import write_manifests
from sinks.files.positions import noted_positions, position_file

logger = logging.getLogger(__name__)

_EXPIRED: Final = ".expired-"
LOOK_SECONDS: Final = 3600.0


def expire(root: Path, tables: Iterable[str], days: int, today: date) -> list[Path]:
    """
    Remove the folders of days that lie more than `days` before today, and return them; none when `days` is 0.

    Another process that is doing the same is left to it. OSError when a folder cannot be read or removed.
    """
    removed = []
    for folder in map(root.joinpath, tables) if days else ():
        lock = Lock(folder, "retention")
        if not folder.is_dir() or not lock.acquire():
            continue
        try:
            removed += _expire_table(folder, today - timedelta(days=days))
        finally:
            lock.release()
    return removed


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
    known = noted_positions(folder)
    found: dict[int, int] = {}
    for entry in os.scandir(day):
        if (name := parse_name(entry.name)) is not None:
            found[name.partition] = max(name.position, found.get(name.partition, 0))
    for partition, position in found.items():
        if position > known.get(partition, 0):
            publish(folder, position_file(partition), b"%d\n" % position)


def care_again_and_again(
    root: Path, tables: Iterable[str], days: int, seconds: float = LOOK_SECONDS
) -> Callable[[], None]:
    """
    Expire, on a thread of its own, at once and then once in so many seconds; return the function that ends it.

    Besides, write the manifests of days that are over, and remove what a compaction that was killed has left. Each of
    the three is done also when another one fails: on a full disk no manifest can be written, and files have to go.
    """
    ended, tables = threading.Event(), [*tables]
    looked: dict[Path, int] = {}

    def remove_expired() -> None:
        if removed := expire(root, tables, days, datetime.now(UTC).date()):
            logger.info("files were kept as long as they may be", extra={"folders": [*map(str, removed)]})

    steps: Sequence[Callable[[], object]] = (
        lambda: remove_rest(root),
        remove_expired,
        lambda: write_manifests(root, tables, datetime.now(UTC), looked),
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
