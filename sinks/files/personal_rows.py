"""
The data of people in all files, for `verify` and `export`; nothing is written.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TypeVar

from sinks.errors import FatalError
from sinks.files.durable import read_if_there
from sinks.files.locks import days
from sinks.files.objects import TRIES, changed_meanwhile
from sinks.files.personal import IsWanted, MayBeWanted, rows_in, without_data_in
from sinks.files.proof import OFFSET, Row, files_of
from streams.program.file_names import DAYS, parse_chained
from streams.program.joined import current_objects
from streams.program.objects import ObjectPath, Place, below

_Found = TypeVar("_Found")
_Read = Callable[[Place, bytes], Iterator[tuple[int, _Found]]]
"""Finds something in the content of a file, with the offset of its row."""


class FileRows:
    """
    Implements `Rows` over a folder with these tables; reads only.

    In a bucket the objects of a day may be joined meanwhile: when one is gone, the day is listed again. Two objects may
    have a row then, which is given once. Rows are looked for in each object, also in one that does not count: it may
    have a number that the others have lost.
    """

    def __init__(self, root: Place, tables: Sequence[str]) -> None:
        self._root = root
        self._tables = tables

    def of(self, may_be: MayBeWanted, is_wanted: IsWanted) -> Iterator[tuple[str, str, Row]]:
        """Yield the wanted rows of all files. FatalError for a file that cannot be read."""
        for table in self._tables:

            def found(file: Place, content: bytes, table: str = table) -> Iterator[tuple[int, Row]]:
                return ((row[OFFSET], row) for row in rows_in(file, content, table, is_wanted, may_be))

            for file, row in self._each(table, found, also_others=True):
                yield below(self._root, file), table, row

    def without_data(self) -> int:
        """Return how many rows have no data of a person; of raw callbacks, how many have lost theirs."""
        return sum(count for table in self._tables for _, count in self._each(table, partial(without_data_in, table)))

    def _each(self, table: str, read: _Read[_Found], *, also_others: bool = False) -> Iterator[tuple[Place, _Found]]:
        """Yield all findings in the files of a table, also while a compaction exchanges them."""
        folder = self._root / table
        try:
            if isinstance(folder, ObjectPath):
                for day in sorted(folder.glob(DAYS), key=str):
                    yield from _each_of_day(day, read, also_others=also_others)
                return
            with days(folder) if folder.is_dir() else nullcontext():
                for file in files_of(folder):
                    # None for one that is moved away in the meantime.
                    if (content := read_if_there(file)) is not None:
                        yield from ((file, one) for _, one in read(file, content))
        except OSError as error:
            raise FatalError(f"SINKS_FILES_ROOT={self._root}: {error.filename}: {error.strerror}") from error


def _each_of_day(day: ObjectPath, read: _Read[_Found], *, also_others: bool) -> Iterator[tuple[Place, _Found]]:
    """Yield all findings in the objects of a day that count, and in the others, at each offset once."""
    done: set[ObjectPath] = set()
    given: set[tuple[int, int]] = set()
    for _ in range(TRIES):
        counting = current_objects(day)
        others = {*day.iterdir()} - {*counting} if also_others else set()
        for file in (*counting, *sorted(others, key=str)):
            name = parse_chained(file.name)
            if name is None or file in done:
                continue
            content = read_if_there(file)
            if content is None:
                if file in others:
                    continue
                break  # it was joined: the joined object has its rows
            found = [(offset, one) for offset, one in read(file, content) if (name.partition, offset) not in given]
            yield from ((file, one) for _, one in found)
            given.update((name.partition, offset) for offset, _ in found)
            done.add(file)
        else:
            return
    raise changed_meanwhile(day)
