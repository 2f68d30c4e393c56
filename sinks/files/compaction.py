"""
`routee-sinks files compact`: the many files of a day that is over become few large ones, per partition.

1. The files are joined in `.compacting/{table}/date=…`, beside the folders of the tables, with a manifest; all is
   synced. Killed here: the rest is removed by the next compaction, or by a running sink within the hour.
2. No process writes or reads files of the table by their names meanwhile (`locks.days`): if a file of the day came,
   went or was erased since, the day is left as it is. Else both folders change places in one step, which is synced.
   Killed before or after: a reader finds the former files, or the new ones.
3. The former folder is removed ten seconds later: a reader that is listing it finds all of its names until then. Killed
   in the middle: as in 1.

A reader that lists a day's files has either the former or the new ones, each row once. One that lists before the
exchange and opens after it finds a file missing: an error, and never a gap or a double. Files that it has open stay
readable.
"""

import gzip
import shutil
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from sinks.errors import FatalError, RetryableError
from sinks.files.contents import UNREADABLE_CONTENT, offsets_in, parquet_table, places_in
from sinks.files.durable import make_folder, publish, sync
from sinks.files.exchange import exchange
from sinks.files.formats import packed, to_parquet
from sinks.files.locks import Lock, days
from sinks.files.manifest import (
    DamagedManifestError,
    File,
    Listing,
    days_over,
    described,
    listed_files,
    manifest_of,
    publish_manifest,
    read_manifest,
    right_checksums,
)
from sinks.files.proof import whole_files
from sinks.tables import RAW_CALLBACKS_TABLE
from streams.program.file_names import SUFFIXES, Name, day_of, parse_name
from streams.program.objects import Place

ASIDE: Final = ".compacting"
"""Not in the folder of a table: `**` of some readers finds hidden folders, too."""
MOST_BYTES: Final = 4 << 20
"""
Files are joined up to this size; one that is larger stays as it is. An erasure has all rows of a file in memory, which
takes up to forty times its size.
"""
GRACE_SECONDS: Final = 10.0


class _UnjoinableError(ValueError):
    """The files of a day cannot be joined; the text says why."""


class Compacted(NamedTuple):
    """The result for a day: how many files it had and has; or why it stays as it is."""

    day: Place
    before: int
    after: int
    problem: str | None = None


def compact(
    root: Path,
    tables: Iterable[str],
    now: datetime,
    most_bytes: int = MOST_BYTES,
    grace_seconds: float = GRACE_SECONDS,
) -> Iterator[Compacted]:
    """
    Compact each day that is over and has files that can be joined; yield what became of it.

    FatalError when another compaction runs, OSError when a folder cannot be written.
    """
    lock = Lock(root, "compaction")
    if not lock.acquire():
        raise FatalError(f"{root}: another process compacts these files")
    try:
        _remove_rest(root)
        former: deque[tuple[float, Path]] = deque()
        for folder in filter(Path.is_dir, map(root.joinpath, tables)):
            following = _following(folder)
            for day in days_over(folder, now):
                _remove_former(former, time.monotonic())
                if (done := _compact_day(root, day, following, most_bytes)) is not None:
                    former.append((time.monotonic() + grace_seconds, _place_of_draft(root, day)))
                    yield done
        while former:
            time.sleep(max(0.0, former[0][0] - time.monotonic()))
            _remove_former(former, time.monotonic())
        _remove_rest(root)
    except OSError:
        _remove_rest(root)  # drafts must not fill a full disk
        raise
    finally:
        lock.release()


def _remove_former(former: deque[tuple[float, Path]], now: float) -> None:
    while former and former[0][0] <= now:
        shutil.rmtree(former.popleft()[1], ignore_errors=True)


def remove_rest(root: Path) -> None:
    """Remove what a compaction that was killed has left, unless one runs."""
    lock = Lock(root, "compaction")
    if (root / ASIDE).is_dir() and lock.acquire():
        try:
            _remove_rest(root)
        finally:
            lock.release()


def _remove_rest(root: Path) -> None:
    if (root / ASIDE).is_dir():
        shutil.rmtree(root / ASIDE)


def _following(folder: Path) -> Mapping[Name, Name]:
    """
    Return file → the one of its partition with the next offsets, of any day.

    Only such two are joined: when clocks jump over midnight and back, files of another day lie between two of one day.
    The last file of a partition has none. In the archive, which has no gaps, no two are joined over one.
    """
    names = sorted(name for _, name in whole_files(folder))
    has_gaps = folder.name != RAW_CALLBACKS_TABLE
    return {
        before: after
        for before, after in pairwise(names)
        if before.partition == after.partition and (has_gaps or before.position == after.first)
    }


def _compact_day(root: Path, day: Path, following: Mapping[Name, Name], most_bytes: int) -> Compacted | None:
    listing: Listing = {}
    with suppress(FileNotFoundError):  # retention has removed it
        listing = listed_files(day)
    groups = [*_groups(listing, following, most_bytes)]
    if all(len(group) == 1 for group in groups):
        return None
    if problem := _why_not(day, listing):
        return Compacted(day, len(listing), len(listing), problem)
    try:
        draft = _draft(root, day, groups)
    except _UnjoinableError as error:
        return Compacted(day, len(listing), len(listing), str(error))
    except UNREADABLE_CONTENT as error:
        return Compacted(day, len(listing), len(listing), f"a file cannot be read: {type(error).__name__}")
    except FileNotFoundError:
        return Compacted(day, len(listing), len(listing), "files of it were moved away meanwhile")
    problem = _exchanged(day, draft, listing)
    return Compacted(day, len(listing), len(listing) if problem else len(groups), problem)


