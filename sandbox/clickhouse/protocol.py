"""
Pure: what a request asks for, by ClickHouse's rules on parameters and headers.
"""

import base64
import re
from dataclasses import dataclass
from typing import Final

from sandbox.clickhouse.compression import decode_blocks, decode_body
from sandbox.clickhouse.errors import refusal
from sandbox.clickhouse.statement import Statement, read_statement

# Parameters that are no settings. This server accepts the ones that it does not implement; ignoring them does no harm.
_RESERVED: Final = frozenset(
    """
    add_http_cors_header buffer_size cancel_http_readonly_queries_on_client_close client_protocol_version
    close_session compress database decompress default_database default_format enable_http_compression format
    http_headers_progress_interval_ms http_zlib_compression_level password query query_id quota_key readonly role
    send_progress_in_http_headers session_check session_id session_timeout stacktrace user wait_end_of_query
    """.split()  # noqa: SIM905 - sixty quotation marks would hide the words
)
_SETTING_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER: Final = "param_"
_SESSION_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as received; header names in lower case."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def is_probe(self) -> bool:
        """Return whether the request only asks if the server is up."""
        bare = self.path in {"/", "/replicas_status"} and "query" not in self.parameters
        return self.path == "/ping" or (bare and self.method in {"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Session:
    """State that several requests share: temporary tables, `SET`. `must_exist` refuses to begin one."""

    name: str
    seconds: float
    must_exist: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A statement with everything that surrounds its execution."""

    statement: Statement
    output_format: str
    database: str | None
    settings: dict[str, str]
    parameters: dict[str, str]
    session: Session | None


def credentials(request: Request) -> tuple[str, str]:
    """Return user and password from where ClickHouse's clients put them: parameters, headers, or basic auth."""
    headers, parameters = request.headers, request.parameters
    user, password = "default", ""
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        user, password = headers.get("x-clickhouse-user", user), headers.get("x-clickhouse-key", "")
    elif headers.get("authorization", "").lower().startswith("basic "):
        user, password = _basic(headers["authorization"][6:])
    return parameters.get("user", user) or "default", parameters.get("password", password)


def read_query(request: Request) -> Query:
    """Return what the request asks for; raises ClickHouseError when it can not be understood or is not allowed."""
    body = decode_body(request.body, request.headers.get("content-encoding", "").strip().lower())
    if request.parameters.get("decompress") == "1":
        body = decode_blocks(body)
    statement = read_statement(request.parameters.get("query", "").strip().encode(), body)
    reading = request.method in {"GET", "HEAD"} or request.parameters.get("readonly", "0") != "0"
    if reading and not statement.only_reads:
        raise refusal(164, "READONLY", "Cannot execute query in readonly mode")
    return Query(
        statement,
        _output_format(request, statement),
        _database(request),
        _settings(request.parameters),
        {
            key.removeprefix(_PARAMETER): value
            for key, value in request.parameters.items()
            if key.startswith(_PARAMETER)
        },
        _session(request.parameters),
    )


def _basic(encoded: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return "default", ""  # which is then refused, unless nothing is asked for
    return user, password


def _output_format(request: Request, statement: Statement) -> str:
    asked = request.parameters.get("default_format") or request.headers.get("x-clickhouse-format")
    return statement.output_format or asked or "TabSeparated"


def _database(request: Request) -> str | None:
    parameters = request.parameters
    named = parameters.get("database") or request.headers.get("x-clickhouse-database")
    return named or parameters.get("default_database") or None


def _settings(parameters: dict[str, str]) -> dict[str, str]:
    settings = {
        name: value for name, value in parameters.items() if name not in _RESERVED and not name.startswith(_PARAMETER)
    }
    for name in settings:
        if not _SETTING_NAME.fullmatch(name):
            raise refusal(115, "UNKNOWN_SETTING", f"Setting {name} is neither a builtin setting nor a custom one")
    return settings


def _session(parameters: dict[str, str]) -> Session | None:
    if not parameters.get("session_id"):
        return None
    try:
        seconds = float(parameters.get("session_timeout", _SESSION_SECONDS))
    except ValueError:
        raise refusal(36, "BAD_ARGUMENTS", "session_timeout is not a number") from None
    return Session(parameters["session_id"], seconds, parameters.get("session_check") == "1")
