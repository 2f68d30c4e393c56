"""
ClickHouse over HTTP. Its errors are raised as the classes that say who has to act.
"""

import logging
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httpclient import HttpClient
from urllib3.exceptions import HTTPError, ProtocolError

from sinks.clickhouse.answer import error_of, rows_written
from sinks.clickhouse.codes import UNKNOWN_DATABASE, Meaning, meaning_of, name_of
from sinks.errors import ConnectError, RetryableError
from sinks.settings import Shards, SinksSettings

_CONNECT_SECONDS: Final = 5
_ANSWER_SECONDS: Final = 60
_NOISE: Final = re.compile(r"^.*?server response: | \(for url [^)]*\)$", re.DOTALL)
_HTTP_STATUS: Final = re.compile(r"HTTP status \d{3}")

INSERT_SETTINGS: Final[dict[str, str]] = {
    # A buffered insert would be acknowledged before its rows are written.
    "async_insert": "0",
    "date_time_input_format": "best_effort",
    # A newer version of streams may add fields, which must not stop an older sink.
    "input_format_skip_unknown_fields": "1",
    "input_format_null_as_default": "1",
    # Replicas would take a repeated insert for done, although only one of the two tables has its rows.
    "insert_deduplicate": "0",
    # A row is written when both tables have it.
    "materialized_views_ignore_errors": "0",
    # Merges and FINAL replace older revisions. Replacing them within each insert would double its processor time.
    "optimize_on_insert": "0",
    # The sink inserts one batch at a time: parallel parsing would only compete with merges and queries.
    "input_format_parallel_parsing": "0",
    # A bad row is an error, also where a profile of the user allows some.
    "input_format_allow_errors_num": "0",
    "input_format_allow_errors_ratio": "0",
}

SHARDED_INSERT_SETTINGS: Final[dict[str, str]] = {
    **INSERT_SETTINGS,
    # A row is written when its shard has it. Without, it would wait on the disk of the server that took it.
    "distributed_foreground_insert": "1",
    # Also the server's own shard is written over the wire, so the answer counts each row once.
    "prefer_localhost_replica": "0",
}

_ANSWER_SETTINGS: Final[dict[str, str]] = {
    # Status and summary are sent when the insert is over, and not before.
    "wait_end_of_query": "1",
    # Keeps the connection of a long statement alive, with a header before the client gives up.
    "send_progress_in_http_headers": "1",
    "http_headers_progress_interval_ms": str((_ANSWER_SECONDS - 5) * 1000),
}