def _exchanged(day: Path, draft: Path, listing: Listing) -> str | None:
    """Let the folder of a day and its draft change places; return why not."""
    try:
        with days(day.parent, alone=True):
            # The folder may have been removed, since its days have an end.
            if not day.is_dir() or listed_files(day) != listing:
                return "files of it were written meanwhile: try again"
            exchange(draft, day)
            sync(day.parent)
            sync(draft.parent)
    except FileNotFoundError:
        return "its folder was removed meanwhile"
    except RetryableError as error:
        return str(error)
    return None


def _groups(listing: Listing, following: Mapping[Name, Name], most_bytes: int) -> Iterator[list[str]]:
    """Yield the names of the files that become one, in the order of their offsets."""
    group: list[str] = []
    size, last = 0, None
    for name, text in sorted((name, text) for text in listing if (name := parse_name(text)) is not None):
        is_next = last is not None and following.get(last) == name and last.file_format == name.file_format
        if group and not (is_next and size + listing[text][0] <= most_bytes):
            yield group
            group, size = [], 0
        group.append(text)
        size, last = size + listing[text][0], name
    if group:
        yield group


def _why_not(day: Path, listing: Listing) -> str | None:
    """Return why the files of a day cannot be joined: by that they would hide what `verify` tells."""
    try:
        manifest = read_manifest(day)
    except DamagedManifestError as error:
        return str(error)
    if missing := [file.name for file in (manifest.files if manifest else []) if file.name not in listing]:
        return f"{missing[0]} is missing: see `routee-sinks files verify`"
    names = sorted(name for text in listing if (name := parse_name(text)) is not None)
    for before, after in pairwise(names):
        if before.partition == after.partition and after.first <= before.last:
            return f"files of partition {after.partition} overlap: see `routee-sinks files verify`"
    return None


def _place_of_draft(root: Path, day: Path) -> Path:
    """Return the path of a day's new folder, which is that of the former one after the exchange."""
    return root / ASIDE / day.parent.name / day.name


def _draft(root: Path, day: Path, groups: Sequence[Sequence[str]]) -> Path:
    """Make the new folder of a day, durably, and return it."""
    manifest = read_manifest(day)
    right = right_checksums(day, manifest) if manifest else {}
    draft = _place_of_draft(root, day)
    for part in (root / ASIDE, draft.parent, draft):
        make_folder(part)
    files: list[File] = []
    for group in groups:
        contents = [(day / name).read_bytes() for name in group]
        for name, content in zip(group, contents, strict=True):
            if name in right and sha256(content).hexdigest() not in right[name]:
                raise _UnjoinableError(f"{name} is damaged: see `routee-sinks files verify`")
        name, content = (group[0], contents[0]) if len(group) == 1 else _joined(group, contents)
        publish(draft, name, content)
        files.append(described(name, content))
    publish_manifest(draft, manifest_of(day.parent.name, day_of(day.name) or date.min, files))
    return draft


def _joined(names: Sequence[str], contents: Sequence[bytes]) -> tuple[str, bytes]:
    """Return the name and the content of the file that has all rows of these. ValueError when a file has other rows."""
    parsed = [one for text in names if (one := parse_name(text)) is not None]
    first, last = parsed[0], parsed[-1]
    name = f"{first.partition}-{first.first}-{last.last}.{SUFFIXES[first.file_format]}"
    return name, joined(parsed, contents)


def joined(names: Sequence[Name], contents: Sequence[bytes], *, begins_later: bool = False) -> bytes:
    """
    Return the content that has all rows of these files; with `begins_later`, their first offsets may have no row.

    UNREADABLE_CONTENT when a file has other rows than its name says.
    """
    first, last = names[0], names[-1]
    if first.partition != last.partition:
        raise ValueError(last)
    content = _joined_parquet(contents) if first.file_format == "parquet" else _joined_ndjson(contents)
    offsets = [
        offset
        for name, one in zip(names, contents, strict=True)
        for offset in _own(name, one, begins_later=begins_later)
    ]
    if offsets_in(content, f".{SUFFIXES[first.file_format]}") != offsets:
        raise ValueError(first)
    return content


def _own(name: Name, content: bytes, *, begins_later: bool) -> list[int]:
    places = places_in(content, f".{SUFFIXES[name.file_format]}")
    offsets = [offset for _, offset in places]
    if not offsets or offsets[-1] != name.last or offsets[0] < name.first:
        raise ValueError(name)
    if offsets[0] != name.first and not begins_later:
        raise ValueError(name)
    if any(partition != name.partition for partition, _ in places):
        raise ValueError(name)
    return offsets


def _joined_parquet(contents: Sequence[bytes]) -> bytes:
    # Files of an earlier version may lack a column: its values are null, as for a reader that unites by name.
    tables = [*map(parquet_table, contents)]
    return to_parquet(pa.concat_tables(tables, promote_options="default").combine_chunks())


def _joined_ndjson(contents: Sequence[bytes]) -> bytes:
    return packed([line for content in contents for line in gzip.decompress(content).splitlines()])
