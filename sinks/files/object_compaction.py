"""
`routee-sinks files compact` in a bucket: the many objects of a day that is over become few large ones, by its manifest.

No store exchanges many objects for one in one step, so the manifest does: it is one object, and is written if it is as
it was read. In these steps, for each day:

1. `.compacting-date=…` is created beside the days, unless it is there: another compaction is at work, or was killed.
   Killed here: as after 3.
2. The manifest is written with a token that no other compaction has. From here on another one, or an end of this one
   by `clear`, makes step 4 fail.
3. The joined objects are created, each with the token in its name. Readers that go by the manifest do not know them.
   Killed here: the next compaction, or a running sink within the hour, deletes them (`clear`; `manifest.sweep` where
   `.compacting-date=…` is gone).
4. When no object that was read has been written anew since, the manifest is written with the joined ones in place of
   those. This is the one step that counts: by the manifest each row is there once, before and after it. When its answer
   is lost the manifest tells whether it was made. No object that it names is deleted.
5. The former objects are deleted ten seconds later: a reader that has just read the manifest finds them until then.
   Killed before or in the middle: as in 3; a joined object that the manifest names counts more than others within its
   offsets (`file_names.current`).
6. `.compacting-date=…` is deleted, unless it is that of another compaction by now.

A reader by glob finds rows twice from 3 to 5, and never a gap.

An erasure looks at every object, also at one that does not count. One that is written anew between 3 and 4 makes 4
fail; one that is written anew after that has had a joined object beside it, which the same look finds.

A name that is deleted could be created again, by a sink that was frozen since before its day was over. So a sink whose
last write is more than five seconds old looks after it whether the manifest has a joined object there (`object_sink`),
and takes its own object for one that it met: a name is deleted ten seconds after the manifest names the joined object.
"""

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from typing import Final, NamedTuple

from sinks.files.compaction import GRACE_SECONDS, MOST_BYTES, Compacted, joined
from sinks.files.contents import UNREADABLE_CONTENT
from sinks.files.durable import read_if_there
from sinks.files.manifest import (
    MARK,
    DamagedManifestError,
    File,
    Listing,
    Manifest,
    bring_up_to_date,
    days_over,
    described,
    listed_files,
    manifest_of,
    mark_of,
    parsed_manifest,
    right_checksums,
    rows_of,
    sweep,
    written,
)
from sinks.tables import RAW_CALLBACKS_TABLE
from streams.program.file_names import MANIFEST, Name, joined_name
from streams.program.objects import ObjectPath

_DEAD_SECONDS: Final = 900.0
"""A compaction that has written nothing for so long is taken for dead; if it is not, its manifest is not written."""
_READERS: Final = 16


class _FailedError(Exception):
    """A day stays as it is; the text says why."""


class _Due(NamedTuple):
    """Objects to delete."""

    at: float
    day: ObjectPath
    names: list[str]
    token: bytes


def compact_objects(
    root: ObjectPath,
    tables: Iterable[str],
    now: datetime,
    most_bytes: int = MOST_BYTES,
    grace_seconds: float = GRACE_SECONDS,
) -> Iterator[Compacted]:
    """Compact each day that is over and has objects that can be joined; yield what became of it. OSError."""
    named = [*tables]
    clear(root, named)
    former: deque[_Due] = deque()
    for folder in (root / table for table in named):
        for day in days_over(folder, now):
            _delete_due(former, time.monotonic())
            joining = _Joining(day, most_bytes)
            done = joining.compact()
            if joining.former:
                former.append(_Due(time.monotonic() + grace_seconds, day, joining.former, joining.token.encode()))
            if done is not None:
                yield done
    while former:
        time.sleep(max(0.0, former[0].at - time.monotonic()))
        _delete_due(former, time.monotonic())


def _delete_due(former: deque[_Due], now: float) -> None:
    while former and former[0].at <= now:
        due = former.popleft()
        due.day.unlink_all(due.names)
        _unmark(due.day, due.token)


def _unmark(day: ObjectPath, token: bytes) -> None:
    """Delete the mark of a compaction; another one may have taken it for dead, and have its own there by now."""
    mark = mark_of(day)
    if read_if_there(mark) == token:
        mark.unlink()


def clear(root: ObjectPath, tables: Iterable[str], dead_seconds: float = _DEAD_SECONDS) -> None:
    """End what compactions that were killed have begun, or have not ended. One request a table, when there are none."""
    for folder in (root / table for table in tables):
        for name, (_, written_ns, _) in folder.stamps().items():
            if name.startswith(MARK) and time.time_ns() - written_ns > dead_seconds * 1e9:
                _clear(folder / name.removeprefix(MARK))


def _clear(day: ObjectPath) -> None:
    token = read_if_there(mark_of(day))
    if token is not None and sweep(day) is not None:
        _unmark(day, token)


