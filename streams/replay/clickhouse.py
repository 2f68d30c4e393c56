"""
The tables of ClickHouse as a side of a comparison: read over HTTP into files of the form that a replay writes.

SMS and messages are those of the history up to the last record that the replay has read, of each partition: what a
worker made of later records is no difference. Campaigns and cells have no history by offsets: they are as of now.
"""

import http.client
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import orjson
from pydantic import Field, SecretStr

from streams.errors import StreamsError
from streams.program.settings import CommonSettings
from streams.replay.tables import CAMPAIGNS, MESSAGES, REJECTIONS, SMS, WINDOWS, Table

NAME: Final = "clickhouse"
"""Given in place of a folder."""

_SECONDS: Final = 3600
_SETTINGS: Final = {
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_escape_forward_slashes": "0",
    "output_format_parquet_string_as_string": "1",
    # A history may be longer than its memory.
    "max_bytes_before_external_sort": str(1 << 30),
    "max_bytes_before_external_group_by": str(1 << 30),
    "join_use_nulls": "1",
    "readonly": "2",
}
_NO_ROWS: Final = "false"


class ClickHouseSettings(CommonSettings):
    """The variables of `routee-sinks` that name a database."""

    clickhouse_url: str = Field(
        "http://127.0.0.1:8123",
        pattern=r"^https?://[^\s/@:]+(:\d{1,5})?(/[^\s?#]*)?$",
        json_schema_extra={"form": "http(s)://host:port"},
    )
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
    clickhouse_database: str = Field("routee", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")


class _NoRedirect(HTTPRedirectHandler):
    """The password is for the one address."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - as the library has it
        return None


class Database:
    """A database with the schema of the sinks; StreamsError, without a value of a row."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._url = settings.clickhouse_url
        # A proxy of the environment would see the password, too.
        self._open = build_opener(ProxyHandler({}), _NoRedirect).open

    def write(self, last: Mapping[int, int], into: Path) -> None:
        """Write a file for each table; `last` has the last offset of each partition that the replay has read."""
        for table in (SMS, MESSAGES, CAMPAIGNS, WINDOWS, REJECTIONS):
            source, rows = _SOURCES[table.name]
            types = self._types(source)
            if not types:
                raise StreamsError(f"CLICKHOUSE_DATABASE: it has no view {source}: run `routee-sinks schema`")
            columns = [f"{_as_in_a_replay(name, types[name])} AS `{name}`" for name in table.columns if name in types]
            more = "".join(f", {one}" for one in _PLACES.get(table.name, ()))
            path = table.path(into, 0)
            path.parent.mkdir()
            with path.open("wb") as file:
                query = f"SELECT {', '.join(columns)}{more} FROM {rows.replace('{within}', _within(last))}"  # noqa: S608 - names of ours
                for piece in self._answer(f"{query} FORMAT Parquet"):
                    file.write(piece)

    def _types(self, view: str) -> dict[str, str]:
        query = (
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() "  # noqa: S608 - names of ours
            f"AND table = '{view}' FORMAT JSONCompactEachRow"
        )
        try:
            return dict(map(orjson.loads, b"".join(self._answer(query)).splitlines()))
        except (ValueError, TypeError):
            raise StreamsError(
                f"CLICKHOUSE_URL={self._url}: something answers there, but not as ClickHouse does"
            ) from None

    def _answer(self, query: str) -> Iterator[bytes]:
        settings = self._settings
        told = urlencode({"database": settings.clickhouse_database, **_SETTINGS})
        headers = {
            "X-ClickHouse-User": settings.clickhouse_user,
            "X-ClickHouse-Key": settings.clickhouse_password.get_secret_value(),
        }
        base = self._url if urlsplit(self._url).path else f"{self._url}/"
        request = Request(f"{base}?{told}", data=query.encode(), headers=headers)  # noqa: S310 - http or https
        try:
            with self._open(request, timeout=_SECONDS) as answer:
                while piece := answer.read(1 << 20):
                    yield piece
        except HTTPError as error:
            code = error.headers.get("X-ClickHouse-Exception-Code")
            said = f"ClickHouse refuses a query with code {code}" if code else f"it answers with HTTP {error.code}"
            raise StreamsError(f"CLICKHOUSE_URL={self._url}: {said}") from None
        except (URLError, OSError, http.client.HTTPException) as error:
            raise StreamsError(f"CLICKHOUSE_URL={self._url}: ClickHouse does not answer there") from error


def fetched(settings: ClickHouseSettings, last: Mapping[int, int], into: Path) -> Path:
    """Write the tables into a folder, and return it; StreamsError."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    Database(settings).write(last, into)
    return into


def _within(last: Mapping[int, int]) -> str:
    """Return the condition of the rows that records before the end of the replay have made."""
    return " OR ".join(f"(`partition` = {one} AND `offset` <= {end})" for one, end in last.items()) or _NO_ROWS


def _as_in_a_replay(name: str, kind: str) -> str:
    """Return a column as a replay writes it: times and amounts are text, lists and maps JSON."""
    column, plain = f"r.`{name}`", kind.replace("LowCardinality(", "").replace("Nullable(", "")
    if plain.startswith("DateTime64"):
        return f"concat(replaceOne(toString({column}), ' ', 'T'), 'Z')"
    if plain.startswith("Map"):
        return f"toJSONString(mapSort({column}))"
    if plain.startswith("Array"):
        return f"toJSONString({column})"
    if plain.startswith("Decimal"):
        return f"toString({column})"
    if plain.startswith(("Int", "UInt")):
        return f"{'toInt64OrNull(toString(' if 'Nullable' in kind else 'toInt64(('}{column}))"
    return f"CAST({column} AS Nullable(String))" if plain.startswith("String") else column


_OF_HISTORY: Final = "(SELECT * FROM sms_history WHERE {within} ORDER BY %s LIMIT 1 BY %s) AS r"
_WITH_FIRST_SMS: Final = (
    "(SELECT * FROM %s) AS r LEFT JOIN (SELECT %s AS id, min((`partition`, `offset`)) AS place, "
    "tupleElement(place, 1) AS sms_partition, tupleElement(place, 2) AS sms_offset FROM sms_history GROUP BY id) AS s "
    "ON s.id = %s"
)
_CAMPAIGN: Final = "lower(ifNull(campaign_tracking_id, ''))"
_CELL: Final = ("country", "operator", "sender", "application_name", "originating_service", "label")


def _cell(start: str, prefix: str = "") -> str:
    names = ", ".join(f"ifNull({prefix}{name}, '')" for name in _CELL)
    return f"toString(({start}, {names}))"


_SOURCES: Final[Mapping[str, tuple[str, str]]] = {
    SMS.name: ("sms_history", _OF_HISTORY % ("generation DESC, revision DESC", "sms_key")),
    MESSAGES.name: ("sms_history", _OF_HISTORY % ("generation DESC, message_revision DESC", "message_id")),
    CAMPAIGNS.name: (
        "campaigns",
        _WITH_FIRST_SMS % ("campaigns", _CAMPAIGN, "lower(r.campaign_tracking_id)"),
    ),
    WINDOWS.name: (
        "delivery_windows",
        _WITH_FIRST_SMS
        % (
            "delivery_windows FINAL",
            _cell("toUnixTimestamp(toStartOfFiveMinutes(ifNull(sending_at, toDateTime64(0, 3, 'UTC'))))"),
            _cell("toUnixTimestamp(toDateTime(r.window_start, 'UTC'))", "r."),
        ),
    ),
    REJECTIONS.name: ("rejections", "(SELECT * FROM rejections WHERE {within}) AS r"),
}
"""Table → the view or table that has its columns, and what its rows are selected from."""

_OF_SMS: Final = ("toInt64(s.sms_partition) AS `partition`", "toInt64(s.sms_offset) AS `offset`")
_PLACES: Final[Mapping[str, tuple[str, ...]]] = {CAMPAIGNS.name: _OF_SMS, WINDOWS.name: _OF_SMS}
"""Tables whose rows tell no place: they have that of the first change of one of their SMS, null without any."""


NOT_COMPARED: Final[Mapping[str, frozenset[str]]] = {
    # They tell of flushes and of the records that were on the topics when a worker began.
    SMS.name: frozenset({"generation"}),
    MESSAGES.name: frozenset({"generation"}),
    CAMPAIGNS.name: frozenset({"generation", "revision", "finished_at"}),
    WINDOWS.name: frozenset({"generation", "revision"}),
    # The sink takes personal data out of bodies by a setting of its own.
    REJECTIONS.name: frozenset({"redacted"}),
}
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    table.name: tuple(name for name in table.key if name != "partition" or table is REJECTIONS)
    for table in (SMS, MESSAGES, CAMPAIGNS, WINDOWS, REJECTIONS)
}
"""In ClickHouse a row is known by its key alone, in any partition."""


def decimals(table: Table) -> frozenset[str]:
    """Return the columns of a table that are amounts: their texts may differ in zeros."""
    return frozenset(name for name in table.columns if name.startswith("price") or name == "message_price")


def containers(table: Table) -> Mapping[str, str]:
    """Return the columns that are never null in ClickHouse, and their value there without one."""
    empty = {"groups": "[]", "reported_by_status": "{}", "drift": "{}"}
    return {name: empty[name] for name in table.columns if name in empty}
