"""
The data of people in the files: found, and erased by writing each file that has some anew under its own name.

1. The files of a partition are looked through while its lock is held, so no other process writes them.
2. A file with a covered row is written to a draft, which is synced: the same rows in the same order, without the data.
   Killed here: the next owner of the partition removes the draft.
3. The draft is renamed to the file's own name, and the folder is synced. A reader has the file of before or the new
   one, whole; the name, which is the committed position, never goes away.
4. When all files of the partition are done, `.erasures-{partition}.json` says with which erasures. Killed before: the
   next owner looks through all of them again.

A compaction (`compaction`) joins files meanwhile: the joined ones are looked through, too, before step 4, and each
file is read and written anew while no folder of a day can be exchanged.

A table that SINKS_TABLES has no more is held by no sink: its partitions are erased in the same way, each under its
lock, unless another process has it.

Later files need no look: their rows were written without the data, as every sink knows all erasures that were before.

In an object store no lock keeps a former owner from ending a write that it began, and it may be killed right after. So
there the note also has the position that was looked through up to: a late object lies at the end of its chain, at that
position or beyond it. From there on objects are looked through after each claim, after a sink finds an object that it
did not write, and after the note was written. The note has the day of that position, too: days that lie more than two
before it are not listed again, but from the day on in which a sink met such an object. A joined object is looked
through by its last offset. An object is written anew only if it is still the one that was read; when it is not, it is
read again. In these days objects that do not count are looked through, too: a sink that was frozen may create a name
that a compaction has deleted, below that position. A note of further erasures is left: the look of a process that knows
fewer proves less.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, date, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from sinks.blanking import PERSONAL
from sinks.erasing import Known
from sinks.errors import RetryableError
from sinks.files.compaction import remove_rest
from sinks.files.contents import UNREADABLE_CONTENT
from sinks.files.durable import read_if_there, replace
from sinks.files.layout import partition_of_draft
from sinks.files.locks import days, lock_of
from sinks.files.manifest import note_change
from sinks.files.objects import TRIES, changed_meanwhile
from sinks.files.personal import erased_content
from sinks.files.proof import files_of, files_with_rows, named
from sinks.source import TopicPartition
from streams.program.file_names import DAYS, current, day_of, joined_in, parse_chained
from streams.program.joined import named_objects
from streams.program.objects import ObjectPath, Place

_NOTE: Final = ".erasures-{}.json"
_FURTHER_DAYS: Final = 2
_ALL_DAYS: Final = "date="


class FileErasure:
    """
    Implements `Store` over the files of the partitions that this process holds, and of tables that it does not write.

    `held` lets a file be written while the partition is held, and says whether it still is; `holding` are all of these.
    `met_day` tells the oldest day in which a sink met an object of another process.
    """

    def __init__(
        self,
        root: Place,
        tables: dict[str, str],
        holding: Callable[[], Sequence[TopicPartition]],
        held: Callable[[TopicPartition], AbstractContextManager[bool]],
        met_day: Callable[[TopicPartition], date | None] = lambda _: None,
    ) -> None:
        self._root = root
        self._tables = tables
        self._holding = holding
        self._held = held
        self._met_day = met_day
        self._looked: dict[str, tuple[str, set[Place]]] = {}
        """Of each table in an object store: the erasures and the objects of a look that could not be ended."""

    def erase(self, known: Known) -> int:
        """Write the files anew that have covered rows, and return how many rows they had."""
        try:
            if isinstance(self._root, ObjectPath):
                return sum(self._erase_objects(self._root / table, known) for table in sorted(PERSONAL))
            remove_rest(self._root)
            erased = sum(
                self._erase(self._root / table, partition.partition, known, partial(self._held, partition))
                for partition in self._holding()
                if (table := self._tables[partition.topic]) in PERSONAL
            )
            left = PERSONAL.keys() - {*self._tables.values()}
            return erased + sum(self._erase_left(self._root / table, known) for table in sorted(left))
        except OSError as error:
            raise RetryableError(f"{error.filename or self._root}: {error.strerror}") from error
        except MemoryError as error:
            raise RetryableError("no memory to write a file anew") from error

    def _erase_left(self, folder: Path, known: Known) -> int:
        """Do the same for a table that this process does not write."""
        erased = 0
        numbers = {name.partition for file in files_with_rows(folder) if (name := named(file)) is not None}
        for number in sorted(numbers):
            lock = lock_of(folder, number)
            if lock.acquire():
                try:
                    _remove_drafts(folder, number)
                    erased += self._erase(folder, number, known, lambda: nullcontext(enter_result=True))
                finally:
                    lock.release()
        return erased

    def _erase(self, folder: Path, number: int, known: Known, held: Callable[[], AbstractContextManager[bool]]) -> int:
        note, says = folder / _NOTE.format(number), _says(known.digest)
        before = read_if_there(note)
        if before == says:
            return 0
        erased = _look_through(folder, lambda: files_of(folder, number), known, held, set())
        with held() as is_held:
            if is_held:
                replace(note, before, says)
        return erased

    def _erase_objects(self, folder: ObjectPath, known: Known) -> int:
        """Look through the objects of a table from the noted positions on, until none came while these were noted."""
        mine, erased = _Note.of(known), 0
        holding = {one.partition: one for one in self._holding() if self._tables[one.topic] == folder.name}
        numbers = {*holding} if folder.name in self._tables.values() else _partitions(folder)
        digest, looked = self._looked.get(str(folder), (known.digest, set()))
        if digest != known.digest:
            looked = set()
        self._looked[str(folder)] = known.digest, looked
        noted: set[int] = set()
        for _ in range(TRIES):
            before = {number: read_if_there(folder / _NOTE.format(number)) for number in numbers}
            notes = {number: _Note.parsed(content) for number, content in before.items()}
            begins = {number: note if note.digest == mine.digest else _Note() for number, note in notes.items()}
            files = partial(_from, folder, begins, self._first_day(begins, holding))
            erased += _look_through(folder, files, known, lambda: nullcontext(enter_result=True), looked)
            told = {number: _through(mine, begins[number], number, looked) for number in numbers}
            due = [one for one in told if told[one] != notes[one] and not notes[one].knows_more_than(mine)]
            for number in due:
                # False when another process has noted its look.
                if (folder / _NOTE.format(number)).swap(before[number], told[number].encoded()):
                    noted.add(number)
            if not due:
                break
        else:
            if left := numbers - noted:
                raise changed_meanwhile(folder / _NOTE.format(min(left)))
        del self._looked[str(folder)]
        return erased

    def _first_day(self, begins: "dict[int, _Note]", holding: dict[int, TopicPartition]) -> str:
        """Return the name of the first day to list; that of all days when the note of a partition tells none."""
        first = [day_of(note.day) for note in begins.values()]
        days_noted = [day - timedelta(days=_FURTHER_DAYS) for day in first if day is not None]
        if len(days_noted) < len(first):
            return _ALL_DAYS
        met = [day for number in begins if number in holding and (day := self._met_day(holding[number])) is not None]
        oldest = min([*days_noted, *met], default=None)
        return _ALL_DAYS if oldest is None else f"{_ALL_DAYS}{oldest.isoformat()}"


def met_nowhere(_: TopicPartition) -> None:
    """Return that no object of another process was met: in a folder there are none."""


def _look_through(
    folder: Place,
    files: Callable[[], Sequence[Place]],
    known: Known,
    held: Callable[[], AbstractContextManager[bool]],
    looked: set[Place],
) -> int:
    """Erase the files that were not looked at, until there are no further ones or the partition is given up."""
    erased, unreadable = 0, []
    while due := [file for file in files() if file not in looked]:
        for file in due:
            with held() as is_held, days(folder):
                if not is_held:
                    return erased
                try:
                    erased += _erase_file(file, folder.name, known)
                except UNREADABLE_CONTENT as error:
                    unreadable.append(f"{file} cannot be read: {type(error).__name__}")
            looked.add(file)
    if unreadable:
        raise RetryableError("; ".join(unreadable))
    return erased


def _says(digest: str) -> bytes:
    return orjson.dumps({"format": 1, "erasures": digest})


class _Note(NamedTuple):
    """The note of a partition in an object store; one that cannot be read says nothing."""

    digest: str = ""
    number: int = 0
    """How many erasures these are."""
    latest: str = ""
    """The moment of the latest erasure."""
    position: int = 0
    """The place of the last object that was looked through; later ones begin behind it."""
    day: str = ""
    """The name of its day."""

    @classmethod
    def of(cls, known: Known) -> "_Note":
        latest = known.erasures.latest
        told = "" if latest is None else latest.astimezone(UTC).isoformat(timespec="microseconds")
        return cls(known.digest, len(known.erasures), told)

    @classmethod
    def parsed(cls, content: bytes | None) -> "_Note":
        try:
            told = orjson.loads(content or b"{}")
            return cls(told["erasures"], told["number"], told["latest"], told["position"], told.get("day", ""))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return cls()  # also that of a former version, which has no position

    def encoded(self) -> bytes:
        told = {"number": self.number, "latest": self.latest, "position": self.position, "day": self.day}
        return orjson.dumps({"format": 2, "erasures": self.digest, **told})

    def knows_more_than(self, other: "_Note") -> bool:
        return self.digest != other.digest and self.number >= other.number and self.latest >= other.latest


def _remove_drafts(folder: Place, number: int) -> None:
    """Remove the drafts of a partition that has no owner: they may have the data of the erased, too."""
    for draft in folder.glob(f"{DAYS}.*"):
        if partition_of_draft(draft.name) == number:
            draft.unlink(missing_ok=True)


def _partitions(folder: ObjectPath) -> set[int]:
    """Return the partitions that have objects in a table that no sink writes."""
    return {name.partition for file in folder.below_from(_ALL_DAYS) if (name := parse_chained(file.name)) is not None}


def _from(folder: ObjectPath, begins: "dict[int, _Note]", first_day: str) -> list[ObjectPath]:
    """Return the objects of partitions from their noted positions on, and all that do not count, by their names."""
    found: list[ObjectPath] = []
    for day, files in groupby(folder.below_from(first_day) if begins else (), key=lambda file: file.parent):
        chained = {file.name: name for file in files if (name := parse_chained(file.name)) is not None}
        # A name that a compaction has deleted may be created again, below the noted position.
        counting = {*current(chained, named_objects(day))} if joined_in(chained) else {*chained}
        found += [
            day / text
            for text, name in chained.items()
            if name.partition in begins and (text not in counting or name.furthest >= begins[name.partition].position)
        ]
    return found


def _through(mine: "_Note", begin: "_Note", number: int, looked: set[Place]) -> "_Note":
    """Return the note of a partition whose objects were looked through."""
    furthest = max(
        (
            (name.furthest, file.parent.name)
            for file in looked
            if (name := parse_chained(file.name)) and name.partition == number
        ),
        default=(0, ""),
    )
    position, day = max(furthest, (begin.position, begin.day))
    return mine._replace(position=position, day=day)


def _erase_file(file: Place, table: str, known: Known) -> int:
    """Write a file anew if it has covered rows, and return how many; one that another process wrote is read again."""
    for _ in range(TRIES):
        with suppress(BlockingIOError):
            return _erase_once(file, table, known)
    raise changed_meanwhile(file)


def _erase_once(file: Place, table: str, known: Known) -> int:
    erasures = known.erasures
    content = read_if_there(file)
    name = named(file)
    if content is None or name is None:
        return 0  # moved to an archive in the meantime
    erased, count = erased_content(content, table, name.file_format, erasures)
    if count:
        note_change(file.parent, name.partition, file.name, content, erased)
        replace(file, content, erased)
    return count
