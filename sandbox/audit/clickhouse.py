"""
Reading from ClickHouse over HTTP: rows as dicts, in the forms of the topics' records.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request

import orjson

from sandbox.audit.errors import SourceError
from sandbox.audit.http import fetch

_FORMS: Final = {
    "default_format": "JSONEachRow",
    "date_time_output_format": "iso",
    "output_format_json_quote_decimals": "1",
    "output_format_json_quote_64bit_integers": "0",
}


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """One database of a ClickHouse server, as one of its users."""

    url: str
    user: str
    database: str
    password: str = field(default="", repr=False)

    def rows(self, sql: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a query: decimals as text, times as ISO 8601. SourceError when it can not be answered."""
        return (orjson.loads(line) for line in self.text(sql).splitlines())

    def text(self, sql: str, **settings: str) -> bytes:
        """Return the answer as it comes, by default one JSON object a line."""
        query = urlencode({"database": self.database, **_FORMS, **settings})
        headers = {"X-ClickHouse-User": self.user, "X-ClickHouse-Key": self.password}
        request = Request(f"{self.url}/?{query}", sql.encode(), headers)  # noqa: S310 - the URL of the settings
        try:
            return fetch(request)
        except HTTPError as error:
            raise SourceError(f"ClickHouse: {error.read().decode(errors='replace').strip()[:300]}") from error
        except OSError as error:
            raise SourceError(f"ClickHouse does not answer at {self.url}: {error}") from error
