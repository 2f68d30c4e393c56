"""
`routee-streams compare`: the differences between two replays, per table and column, with the raw place of the first.

Two versions may have made the replays, so the files themselves tell the columns.
"""

from collections.abc import Iterable, Iterator, Mapping
from glob import escape
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from streams.errors import StreamsError, UsageError
from streams.replay.command import SUMMARY
from streams.replay.tables import TABLES, Table

_PLACE: Final = ("partition", "offset", "index")


class Difference(NamedTuple):
    """
    A difference of a table: rows (`column` is None) or a column that one side alone has, or the values of a column.
    """

    table: str
    column: str | None
    what: str
    """`only in A`, `only in B`, or `unlike`: in both, with other values of the column."""
    rows: int
    """Of a column that one side alone has: those with a value."""
    place: tuple[int | None, ...]
    """[partition, offset, index] in `callbacks.raw` of the first callback that made such a row; null where unknown."""

    def line(self) -> str:
        """Return it for people."""
        name = self.table if self.column is None else f"{self.table}.{self.column}"
        place = "/".join(str(part) for part in self.place if part is not None)
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        if self.column is None or self.what == _UNLIKE:
            return f"{name}: {rows} {self.what}, the first at {place or 'no place'}"
        values = f"{rows} with a value, the first at {place or 'no place'}" if self.rows else "without a value"
        return f"{name}: a column {self.what}, {values}"


_UNLIKE: Final = "unlike"


def compare(first: Path, second: Path) -> Iterator[Difference]:
    """
    Yield every difference.

    UsageError for a folder that has no replay, StreamsError without DuckDB and for a file that cannot be read.
    """
    if problems := [
        f"{folder}: it has no {SUMMARY}: name a folder that `routee-streams replay --into` wrote"
        for folder in (first, second)
        if not (folder / SUMMARY).is_file()
    ]:
        raise UsageError("\n".join(problems))
    duckdb = _duckdb()
    with duckdb.connect() as connection:
        for table in TABLES:
            sides = [sorted((folder / table.name).glob("*.parquet")) for folder in (first, second)]
            try:
                yield from _of_table(connection, table, *sides)
            except duckdb.Error as error:
                # The text of an error may quote a value.
                told = type(error).__name__
                for file in (one for files in sides for one in files):
                    if not _is_readable(duckdb, file):
                        raise StreamsError(f"{file} cannot be read: {told}") from error
                raise StreamsError(f"{table.name} of {first} and {second} cannot be compared: {told}") from error


def _duckdb() -> ModuleType:
    try:
        import duckdb  # noqa: PLC0415 - an extra: no other command needs it
    except ImportError:
        raise StreamsError("it needs DuckDB: pip install 'routee-callbacks[compare]'") from None
    return duckdb


def _is_readable(duckdb: Any, file: Path) -> bool:  # noqa: ANN401 - a library without types
    with duckdb.connect() as connection:
        try:
            connection.execute(f"SELECT max(hash(COLUMNS(*))) FROM {_rows_of([file])}")  # noqa: S608
        except duckdb.Error:
            return False
    return True


def _of_table(connection: Any, table: Table, first: list[Path], second: list[Path]) -> Iterator[Difference]:  # noqa: ANN401 - a library without types
    if not first and not second:
        return
    mine, theirs = _make_views(connection, first, second)
    yield from _lone_columns(connection, table, mine, theirs)
    both = [column for column in mine if column in theirs]
    if not set(table.key) <= set(both):
        return  # told above; without a key no row of one side is one of the other
    key, place = ", ".join(map(_quoted, table.key)), _place_of(both, "x")
    for name, other, what in (("a", "b", "only in A"), ("b", "a", "only in B")):
        count, found = _found(connection, f"FROM {name} AS x ANTI JOIN {other} AS y USING ({key})", place)
        if count:
            yield Difference(table.name, None, what, count, found)
    # A row that begins at another place has no other values by that alone: the place is not compared.
    for column in both:
        if column in table.key or column in _PLACE:
            continue
        unlike = f"x.{_quoted(column)} IS DISTINCT FROM y.{_quoted(column)}"
        count, found = _found(connection, f"FROM b AS x JOIN a AS y USING ({key}) WHERE {unlike}", place)
        if count:
            yield Difference(table.name, column, _UNLIKE, count, found)


def _lone_columns(
    connection: Any,  # noqa: ANN401 - a library without types
    table: Table,
    mine: Mapping[str, str],
    theirs: Mapping[str, str],
) -> Iterator[Difference]:
    for name, columns, others, what in (("a", mine, theirs, "only in A"), ("b", theirs, mine, "only in B")):
        place = _place_of(columns, "x")
        for column in columns:
            if column not in others:
                rows = f"FROM {name} AS x WHERE x.{_quoted(column)} IS NOT NULL"
                yield Difference(table.name, column, what, *_found(connection, rows, place))


def _make_views(connection: Any, first: list[Path], second: list[Path]) -> list[Mapping[str, str]]:  # noqa: ANN401 - a library without types
    """
    Name the rows of the two sides `a` and `b`; return the columns of each with their types.

    A column of two types is text on both sides. A side without files has no rows.
    """
    sources = [_rows_of(files) if files else f"(FROM {_rows_of(first or second)} LIMIT 0)" for files in (first, second)]
    sides: list[Mapping[str, str]] = [
        {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}  # noqa: S608
        for source in sources
    ]
    mine, theirs = sides
    texts = [_quoted(name) for name, kind in mine.items() if theirs.get(name, kind) != kind]
    replaced = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in texts)
    for view, source in zip("ab", sources, strict=True):
        columns = f"* REPLACE ({replaced})" if replaced else "*"
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT {columns} FROM {source}")  # noqa: S608
    return sides


def _rows_of(files: Iterable[Path]) -> str:
    """Return the files for SQL; their names have no meaning, neither `[` and `*` nor `name=value`."""
    names = ", ".join("'" + escape(str(file)).replace("'", "''") + "'" for file in files)
    return f"read_parquet([{names}], hive_partitioning = false)"


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _place_of(columns: Iterable[str], alias: str) -> str:
    known = set(columns)
    parts = [f'{alias}."{name}"' if name in known else "NULL" for name in _PLACE]
    return f"[{', '.join(parts)}]"


def _found(connection: Any, rows: str, place: str) -> tuple[int, tuple[int | None, ...]]:  # noqa: ANN401 - a library without types
    """Return the number of rows, and the first place."""
    count, first = connection.execute(f"SELECT count(*), min({place}) {rows}").fetchone()
    return count, tuple(first or ())
