"""
Pure: where the SQL of a request ends and the data it inserts begins, and what a statement may do.
"""

import re
from dataclasses import dataclass
from typing import Final

from sandbox.clickhouse.errors import ClickHouseError, refusal

_TOKEN: Final = re.compile(
    rb"""
      (?P<quoted> '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" | `(?:\\.|[^`\\])*` )
    | (?P<comment> --[^\n]* | \#[^\n]* | /\*.*?\*/ )
    | (?P<word> [A-Za-z_][A-Za-z0-9_]* )
    | (?P<other> \S )
    """,
    re.VERBOSE | re.DOTALL,
)
_FORMAT_NAME: Final = re.compile(rb"\s+([A-Za-z][A-Za-z0-9]*)")
_BEFORE_DATA: Final = re.compile(rb"[ \t]*;?[ \t]*\r?\n?")
_NAMES_FOLLOW: Final = frozenset({b"INTO", b"TABLE", b"FUNCTION", b"."})
_OUTPUT_FORMAT: Final = re.compile(r"\bFORMAT\s+([A-Za-z][A-Za-z0-9]*)\s*(?:SETTINGS\b[^']*)?$", re.IGNORECASE)
_FIRST_WORD: Final = re.compile(r"[\s(]*([A-Za-z]+)")
_READS: Final = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "VALUES"})
# chDB refuses to create these tables but keeps the half-created table: the data folder would never open again.
_RUINOUS: Final = re.compile(r"\bENGINE\s*=\s*(Kafka|RabbitMQ|NATS)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement; for an INSERT whose rows came along, `data` in `input_format`, and the SQL ends before."""

    sql: str
    input_format: str | None = None
    data: bytes = b""

    @property
    def output_format(self) -> str | None:
        """Return the format that the statement itself names for its result."""
        found = _OUTPUT_FORMAT.search(self.sql)
        return found.group(1) if found else None

    @property
    def only_reads(self) -> bool:
        """Return whether the statement can not change anything."""
        word = _FIRST_WORD.match(self.sql)
        return self.input_format is None and word is not None and word.group(1).upper() in _READS


def read_statement(query: bytes, body: bytes) -> Statement:
    """
    Return the statement of a request: its SQL is the URL's `query`, followed by the body, and either may be empty.

    Raises ClickHouseError for an empty or undecodable one, and for tables that chDB can not survive.
    """
    # Data in a body of its own need not be searched for SQL, nor copied, and may be megabytes of anything.
    statement = _split(query, body) or _without_body(query + b"\n" + body if query else body)
    if not statement.sql:
        raise refusal(62, "SYNTAX_ERROR", "Syntax error: Empty query")
    if _RUINOUS.search(statement.sql):
        raise refusal(48, "NOT_IMPLEMENTED", "This table engine is not usable in chDB")
    return statement


def _without_body(whole: bytes) -> Statement:
    return _split(whole, b"") or Statement(_sql(whole))


def _sql(text: bytes) -> str:
    try:
        return text.decode().strip().rstrip(";")
    except UnicodeDecodeError as error:
        raise ClickHouseError(f"Code: 62. DB::Exception: The query is not UTF-8: {error}. (SYNTAX_ERROR)") from None


def _split(text: bytes, more_data: bytes) -> Statement | None:
    """Cut `INSERT … FORMAT name data`; None for everything else, among it `VALUES`, which the engine reads itself."""
    previous = b""
    depth = 0
    for token in _TOKEN.finditer(text):
        word = token.group("word")
        if token.group("comment"):
            continue
        if not previous and (word is None or word.upper() != b"INSERT"):
            return None
        if word and depth == 0 and previous not in _NAMES_FOLLOW:
            if word.upper() in {b"VALUES", b"SELECT", b"WITH"}:
                return None
            if word.upper() == b"FORMAT" and (name := _FORMAT_NAME.match(text, token.end())):
                return _insert(text, token.start(), name, more_data)
        depth += _nesting(token.group())
        previous = token.group().upper()
    return None


def _nesting(token: bytes) -> int:
    return {b"(": 1, b"[": 1, b")": -1, b"]": -1}.get(token, 0)


def _insert(text: bytes, end_of_sql: int, name: re.Match[bytes], more_data: bytes) -> Statement | None:
    input_format = name.group(1).decode()
    if input_format.upper() == "VALUES":
        return None
    gap = _BEFORE_DATA.match(text, name.end())
    data = text[gap.end() if gap else name.end() :]
    # `INSERT … FORMAT CSV 1,2` in the URL with further rows in the body: the first row's line ends at the body.
    joined = data + b"\n" + more_data if data and more_data else data or more_data
    return Statement(_sql(text[:end_of_sql]), input_format, joined)
