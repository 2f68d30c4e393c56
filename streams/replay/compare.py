"""
`routee-streams compare`: the differences between two replays, per table and column, with the raw place of the first.

One of the two may be ClickHouse. Two versions may have made the replays, so the files themselves tell the columns.
"""

from collections.abc import Iterable, Iterator, Mapping
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Final, NamedTuple

import orjson

from streams.errors import StreamsError, UsageError
from streams.replay.clickhouse import KEYS, NAME, NOT_COMPARED, ClickHouseSettings, containers, decimals, fetched
from streams.replay.command import SUMMARY
from streams.replay.tables import REJECTIONS, TABLES, Table

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


def compare(first: Path, second: Path, settings: ClickHouseSettings | None = None) -> Iterator[Difference]:
    """
    Yield every difference; with settings, one of the two is named `clickhouse`, and is the database that they name.

    UsageError for a folder that has no replay, StreamsError without DuckDB and for a file that cannot be read.
    """
    folders = [one for one in (first, second) if settings is None or str(one) != NAME]
    if problems := [
        f"{folder}: it has no {SUMMARY}: name a folder that `routee-streams replay --into` wrote"
        for folder in folders
        if not (folder / SUMMARY).is_file()
    ]:
        raise UsageError("\n".join(problems))
    duckdb = _duckdb()
    if settings is None:
        yield from _differences(duckdb, first, second)
        return
    with TemporaryDirectory(prefix=".compare-", dir=folders[0].absolute().parent) as aside:
        rows = fetched(settings, _last_offsets(folders[0]), Path(aside) / NAME)
        mine, theirs = (rows if str(one) == NAME else one for one in (first, second))
        yield from _differences(duckdb, mine, theirs, rows)


def _last_offsets(folder: Path) -> dict[int, int]:
    """Return the last offset that a replay has read of each partition."""
    try:
        told = orjson.loads((folder / SUMMARY).read_bytes())["partitions"]
        return {int(number): last for number, (_, last, _) in told.items() if last is not None}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StreamsError(f"{folder / SUMMARY} is damaged") from None


def _differences(duckdb: Any, first: Path, second: Path, clickhouse: Path | None = None) -> Iterator[Difference]:  # noqa: ANN401 - a library without types
    with duckdb.connect() as connection:
        for table in TABLES:
            mine, theirs = (sorted((folder / table.name).glob("*.parquet")) for folder in (first, second))
            how = _AS_IT_IS if clickhouse is None else _with_clickhouse(table, is_first=first == clickhouse)
            try:
                yield from _of_table(connection, table, mine, theirs, how)
            except duckdb.Error as error:
                # The text of an error may quote a value.
                told = type(error).__name__
                for file in (*mine, *theirs):
                    if not _is_readable(duckdb, file):
                        raise StreamsError(f"{file} cannot be read: {told}") from error
                raise StreamsError(f"{table.name} of {first} and {second} cannot be compared: {told}") from error


class _How(NamedTuple):
    """How the rows of a table are compared, when not as they are."""

    key: tuple[str, ...] | None = None
    left_out: frozenset[str] = frozenset()
    read_as: Mapping[str, str] = {}
    """Column → the expression by which both sides read it."""
    only_where: Mapping[str, str] = {}
    """Column → the condition of the rows in which it is compared."""
    place_of: str = "x"
    """The row that tells the place: x is that of B, y that of A."""


_AS_IT_IS: Final = _How()


def _with_clickhouse(table: Table, *, is_first: bool) -> _How:
    read_as = {name: f"CAST({_quoted(name)} AS DECIMAL(18, 8))" for name in decimals(table)}
    read_as |= {name: f"coalesce({_quoted(name)}, '{empty}')" for name, empty in containers(table).items()}
    as_redacted = "x.redacted = y.redacted"
    return _How(
        KEYS[table.name],
        NOT_COMPARED[table.name],
        read_as,
        dict.fromkeys(("body", "body_base64"), as_redacted) if table is REJECTIONS else {},
        "x" if is_first else "y",
    )


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


def _of_table(
    connection: Any,  # noqa: ANN401 - a library without types
    table: Table,
    first: list[Path],
    second: list[Path],
    how: _How,
) -> Iterator[Difference]:
    if not first and not second:
        return
    mine, theirs = _make_views(connection, first, second, how.read_as)
    yield from _lone_columns(connection, table, mine, theirs)
    both, keys = [column for column in mine if column in theirs], how.key or table.key
    if not set(keys) <= set(both):
        return  # told above; without a key no row of one side is one of the other
    key, place = ", ".join(map(_quoted, keys)), _place_of(both, "x")
    for name, other, what in (("a", "b", "only in A"), ("b", "a", "only in B")):
        count, found = _found(connection, f"FROM {name} AS x ANTI JOIN {other} AS y USING ({key})", place)
        if count:
            yield Difference(table.name, None, what, count, found)
    # A row that begins at another place has no other values by that alone: the place is not compared.
    place = _place_of(both, how.place_of)
    for column in both:
        if column in keys or column in _PLACE or column in how.left_out:
            continue
        unlike = f"x.{_quoted(column)} IS DISTINCT FROM y.{_quoted(column)}"
        where = f"{unlike} AND {how.only_where[column]}" if column in how.only_where else unlike
        count, found = _found(connection, f"FROM b AS x JOIN a AS y USING ({key}) WHERE {where}", place)
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


def _make_views(
    connection: Any,  # noqa: ANN401 - a library without types
    first: list[Path],
    second: list[Path],
    read_as: Mapping[str, str],
) -> list[Mapping[str, str]]:
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
    casts = {name: f"CAST({name} AS VARCHAR)" for name in texts}
    casts |= {_quoted(name): read_as[name] for name in read_as if name in mine and name in theirs}
    replaced = ", ".join(f"{cast} AS {name}" for name, cast in casts.items())
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
