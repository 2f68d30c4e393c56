"""
chDB: one engine in this process, owner of one data folder, used by many threads.
"""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final
from xml.sax.saxutils import escape

import chdb
from chdb import ChdbError

from sandbox.clickhouse.errors import ClickHouseError, refusal
from sandbox.clickhouse.protocol import Query, Session

_USERS: Final = Path(__file__).with_name("users.xml")
_SETTINGS: Final = re.compile(r"\bSETTINGS\s+\w+\s*=.*$", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished query: the result in its format, and the counts that clients report."""

    body: bytes
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0


@dataclass(slots=True)
class _OpenSession:
    connection: Any
    in_use: threading.Lock = field(default_factory=threading.Lock)
    ends_at: float = 0.0


class Engine:
    """
    The engine with its data folder, to which no second process can be admitted.

    Every query runs on a connection of its own, so settings and the current database of one do not reach another;
    queries of one session share theirs. `run` may be called from many threads. A finished INSERT survives a kill
    of the process.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = str(folder)
        # The engine looks for a relative path in the working directory, so the file cannot be checked in.
        self._config = folder / "engine.xml"
        self._config.write_text(f"<clickhouse>{self._configuration()}</clickhouse>\n")
        # Kept open: the engine lives as long as one connection does.
        self._root = self._connect()
        self._sessions: dict[str, _OpenSession] = {}
        self._lock = threading.Lock()
        self.version = self._ask("SELECT version()")
        self.timezone = self._ask("SELECT timezone()")

    def run(self, query: Query) -> Result:
        """Run the query to its end; raises ClickHouseError when the engine refuses it."""
        try:
            with self._connection(query.session) as connection, _surrounded(connection, query):
                return _execute(connection, query)
        except (ChdbError, RuntimeError, ValueError, OSError) as error:
            raise ClickHouseError(str(error)) from error

    def _configuration(self) -> str:
        return f"<users_config>{escape(str(_USERS))}</users_config>"

    def _connect(self) -> Any:  # noqa: ANN401 - chDB is not typed
        return chdb.connect(f"{self._path}?config-file={self._config}")

    def _ask(self, sql: str) -> str:
        return bytes(self._root.query(sql, "TSVRaw").bytes()).decode().strip()

    @contextmanager
    def _connection(self, session: Session | None) -> Iterator[Any]:
        if session is None:
            connection = self._connect()
            try:
                yield connection
            finally:
                connection.close()
            return
        held = self._open(session)
        try:
            yield held.connection
        finally:
            held.ends_at = time.monotonic() + session.seconds
            held.in_use.release()

    def _open(self, session: Session) -> _OpenSession:
        """Return the session, locked for one query; it is begun when it is new."""
        with self._lock:
            self._end_old_sessions()
            if session.name not in self._sessions:
                if session.must_exist:
                    raise refusal(372, "SESSION_NOT_FOUND", f"Session {session.name} not found")
                self._sessions[session.name] = _OpenSession(self._connect())
            held = self._sessions[session.name]
            if not held.in_use.acquire(blocking=False):
                raise refusal(373, "SESSION_IS_LOCKED", f"Session {session.name} is locked by a concurrent client")
            return held

    def _end_old_sessions(self) -> None:
        now = time.monotonic()
        for name, held in list(self._sessions.items()):
            if not held.in_use.locked() and held.ends_at < now:
                del self._sessions[name]
                held.connection.close()


@contextmanager
def _surrounded(connection: Any, query: Query) -> Iterator[None]:  # noqa: ANN401 - chDB is not typed
    """Run the block in the query's database under its settings, and leave the connection as it was."""
    before: dict[str, str] = {}
    if query.database:
        connection.query(f"USE {_identifier(query.database)}")
    if query.settings:
        if query.session:
            before = {name: _setting(connection, name) for name in query.settings}
        _set(connection, query.settings)
    try:
        yield
    finally:
        if before:
            _set(connection, before)


def _execute(connection: Any, query: Query) -> Result:  # noqa: ANN401 - chDB is not typed
    statement = query.statement
    if statement.input_format is not None:
        return _insert(connection, statement.sql, statement.input_format, statement.data)
    found = connection.query(statement.sql, query.output_format, params=query.parameters)
    return Result(
        bytes(found.bytes()),
        found.storage_rows_read(),
        found.storage_bytes_read(),
        found.rows_written(),
        found.bytes_written(),
    )


def _insert(connection: Any, sql: str, input_format: str, data: bytes) -> Result:  # noqa: ANN401 - chDB is not typed
    """
    Insert by way of a file.

    chDB's own streaming insert reports errors of parsing but hides errors of writing (a violated constraint, too many
    parts): the client would be told that its rows are stored, and they would be lost.
    """
    with NamedTemporaryFile() as spool:
        spool.write(data)
        spool.flush()
        head, settings = _without_settings(sql)
        statement = f"{head} FROM INFILE {_literal(spool.name)} {settings} FORMAT {input_format}"
        try:
            done = connection.query(statement)
        except (ChdbError, RuntimeError) as error:
            raise ClickHouseError(str(error).replace(f": (in file/uri {spool.name})", "")) from error
    return Result(
        b"",
        # A server counts the rows of the body, and the rows that materialized views read on the way.
        done.rows_read() + done.storage_rows_read(),
        done.bytes_read() + done.storage_bytes_read(),
        done.rows_written(),
        done.bytes_written(),
    )


def _without_settings(sql: str) -> tuple[str, str]:
    """Cut the SETTINGS off an INSERT: they have to follow the file."""
    found = _SETTINGS.search(sql)
    return (sql[: found.start()], found.group()) if found else (sql, "")


def _set(connection: Any, settings: Mapping[str, str]) -> None:  # noqa: ANN401 - chDB is not typed
    connection.query("SET " + ", ".join(f"{name} = {_literal(value)}" for name, value in settings.items()))


def _setting(connection: Any, name: str) -> str:  # noqa: ANN401 - chDB is not typed
    return bytes(connection.query(f"SELECT getSetting('{name}')", "TSVRaw").bytes()).decode().removesuffix("\n")


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
