"""
The names of files: `{table}/date=2026-11-22/{partition}-{first offset}-{last offset}.parquet`. Pure.

The names are the committed position: the offsets in a file's name are written, and its partition goes on after the
highest last offset. So files of a partition never overlap, and each appears whole or not at all.

In an object store a name has no last offset, `{partition}-{position}.parquet`: it follows from the position alone, the
offset after the last of the object before (0 for the first one). So two writers of one position have one name for it,
and the store lets one of them write it. The objects of a partition are a chain: each begins where the one before ends.

A compaction joins objects that follow each other into one, `{partition}-{position}-{last offset}-{token}.parquet`. Then
there are two objects with a row, until the former ones are deleted: `current` says which one counts.
"""

import re
from collections.abc import Collection, Iterable
from datetime import date
from typing import Final, NamedTuple

MANIFEST: Final = ".manifest.json"
"""The manifest of a day, in its folder. Readers of a folder leave out names that begin with a dot."""
DAYS: Final = "date=*/"
"""The folders of a table's days, as a pattern."""
SUFFIXES: Final = {"parquet": "parquet", "ndjson": "ndjson.gz"}
_FORMATS: Final = {suffix: file_format for file_format, suffix in SUFFIXES.items()}
_NAME: Final = re.compile(r"(\d+)-(\d+)-(\d+)\.(parquet|ndjson\.gz)")
_CHAINED: Final = re.compile(r"(\d+)-(\d+)(?:-(\d+)-([0-9a-f]{8}))?\.(parquet|ndjson\.gz)")


def day_of(folder: str) -> date | None:
    """Return the day of a folder, None for any other name."""
    try:
        return date.fromisoformat(folder.removeprefix("date="))
    except ValueError:
        return None


class Name(NamedTuple):
    """The name of a whole file."""

    partition: int
    first: int
    last: int
    file_format: str

    @property
    def position(self) -> int:
        """Return the offset after the last."""
        return self.last + 1


def parse_name(name: str) -> Name | None:
    """Return the parts of the name of a whole file; None for any other name."""
    match = _NAME.fullmatch(name)
    return Name(int(match[1]), int(match[2]), int(match[3]), _FORMATS[match[4]]) if match else None


class Chained(NamedTuple):
    """The name of an object: it ends before the next one of its partition, or with its own last row."""

    partition: int
    first: int
    file_format: str
    last: int | None = None
    """Told by the name of a joined object alone."""
    token: str = ""
    """Of the compaction that joined it."""

    @property
    def furthest(self) -> int:
        """Return the last offset of a joined object, and the position of any other."""
        return self.first if self.last is None else self.last

    def ending(self, last: int) -> Name:
        """Return the name that a file of these rows has."""
        return Name(self.partition, self.first, last, self.file_format)


def chained_name(partition: int, position: int, file_format: str) -> str:
    """Return the name of the object with the rows from a position on."""
    return f"{partition}-{position}.{SUFFIXES[file_format]}"


def joined_name(name: Name, token: str) -> str:
    """Return the name of the object in which a compaction joins these rows."""
    return f"{name.partition}-{name.first}-{name.last}-{token}.{SUFFIXES[name.file_format]}"


def parse_chained(name: str) -> Chained | None:
    """Return the parts of the name of an object; None for any other name."""
    match = _CHAINED.fullmatch(name)
    if match is None:
        return None
    last = None if match[3] is None else int(match[3])
    return Chained(int(match[1]), int(match[2]), _FORMATS[match[5]], last, match[4] or "")


def is_of_rows(name: str) -> bool:
    """Return whether a name is that of a file or of an object with rows."""
    return parse_name(name) is not None or parse_chained(name) is not None


def joined_in(names: Iterable[str]) -> bool:
    """Return whether a joined object is among these names."""
    return any((name := parse_chained(text)) is not None and name.last is not None for text in names)


def current(names: Collection[str], named: Collection[str] | None) -> list[str]:
    """
    Return the names of those objects of a day that have its rows, each row once.

    `named` are the names in the manifest of the day, None when it has none. Of joined objects those count that the
    manifest names; without one, the ones with most rows. Within the offsets of one that counts, no other one does.
    """
    if not joined_in(names):
        return [*names]
    parsed = {text: name for text in names if (name := parse_chained(text)) is not None}
    joined = [text for text, name in parsed.items() if name.last is not None and (named is None or text in named)]
    taken: dict[int, list[tuple[int, int]]] = {}
    chosen = []
    for text in sorted(joined, key=lambda one: (parsed[one].first, -parsed[one].furthest, one)):
        name = parsed[text]
        ranges = taken.setdefault(name.partition, [])
        if not any(first <= name.furthest and name.first <= last for first, last in ranges):
            ranges.append((name.first, name.furthest))
            chosen.append(text)
    others = [
        text
        for text, name in parsed.items()
        if name.last is None and not any(first <= name.first <= last for first, last in taken.get(name.partition, ()))
    ]
    return [*chosen, *others]
