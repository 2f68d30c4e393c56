"""
`routee-sinks files verify`: gaps, overlaps and damage in the files, each named. It reads, and writes nothing.

Offsets of the archive have no gaps, so there one that is in no file is missing. The other tables leave out records
without a row, and Kafka compacts their topics: of them a missing file is known by the manifest of its day.

In an object store a name is the offset after the last of the object before, in all tables: one that is missing is known
by the names around it. No gap is told where a day that is over may have lain: `.position-{partition}` tells up to
where.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import chain, pairwise
from pathlib import Path
from typing import Final, NamedTuple

from sinks.files.contents import UNREADABLE_CONTENT, places_in
from sinks.files.durable import read_if_there
from sinks.files.locks import days
from sinks.files.manifest import DamagedManifestError, Manifest, manifest_of, read_manifest, right_checksums
from sinks.files.positions import noted_positions
from sinks.tables import RAW_CALLBACKS_TABLE
from streams.program.file_names import DAYS, MANIFEST, Chained, Name, current, parse_chained, parse_name
from streams.program.objects import Place, below, glob

_TRIES: Final = 5


class Verified(NamedTuple):
    """The files of a table as they were found."""

    table: str
    days: int
    manifests: int
    files: int
    rows: int
    problems: list[str]


def verify(root: Place, tables: Iterable[str]) -> Iterator[Verified]:
    """Yield the findings of each table that has a folder. RetryableError while a compaction exchanges a day."""
    for table in tables:
        folder = root / table
        if folder.is_dir():
            with days(folder):
                yield _Look(root, table).result()


class _Look:
    """One look at a table."""

    def __init__(self, root: Place, table: str) -> None:
        self._root = root
        self._table = table
        self._rows = 0
        self._problems: list[str] = []

    def result(self) -> Verified:
        """Look at every file, and return the findings."""
        found = [self._day(day) for day in sorted(glob(self._root / self._table, DAYS), key=str)]
        self._compare_neighbours(sorted(chain.from_iterable(day.files for day in found)))
        return Verified(
            self._table,
            len(found),
            sum(day.has_manifest for day in found),
            sum(day.names for day in found),
            self._rows,
            self._problems,
        )

    def _told(self, file: Place) -> str:
        return below(self._root, file)

    def _tell(self, file: Place, what: str) -> None:
        self._problems.append(f"{self._told(file)}: {what}")

    def _day(self, day: Place) -> "_Day":
        """Look at a day; once more when a compaction of a bucket changed its manifest meanwhile."""
        for _ in range(_TRIES):
            before, rows, problems = read_if_there(day / MANIFEST), self._rows, len(self._problems)
            looked = self._look_at(day)
            if isinstance(day, Path) or read_if_there(day / MANIFEST) == before:
                break
            self._rows = rows
            del self._problems[problems:]
        else:
            looked = self._look_at(day)
        return looked

    def _look_at(self, day: Place) -> "_Day":
        manifest = self._manifest(day)
        entries = {file.name: file for file in _entries(day) if _name_of(file) is not None}
        if not isinstance(day, Path):
            named = None if manifest is None else {file.name for file in manifest.files}
            entries = {name: entries[name] for name in current([*entries], named)}
        names = {file: name for file in entries.values() if (name := _name_of(file)) is not None}
        files = [self._look_into(*one) for one in sorted(names.items(), key=lambda one: (one[1][:2], str(one[0])))]
        return _Day([file for file in files if file is not None], len(names), has_manifest=manifest is not None)

    def _manifest(self, day: Place) -> Manifest | None:
        """Compare the files of a day with its manifest, and return it."""
        try:
            manifest = read_manifest(day)
        except DamagedManifestError as error:
            self._problems.append(str(error))
            return None
        if manifest is None:
            return None
        told = manifest_of(manifest.table, manifest.day, manifest.files)
        if manifest != told.model_copy(update={"joining": manifest.joining}):
            self._tell(day, "the manifest contradicts itself")
        right, missing = right_checksums(day, manifest), []
        for listed in manifest.files:
            content = read_if_there(day / listed.name)
            if content is None:
                missing.append(listed)
            elif sha256(content).hexdigest() not in right[listed.name]:
                self._tell(day / listed.name, "is damaged: its checksum is not the manifest's")
        # The end of a day takes its manifest first.
        if missing and (day / MANIFEST).is_file():
            for listed in missing:
                self._tell(day / listed.name, f"is missing: the manifest has it with {listed.rows} rows")
        return manifest

    def _look_into(self, file: Place, name: Name | Chained) -> "_Found | None":
        """Look at the rows of a file, and return where it begins and ends; None when that cannot be told."""
        try:
            places = places_in(file.read_bytes(), file.name)
        except FileNotFoundError:
            return None  # the end of its day came meanwhile
        except UNREADABLE_CONTENT as error:
            self._tell(file, f"is damaged: it cannot be read: {type(error).__name__}")
            return _Found(name, name.first, self._told(file)) if isinstance(name, Name) else None
        self._rows += len(places)
        offsets = [offset for _, offset in places]
        if {partition for partition, _ in places} - {name.partition}:
            self._tell(file, "is damaged: it has rows of another partition")
        if not offsets or not _fits(name, offsets[0], offsets[-1]):
            self._tell(file, "is damaged: its rows do not fit its name")
        if any(before >= after for before, after in pairwise(offsets)):
            self._tell(file, "is damaged: its offsets do not grow")
        if isinstance(name, Chained):
            if not offsets:
                return None
            ended, first = name.ending(max(offsets[-1], name.first)), offsets[0]
        else:
            ended, first = name, name.first
        if self._table == RAW_CALLBACKS_TABLE and len(offsets) <= ended.last - first:
            self._tell(file, f"has a gap: {len(offsets)} rows for {ended.last - first + 1} offsets")
        return _Found(ended, first, self._told(file), is_chained=isinstance(name, Chained))

    def _compare_neighbours(self, files: "list[_Found]") -> None:
        is_archive = self._table == RAW_CALLBACKS_TABLE
        # Read after the files: the end of a day notes them before it takes the first one.
        removed = noted_positions(self._root / self._table)
        for before, after in pairwise(files):
            if before.name.partition != after.name.partition:
                continue
            where = f"{self._table}: partition {after.name.partition}"
            following = after.first if is_archive else after.name.first
            if after.name.first <= before.name.last:
                self._problems.append(f"{where}: {before.told} and {after.told} overlap")
            elif following <= removed.get(after.name.partition, 0):
                continue  # days may be out of order: one that is over may have lain between
            elif following != before.name.position and (is_archive or after.is_chained):
                gap = f"offsets {before.name.position} to {following - 1}"
                self._problems.append(f"{where}: a gap: {gap} are in no file, between {before.told} and {after.told}")


class _Day(NamedTuple):
    files: "list[_Found]"
    names: int
    has_manifest: bool


class _Found(NamedTuple):
    name: Name
    first: int
    """The first offset of its rows."""
    told: str
    is_chained: bool = False


def _entries(day: Place) -> list[Place]:
    """Return the files of a day; none when its end came meanwhile."""
    with suppress(FileNotFoundError):
        return [*day.iterdir()]
    return []


def _name_of(file: Place) -> Name | Chained | None:
    return parse_name(file.name) or parse_chained(file.name)


def _fits(name: Name | Chained, first: int, last: int) -> bool:
    """Return whether rows fit a name; those of an object may begin later, since some records have no row."""
    if isinstance(name, Chained):
        return name.first <= first and name.last in {None, last}
    return (name.first, name.last) == (first, last)