class ClickHouse:
    """
    One connection to one database. Not for use by two threads at once.

    Every method raises RetryableError, PermanentError or FatalError as the error table says.
    """

    def __init__(self, client: HttpClient, time_zone: str, shards: Shards | None = None) -> None:
        self.time_zone = time_zone
        """The zone of days and hours in the views of this database."""
        self.shards = shards
        """The shards that have the rows, None where the server has all of them."""
        settings = SHARDED_INSERT_SETTINGS if shards else INSERT_SETTINGS
        self._insert_parameters = urlencode({**settings, **_ANSWER_SETTINGS})
        self._client = client
        self._base_url = client.url if urlsplit(client.url).path else f"{client.url}/"

    def insert_json(self, table: str, rows: Generator[bytes]) -> int:
        """
        Insert rows, given as pieces of a text with one JSON object per line.

        Return how many rows ClickHouse says it has written: in the table, and in each table that a materialized view
        fills from it; on shards, each row once. Each piece is sent when it is made: one large body would be copied
        twice before it is sent.
        """
        statement = {"query": f"INSERT INTO {table} FORMAT JSONEachRow", "database": self._client.database}
        try:
            # The client's own insert hides status and body of the answer. A redirect is an answer, too.
            answer = self._client.http.request(
                "POST",
                f"{self._base_url}?{urlencode(statement)}&{self._insert_parameters}",
                body=rows,
                headers={**self._client.headers, "Content-Type": "application/octet-stream"},
                timeout=self._client.timeout,
                retries=False,
            )
        except HTTPError as error:
            raise error_of(None, "") from error
        return rows_written(answer.status, answer.headers, answer.data)

    def execute(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        """Run a statement without a result. It may take hours, as long as ClickHouse tells that it is at work."""
        with _translated():
            self._client.command(sql, parameters=parameters, settings=_ANSWER_SETTINGS)

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with _translated():
            return [tuple(row) for row in self._client.query(sql, parameters=parameters).result_rows]

    def records(self, sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a query by the names of their columns."""
        with _translated():
            return list(self._client.query(sql, parameters=parameters).named_results())

    def value(self, sql: str, parameters: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - as the query says
        """Return the one value of a query; RetryableError when the answer has none, as that of an empty page."""
        rows = self.rows(sql, parameters)
        if len(rows) != 1 or len(rows[0]) != 1:
            raise RetryableError(
                "something at CLICKHOUSE_URL answers a query with nothing, as ClickHouse never does: look at the proxy"
            )
        return rows[0][0]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def connect(settings: SinksSettings, database: str | None = None) -> ClickHouse:
    """
    Connect to `database`, or to the one of the settings.

    ConnectError when ClickHouse cannot be reached or refuses the user: one line that says which.
    """
    # These libraries log the errors that they raise.
    for library in ("clickhouse_connect", "urllib3"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    url = urlsplit(settings.clickhouse_url)
    try:
        client = clickhouse_connect.get_client(
            interface=url.scheme,
            host=url.hostname,
            port=url.port or (8443 if url.scheme == "https" else 8123),
            proxy_path=url.path,
            username=settings.clickhouse_user,
            password=settings.clickhouse_password.get_secret_value(),
            database=settings.clickhouse_database if database is None else database,
            connect_timeout=_CONNECT_SECONDS,
            send_receive_timeout=_ANSWER_SECONDS,
            autogenerate_session_id=False,
            query_retries=0,
            compress=False,
        )
    except ClickHouseError as error:
        raise _unreachable(settings, error) from error
    return ClickHouse(cast("HttpClient", client), settings.clickhouse_time_zone, settings.shards)


def _unreachable(settings: SinksSettings, error: ClickHouseError) -> ConnectError:
    code = getattr(error, "code", None)
    if code is None:
        return ConnectError(f"CLICKHOUSE_URL={settings.clickhouse_url}: {_what_answers(error)}")
    if code == UNKNOWN_DATABASE:
        return ConnectError(
            f"CLICKHOUSE_DATABASE={settings.clickhouse_database}: ClickHouse has no such database "
            "(`routee-sinks schema` makes it)"
        )
    if meaning_of(code) is Meaning.PERSON:
        return ConnectError(
            f"CLICKHOUSE_USER={settings.clickhouse_user}, CLICKHOUSE_PASSWORD, CLICKHOUSE_DATABASE="
            f"{settings.clickhouse_database}: ClickHouse says {name_of(code)}"
        )
    return ConnectError(f"CLICKHOUSE_URL={settings.clickhouse_url}: ClickHouse says {name_of(code)}")


def _what_answers(error: ClickHouseError) -> str:
    """Return what listens at the address instead of ClickHouse, without the text of its answer."""
    cause = error.__cause__
    if cause is not None and not isinstance(cause, ProtocolError):
        return f"ClickHouse does not answer there ({_reason(cause)})"
    status = _HTTP_STATUS.search(str(error))
    return "something answers there, but not as ClickHouse does" + (f" ({status.group()})" if status else "")


def _reason(cause: BaseException) -> str:
    """Return the system's words if there are any (connection refused, name not known), else the name of the error."""
    reason: BaseException = getattr(cause, "reason", None) or cause
    system = reason.__cause__
    return system.strerror if isinstance(system, OSError) and system.strerror else type(reason).__name__


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClickHouseError as error:
        raise error_of(getattr(error, "code", None), _NOISE.sub("", str(error))) from error
