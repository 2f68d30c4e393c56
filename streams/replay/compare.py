"""
`routee-streams compare`: the differences between two replays, per table and column, with the raw place of the first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from streams.errors import StreamsError, UsageError
from streams.replay.command import SUMMARY
from streams.replay.tables import TABLES, Table

_PLACE: Final = ("partition", "offset", "index")


class Difference(NamedTuple):
    """A difference of a table: rows that one side alone has (`column` is None), or the values of a column."""

    table: str
    column: str | None
    what: str
    """`only in A`, `only in B`, or `unlike`: in both, with other values of the column."""
    rows: int
    place: tuple[int | None, ...]
    """[partition, offset, index] in `callbacks.raw` of the first callback that made such a row; null where unknown."""

    def line(self) -> str:
        """Return it for people."""
        name = self.table if self.column is None else f"{self.table}.{self.column}"
        place = "/".join(str(part) for part in self.place if part is not None)
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return f"{name}: {rows} {self.what}, the first at {place or 'no place'}"


def compare(first: Path, second: Path) -> Iterator[Difference]:
    """Yield every difference; UsageError for a folder that has no replay, StreamsError without DuckDB."""
    if problems := [
        f"{folder}: it has no {SUMMARY}: name a folder that `routee-streams replay --into` wrote"
        for folder in (first, second)
        if not (folder / SUMMARY).is_file()
    ]:
        raise UsageError("\n".join(problems))
    with _connection() as connection:
        for table in TABLES:
            for name, folder in (("a", first), ("b", second)):
                files = str(folder / table.name / "*.parquet").replace("'", "''")
                connection.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM read_parquet('{files}')")  # noqa: S608
            yield from _of_table(connection, table)


@contextmanager
def _connection() -> Iterator[Any]:
    try:
        import duckdb  # noqa: PLC0415 - an extra: no other command needs it
    except ImportError:
        raise StreamsError("it needs DuckDB: pip install 'routee-callbacks[compare]'") from None
    with duckdb.connect() as connection:
        yield connection


def _of_table(connection: Any, table: Table) -> Iterator[Difference]:  # noqa: ANN401 - a library without types
    key = ", ".join(f'"{name}"' for name in table.key)
    for mine, theirs, what in (("a", "b", "only in A"), ("b", "a", "only in B")):
        yield from _found(
            connection,
            table,
            None,
            what,
            f"FROM {mine} AS x ANTI JOIN {theirs} AS y USING ({key})",
            _place_of(table, "x"),
        )
    # A row that begins at another place has no other values by that alone: the place is not compared.
    for column in table.columns:
        if column in table.key or column in _PLACE:
            continue
        joined = f'FROM b AS x JOIN a AS y USING ({key}) WHERE x."{column}" IS DISTINCT FROM y."{column}"'
        yield from _found(connection, table, column, "unlike", joined, _place_of(table, "x"))


def _place_of(table: Table, alias: str) -> str:
    parts = [f'{alias}."{name}"' if name in table.columns else "NULL" for name in _PLACE]
    return f"[{', '.join(parts)}]"


def _found(  # noqa: PLR0913, PLR0917 - a question and what it is about
    connection: Any,  # noqa: ANN401 - a library without types
    table: Table,
    column: str | None,
    what: str,
    rows: str,
    place: str,
) -> Iterator[Difference]:
    count, first = connection.execute(f"SELECT count(*), min({place}) {rows}").fetchone()
    if count:
        yield Difference(table.name, column, what, count, tuple(first))
