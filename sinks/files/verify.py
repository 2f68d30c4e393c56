"""
`routee-sinks files verify`: gaps, overlaps and damage in the files, each named. It reads, and writes nothing.

Offsets of the archive have no gaps, so there one that is in no file is missing. The other tables leave out records
without a row, and Kafka compacts their topics: of them a missing file is known by the manifest of its day.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from sinks.files.contents import UNREADABLE_CONTENT, places_in
from sinks.files.layout import DAYS, Name, parse_name
from sinks.files.locks import days
from sinks.files.manifest import DamagedManifestError, Manifest, manifest_of, read_manifest, right_checksums
from sinks.tables import RAW_CALLBACKS_TABLE


class Verified(NamedTuple):
    """The files of a table as they were found."""

    table: str
    days: int
    manifests: int
    files: int
    rows: int
    problems: list[str]


def verify(root: Path, tables: Iterable[str]) -> Iterator[Verified]:
    """Yield the findings of each table that has a folder. RetryableError while a compaction exchanges a day."""
    for table in tables:
        folder = root / table
        if folder.is_dir():
            with days(folder):
                yield _Look(root, table).result()


class _Look:
    """One look at a table."""

    def __init__(self, root: Path, table: str) -> None:
        self._root = root
        self._table = table
        self._rows = 0
        self._problems: list[str] = []

    def result(self) -> Verified:
        """Look at every file, and return the findings."""
        found = sorted((self._root / self._table).glob(DAYS))
        manifests = [manifest for day in found if (manifest := self._manifest(day)) is not None]
        files = {file: name for day in found for file in day.iterdir() if (name := parse_name(file.name))}
        for file, name in sorted(files.items(), key=lambda one: one[1]):
            self._look_into(file, name)
        self._compare_neighbours(sorted((name, self._told(file)) for file, name in files.items()))
        return Verified(self._table, len(found), len(manifests), len(files), self._rows, self._problems)

    def _told(self, file: Path) -> str:
        return str(file.relative_to(self._root))

    def _tell(self, file: Path, what: str) -> None:
        self._problems.append(f"{self._told(file)}: {what}")

    def _manifest(self, day: Path) -> Manifest | None:
        """Compare the files of a day with its manifest, and return it."""
        try:
            manifest = read_manifest(day)
        except DamagedManifestError as error:
            self._problems.append(str(error))
            return None
        if manifest is None:
            return None
        if manifest != manifest_of(manifest.table, manifest.day, manifest.files):
            self._tell(day, "the manifest contradicts itself")
        right = right_checksums(day, manifest)
        for listed in manifest.files:
            file = day / listed.name
            if not file.is_file():
                self._tell(file, f"is missing: the manifest has it with {listed.rows} rows")
                continue
            if sha256(file.read_bytes()).hexdigest() not in right[listed.name]:
                self._tell(file, "is damaged: its checksum is not the manifest's")
        return manifest

    def _look_into(self, file: Path, name: Name) -> None:
        try:
            places = places_in(file.read_bytes(), file.name)
        except UNREADABLE_CONTENT as error:
            self._tell(file, f"is damaged: it cannot be read: {type(error).__name__}")
            return
        self._rows += len(places)
        offsets = [offset for _, offset in places]
        if {partition for partition, _ in places} - {name.partition}:
            self._tell(file, "is damaged: it has rows of another partition")
        if not offsets or (offsets[0], offsets[-1]) != (name.first, name.last):
            self._tell(file, "is damaged: its rows do not fit its name")
        if any(before >= after for before, after in pairwise(offsets)):
            self._tell(file, "is damaged: its offsets do not grow")
        if self._table == RAW_CALLBACKS_TABLE and len(offsets) <= name.last - name.first:
            self._tell(file, f"has a gap: {len(offsets)} rows for {name.last - name.first + 1} offsets")

    def _compare_neighbours(self, files: list[tuple[Name, str]]) -> None:
        for (before, first), (after, second) in pairwise(files):
            if before.partition != after.partition:
                continue
            where = f"{self._table}: partition {after.partition}"
            if after.first <= before.last:
                self._problems.append(f"{where}: {first} and {second} overlap")
            elif self._table == RAW_CALLBACKS_TABLE and after.first != before.position:
                gap = f"offsets {before.position} to {after.first - 1}"
                self._problems.append(f"{where}: a gap: {gap} are in no file, between {first} and {second}")