class _Joining:
    """The compaction of one day; `former` are the objects to delete when it has come to its end."""

    def __init__(self, day: ObjectPath, most_bytes: int) -> None:
        self._day = day
        self._most_bytes = most_bytes
        self.token = os.urandom(4).hex()
        self.former: list[str] = []

    def compact(self) -> Compacted | None:
        """Join the objects of the day; return what became of it, None when there is nothing to join."""
        day, before = self._day, 0
        try:
            bring_up_to_date(day.parent, day)
            content = read_if_there(day / MANIFEST)
            if content is None:
                return None  # it has no rows, or its end came meanwhile
            manifest, listing = parsed_manifest(day, content), listed_files(day)
            groups, before = [*_groups(manifest, listing, self._most_bytes)], len(manifest.files)
            if len(groups) == before:
                return None
            self._join(content, manifest, listing, groups)
            problem = None
        except (_FailedError, DamagedManifestError) as error:
            problem = str(error)
        except (BlockingIOError, FileNotFoundError):
            problem = _WRITTEN
        except UNREADABLE_CONTENT as error:
            problem = f"an object cannot be read: {type(error).__name__}"
        return Compacted(day, before, before if problem else len(groups), problem)

    def _join(self, content: bytes, manifest: Manifest, listing: Listing, groups: Sequence[Sequence[File]]) -> None:
        day, mark = self._day, mark_of(self._day)
        _require_whole(manifest, listing)
        if not _created(mark, self.token.encode()):
            raise _FailedError(_AT_WORK)
        made: list[File] = []
        try:
            planned = written(manifest.model_copy(update={"joining": self.token}))
            _swap(day, content, planned)
            right = right_checksums(day, manifest)
            for group in groups:
                if len(group) > 1:
                    self._create(group, right, made)
                    _refresh(mark, self.token.encode())
            former = {file.name for group in groups if len(group) > 1 for file in group}
            _require_same(listing, listed_files(day), former)
            left = [file for file in manifest.files if file.name not in former]
            after = written(manifest_of(manifest.table, manifest.day, [*left, *made]))
            _swap(day, planned, after, made)
        except (_FailedError, *UNREADABLE_CONTENT, FileNotFoundError):
            named = _named(day)
            if named is not None:
                day.unlink_all(file.name for file in made if file.name not in named)
            _unmark(day, self.token.encode())
            raise
        self.former = sorted(former)

    def _create(self, group: Sequence[File], right: Mapping[str, list[str]], made: list[File]) -> None:
        """Create the object that has the rows of these, and add before what a manifest says of it."""
        names = [name for file in group if (name := rows_of(file)) is not None]
        with ThreadPoolExecutor(_READERS) as pool:
            contents = [*pool.map(lambda file: (self._day / file.name).read_bytes(), group)]
        for file, content in zip(group, contents, strict=True):
            if sha256(content).hexdigest() not in right[file.name]:
                raise _FailedError(f"{file.name} is damaged: see `routee-sinks files verify`")
        content = joined(names, contents, begins_later=True)
        rows = Name(names[0].partition, names[0].first, names[-1].last, names[0].file_format)
        text = joined_name(rows, self.token)
        made.append(described(text, content))
        if not _created(self._day / text, content):
            raise _FailedError(_WRITTEN)


_AT_WORK: Final = "another process joins its objects, or was killed at it: try again in a quarter of an hour"
_WRITTEN: Final = "objects of it were written meanwhile: try again"


def _groups(manifest: Manifest, listing: Listing, most_bytes: int) -> Iterator[list[File]]:
    """Yield the files that become one, in the order of their offsets; each begins where the one before ends."""
    group: list[File] = []
    size, last = 0, None
    # Offsets of the archive have no gaps: two are not joined over one.
    is_archive = manifest.table == RAW_CALLBACKS_TABLE
    for file in manifest.files:
        rows = rows_of(file)
        is_next = (
            last is not None
            and rows is not None
            and (last.partition, last.position, last.file_format) == (rows.partition, rows.first, rows.file_format)
            and not (is_archive and file.rows != rows.last - rows.first + 1)
        )
        nbytes = listing[file.name][0] if file.name in listing else file.bytes
        if group and not (is_next and size + nbytes <= most_bytes):
            yield group
            group, size = [], 0
        group.append(file)
        size, last = size + nbytes, rows
    if group:
        yield group


def _require_whole(manifest: Manifest, listing: Listing) -> None:
    """Raise _FailedError for a day whose joined objects would hide what `verify` tells."""
    for file in manifest.files:
        if file.name not in listing:
            raise _FailedError(f"{file.name} is missing: see `routee-sinks files verify`")
    rows = [name for file in manifest.files if (name := rows_of(file)) is not None]
    for before, after in pairwise(rows):
        if before.partition == after.partition and after.first <= before.last:
            raise _FailedError(f"objects of partition {after.partition} overlap: see `routee-sinks files verify`")


def _require_same(before: Listing, now: Listing, names: Iterable[str]) -> None:
    if any(now.get(name) != before[name] for name in names):
        raise _FailedError(_WRITTEN)


def _created(file: ObjectPath, content: bytes) -> bool:
    """Create an object; return whether it has the content, also when the answer to an earlier try was lost."""
    return file.create(content) or read_if_there(file) == content


def _refresh(mark: ObjectPath, token: bytes) -> None:
    """Write the mark of a compaction again; _FailedError when it was taken for dead."""
    if not mark.swap(token, token) and read_if_there(mark) != token:
        raise _FailedError(_WRITTEN)


def _swap(day: ObjectPath, before: bytes, after: bytes, made: Sequence[File] = ()) -> None:
    """
    Write the manifest of a day if it is as it was; _FailedError when another process has written it.

    When the answer is lost, another process may have written it since: the names of the objects made tell.
    """
    file = day / MANIFEST
    if file.swap(before, after) or read_if_there(file) == after:
        return
    if not made or not {one.name for one in made} <= (_named(day) or set()):
        raise _FailedError(_WRITTEN)


def _named(day: ObjectPath) -> set[str] | None:
    """Return the names in the manifest of a day; None when it cannot be understood, or is gone."""
    content = read_if_there(day / MANIFEST)
    try:
        return None if content is None else {file.name for file in parsed_manifest(day, content).files}
    except DamagedManifestError:
        return None
