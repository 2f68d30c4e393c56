"""
The manifest of a day, `date=2026-11-22/.manifest.json`: its files, with their rows and checksums.

Per partition it has the first and the last offset and the count. It is written last, when the day is over; later files
of the day are added to it.

1. The files of the day that no manifest names are read. A manifest speaks of a file for good: a file that
   went away, or is another one, stays named.
2. The manifest is published, whole and synced, while no process writes or reads files of the table by their names, and
   unless a file of the day was written anew since. Killed before: it is written at the next look.
3. An erasure that writes a file anew notes two checksums in `.changed-{partition}` first, synced, where there is a
   manifest: the one of now, and the new one. Killed before the file is renamed, also several times: both are right.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from sinks.errors import RetryableError
from sinks.files.contents import UNREADABLE_CONTENT, offsets_in
from sinks.files.durable import append, publish, read_if_there, replace
from sinks.files.locks import days, lock_of
from streams.program.file_names import DAYS, MANIFEST, Name, current, day_of, is_of_rows, parse_chained, parse_name
from streams.program.objects import AnyPlace, ObjectPath, Place, at, glob

Listing = dict[str, tuple[int, int, int]]
"""Name → size, time and inode."""

MARK: Final = ".compacting-"
"""How the object begins that tells that objects of a day are being joined, followed by the name of the day."""
_CHANGED: Final = ".changed-{}"
_FORMAT: Final = 1
# Records may be a batch behind: SINKS_BATCH_SECONDS is an hour at most.
_OVER: Final = timedelta(hours=1)
# Two changes may have the same time, since file systems tell it in steps.
_SETTLED_NS: Final = 10_000_000_000


class File(BaseModel):
    """A file of a day."""

    model_config = ConfigDict(frozen=True, strict=True)

    name: str
    rows: int
    bytes: int
    sha256: str
    last: int | None = None
    """The last offset, where the name does not tell it: in an object store."""


class Partition(BaseModel):
    """The files of a partition in a day, together."""

    model_config = ConfigDict(frozen=True, strict=True)

    first: int
    last: int
    count: int


class Manifest(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(frozen=True)

    format: int
    table: str
    day: date
    partitions: dict[int, Partition]
    files: list[File]
    joining: str | None = None
    """The token of a compaction that joins objects of the day, or was killed at it; its objects do not count yet."""


class DamagedManifestError(ValueError):
    """A manifest cannot be understood; the text says which."""


def read_manifest(day: Place) -> Manifest | None:
    """Return the manifest of a day, None when it has none. DamagedManifestError when it cannot be understood."""
    content = read_if_there(day / MANIFEST)
    return None if content is None else parsed_manifest(day, content)


def parsed_manifest(day: Place, content: bytes) -> Manifest:
    """Return the manifest of a day by its content; DamagedManifestError as above."""
    file = day / MANIFEST
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError:
        raise DamagedManifestError(f"{file} is damaged") from None
    if manifest.format != _FORMAT:
        raise DamagedManifestError(f"{file} has format {manifest.format}, and this version knows {_FORMAT}")
    return manifest


def manifest_of(table: str, day: date, files: Iterable[File]) -> Manifest:
    """Return the manifest of these files."""
    ordered = sorted(files, key=_place)
    partitions: dict[int, Partition] = {}
    for file in ordered:
        number, first, last = _place(file)
        known = partitions.get(number, Partition(first=first, last=last, count=0))
        partitions[number] = Partition(
            first=min(first, known.first), last=max(last, known.last), count=known.count + file.rows
        )
    return Manifest(format=_FORMAT, table=table, day=day, partitions=partitions, files=ordered)


def _place(file: File) -> tuple[int, int, int]:
    parsed = rows_of(file)
    return (parsed.partition, parsed.first, parsed.last) if parsed else (-1, -1, -1)


def rows_of(file: File) -> Name | None:
    """Return the name that a file with the rows of this one has; None when it is that of none."""
    chained = parse_chained(file.name)
    if chained is None:
        return parse_name(file.name)
    return None if file.last is None else chained.ending(file.last)


def publish_manifest(folder: Place, manifest: Manifest) -> None:
    """Write the manifest into a folder of files."""
    publish(folder, MANIFEST, written(manifest))


def written(manifest: Manifest) -> bytes:
    """Return the content of the file."""
    return manifest.model_dump_json(indent=1, exclude_none=True).encode() + b"\n"


def described(name: str, content: bytes) -> File:
    """Return what a manifest says of a file. UNREADABLE_CONTENT when it cannot be read."""
    offsets = offsets_in(content, name)
    last = offsets[-1] if offsets and parse_chained(name) else None
    return File(name=name, rows=len(offsets), bytes=len(content), sha256=sha256(content).hexdigest(), last=last)


def note_change(day: Place, partition: int, name: str, before: bytes, after: bytes) -> None:
    """Note what a file is that is about to be written anew, and what it becomes, where its day has a manifest."""
    # In an object store a manifest may be written at this moment: no lock keeps it away.
    if isinstance(day, Path) and not (day / MANIFEST).exists():
        return
    # Begun on a line of its own: a note that a crash cut short spoils no other.
    notes = [orjson.dumps({"name": name, "sha256": sha256(one).hexdigest()}) for one in (before, after)]
    append(day / _CHANGED.format(partition), b"\n%b\n%b\n" % (*notes,))


def noted_changes(day: Place) -> dict[str, list[str]]:
    """Return name → the checksums that erasures noted, in their order."""
    found: dict[str, list[str]] = {}
    for file in sorted(glob(day, _CHANGED.format("*")), key=str):
        for line in (read_if_there(file) or b"").splitlines():
            try:
                note: Mapping[str, str] = orjson.loads(line)
                found.setdefault(note["name"], []).append(note["sha256"])
            except (orjson.JSONDecodeError, KeyError, TypeError):
                continue
    return found


def right_checksums(day: Place, manifest: Manifest) -> dict[str, list[str]]:
    """Return name → the checksums that a file may have: a crash may lie between the newest notes and the change."""
    changes = noted_changes(day)
    # In an object store two sinks may erase the same object: the one that comes second has noted, too.
    newest = slice(-2, None) if isinstance(day, Path) else slice(None)
    return {file.name: [file.sha256, *changes.get(file.name, [])][newest] for file in manifest.files}


def write_manifests(
    root: AnyPlace,
    tables: Iterable[str],
    now: datetime,
    looked: dict[AnyPlace, int] | None = None,
    settled: date | None = None,
) -> list[AnyPlace]:
    """
    Write the manifest of each day that is over and has files that no manifest names; return the folders of these days.

    `looked` remembers days, each with the time of its last change: one that did not change since is not read again, and
    one of a bucket that lies before `settled` is not listed again. Another process that is doing the same is left to
    it. OSError when that cannot be done now.
    """
    added: list[AnyPlace] = []
    for folder in (at(root, table) for table in tables):
        lock = lock_of(folder, "manifest")
        if not folder.is_dir() or not lock.acquire():
            continue
        try:
            for day in days_over(folder, now):
                if _is_settled(day, looked, settled):
                    continue
                changed = _changed_at(day)
                if changed is None or (looked is not None and looked.get(day) == changed):
                    continue
                # A damaged file is told by `verify`, and its day has no manifest. A day whose files are being joined or
                # read, or whose manifest another process wrote, has its turn at the next look.
                with suppress(*UNREADABLE_CONTENT, FileNotFoundError, RetryableError, BlockingIOError):
                    added += [day] if bring_up_to_date(folder, day) else []
                    if looked is not None and time.time_ns() - changed > _SETTLED_NS:
                        looked[day] = changed
        finally:
            lock.release()
    return added


def _is_settled(day: AnyPlace, looked: Mapping[AnyPlace, int] | None, settled: date | None) -> bool:
    """Return whether a day need not be listed in this look."""
    of = day_of(day.name)
    if isinstance(day, Path) or of is None or settled is None:
        return False
    return of < settled and day in (looked or ())


def _changed_at(day: Place) -> int | None:
    """Return when a file last came, went or was replaced in a folder; None when there is no folder."""
    if isinstance(day, ObjectPath):
        return max((changed for _, changed, _ in listed_files(day).values()), default=None)
    try:
        return day.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def days_over(folder: AnyPlace, now: datetime) -> Iterator[AnyPlace]:
    """Yield the folders of the days that are over, in order."""
    last = (now.astimezone(UTC) - _OVER).date()
    for day in sorted(glob(folder, DAYS), key=str):
        if (of := day_of(day.name)) is not None and of < last:
            yield day


def bring_up_to_date(folder: Place, day: Place) -> bool:
    """
    Add the files to the manifest of a day that it does not name; return whether there were any. OSError.

    Objects that a compaction has left, or a sink that was frozen, are deleted before.
    """
    listing = listed_files(day)
    before = read_if_there(day / MANIFEST)
    try:
        known = read_manifest(day)
    except DamagedManifestError:
        return False  # `verify` tells it; written anew, it would hide what went away
    named = {file.name: file for file in known.files} if known else {}
    counting = current(listing, named if known else None) if isinstance(day, ObjectPath) else listing
    if isinstance(day, ObjectPath) and len(counting) < len(listing) and not mark_of(day).exists() and sweep(day):
        return bring_up_to_date(folder, day)
    new = [described(name, (day / name).read_bytes()) for name in counting if name not in named]
    if not new:
        return False
    with days(folder, alone=True):
        if not day.is_dir() or listed_files(day) != listing:
            return False  # at the next look
        made = manifest_of(folder.name, day_of(day.name) or date.min, [*named.values(), *new])
        if known is not None:
            made = made.model_copy(update={"joining": known.joining})
        replace(day / MANIFEST, before, written(made))
        if isinstance(day, ObjectPath) and not listed_files(day):
            (day / MANIFEST).unlink()  # the end of the day came meanwhile: nothing of it is missing
            return False
    return True


def mark_of(day: ObjectPath) -> ObjectPath:
    """Return the object that is there while objects of a day are being joined."""
    return day.parent / f"{MARK}{day.name}"


def sweep(day: ObjectPath) -> list[str] | None:
    """
    Delete the objects of a day that do not count, and return their names; None when another process is at it.

    Only for a day in which no compaction is at work: one that is ends without its joined objects.
    """
    file = day / MANIFEST
    before = read_if_there(file)
    if before is None:
        return []
    try:
        manifest = parsed_manifest(day, before)
    except DamagedManifestError:
        return None  # `verify` tells it
    if manifest.joining is not None:
        manifest = manifest.model_copy(update={"joining": None})
        if not file.swap(before, written(manifest)):
            return None
        before = written(manifest)
    listing = listed_files(day)
    counting = {*current(listing, {one.name for one in manifest.files})}
    left = [name for name in listing if name not in counting and _is_elsewhere(name, manifest)]
    # A compaction that has begun since has its token there, and may have created a listed object.
    if left and read_if_there(file) != before:
        return None
    day.unlink_all(left)
    return left


def _is_elsewhere(text: str, manifest: Manifest) -> bool:
    """Return whether the files of a manifest have all rows that an object may have which does not count."""
    name = parse_chained(text)
    if name is None or text in {file.name for file in manifest.files}:
        return False
    inside = [
        rows
        for file in manifest.files
        if (rows := rows_of(file)) is not None
        and rows.partition == name.partition
        and rows.first <= name.furthest
        and name.first <= rows.last
    ]
    is_whole = all(before.position == after.first for before, after in pairwise(inside))
    return bool(inside) and is_whole and inside[0].first <= name.first and name.furthest <= inside[-1].last


def listed_files(day: Place) -> Listing:
    """Return the files of a day, each with what changes when it is written anew."""
    if isinstance(day, ObjectPath):
        return {name: stamp for name, stamp in day.stamps().items() if is_of_rows(name)}
    found: Listing = {}
    for entry in os.scandir(day):
        if parse_name(entry.name) is not None:
            told = entry.stat()
            found[entry.name] = (told.st_size, told.st_mtime_ns, told.st_ino)
    return found
