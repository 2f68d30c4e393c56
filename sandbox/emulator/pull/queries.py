"""
The query of a request: pages, ranges of time and filters, read as Routee reads them.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from sandbox.emulator.pull.options import WINDOW_SECONDS
from sandbox.emulator.traffic.model import StatusCallback

DEFAULT_SIZE: Final = 20
MOST_SIZE: Final = 2000


class QueryError(Exception):
    """A request that is answered 400; `str()` says why."""


class Paging(NamedTuple):
    """Which page of a list."""

    number: int
    size: int


def paging(query: Mapping[str, str]) -> Paging:
    """Return the page that is asked for; QueryError when it is none."""
    try:
        number, size = int(query.get("page", "0")), int(query.get("size", str(DEFAULT_SIZE)))
    except ValueError as error:
        raise QueryError("page and size are whole numbers") from error
    if number < 0 or not 1 <= size <= MOST_SIZE:
        raise QueryError(f"page is 0 or more, size is 1 to {MOST_SIZE}")
    return Paging(number, size)


def date_range(query: Mapping[str, str], now: float) -> tuple[float, float]:
    """Return the range of time; QueryError when it is missing or begins before the last seven days."""
    begin, end = _moment(query, "dateStart"), _moment(query, "dateEnd")
    if begin < now - WINDOW_SECONDS:
        raise QueryError("accept a date range only for the latest 7 days")
    if end < begin:
        raise QueryError("dateEnd is before dateStart")
    return begin, end


def _moment(query: Mapping[str, str], name: str) -> float:
    try:
        moment = datetime.fromisoformat(query[name])
    except (KeyError, ValueError) as error:
        raise QueryError(f"{name} is required, as ISO-8601") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_FIELDS: Final[Mapping[str, Callable[[StatusCallback], str]]] = {
    "smsId": lambda entry: entry.part.sms_id,
    "to": lambda entry: entry.message.recipient.lstrip("+"),
    "status.status": lambda entry: entry.change.status.value,
    "direction": lambda _: "Outbound",
    "label": lambda entry: entry.message.occasion.label,
    "campaign": lambda entry: entry.message.campaign.name if entry.message.campaign else "",
}


def matching(entries: list[StatusCallback], body: bytes) -> list[StatusCallback]:
    """Return the SMS that pass all filters of a body; QueryError when it is no list of filters."""
    try:
        filters = orjson.loads(body or b"[]")
        for wanted in filters:
            entries = [entry for entry in entries if _passes(entry, wanted)]
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise QueryError("the body is a list of fieldName, searchTerm and searchOperator `is`") from error
    return entries


def _passes(entry: StatusCallback, wanted: Mapping[str, Any]) -> bool:
    if wanted.get("searchOperator", "is") != "is":
        raise KeyError("searchOperator")
    term = str(wanted["searchTerm"])
    return _FIELDS[wanted["fieldName"]](entry) == term.lstrip("+" if wanted["fieldName"] == "to" else "")
