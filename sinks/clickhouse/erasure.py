"""
The data of people in the tables: found, and erased by mutations.

No number stands in a query, since ClickHouse keeps queries in logs. Recipients are compared here:

1. The distinct recipients are read, a share of them at a time.
2. Rows are read of the shares of recipients (one of 65,536) in which an erased one is, and compared one by one.
3. A mutation blanks the rows, named by their keys. ClickHouse writes the parts anew, so no merge brings a value back.
4. Step 2 is repeated until it finds nothing: then the mutations are done. Killed anywhere: all is done again.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from sinks.blanking import BODIES, RECEIVED, RECIPIENT, is_covered
from sinks.clickhouse.client import ClickHouse
from sinks.erasing import Known
from sinks.errors import RetryableError
from sinks.tables import REJECTED_CALLBACKS_TABLE, SMS_STATUS_TABLE
from streams.contract.erasures import BLANKED, MOMENTS, Erasures

Row = dict[str, Any]
ItemT = TypeVar("ItemT")

_RECIPIENTS_AT_ONCE: Final = 200_000
_SHARES: Final = 65_536
"""Shares of recipients. A share has many of the world's numbers: its name in a log tells none."""
_SHARE: Final = f"bitAnd(cityHash64({RECIPIENT}), {_SHARES - 1})"
_SHARES_AT_ONCE: Final = 512
_ROWS_AT_ONCE: Final = 500
# A statement may have 256 KiB, and a key of an SMS is some 60 bytes.
_KEYS_AT_ONCE: Final = 2_000
_MUTATION_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Personal:
    """A table with data of people."""

    table: str
    kind: str
    """The table of the sinks whose fields it has."""
    key: Sequence[str]
    """The columns that name a row."""
    blanked: Sequence[str]
    moments: Sequence[str] = ()
    """Of an SMS, as far as the table has them."""


SMS_KEY: Final = ("sms_key", "generation", "revision")
REJECTION_KEY: Final = ("origin_partition", "origin_offset", "origin_index", "topic_partition", "topic_offset")
_OF_SMS: Final = ("sms_status", "sms_status_history")
_OF_MESSAGES: Final = "message_status"
TABLES: Final = (
    *(Personal(table, SMS_STATUS_TABLE, SMS_KEY, BLANKED, MOMENTS) for table in _OF_SMS),
    # Last: the dates that Routee gave are those of its SMS.
    Personal(
        _OF_MESSAGES, SMS_STATUS_TABLE, ("message_id", "generation", "revision"), (RECIPIENT,), ("first_received_at",)
    ),
    Personal("rejected_callbacks", REJECTED_CALLBACKS_TABLE, REJECTION_KEY, BODIES),
)
"""The tables that keep data of people."""
_BLANK: Final = {
    SMS_STATUS_TABLE: f"{RECIPIENT} IS NULL",
    REJECTED_CALLBACKS_TABLE: " AND ".join(f"{name} IS NULL" for name in BODIES),
}


class ClickHouseErasure:
    """Implements `Store` over the tables of a database, with a connection of its own for each call."""

    def __init__(self, connect: Callable[[], ClickHouse]) -> None:
        self._connect = connect

    def erase(self, known: Known) -> int:
        """Blank the covered rows of all tables; returns when no query finds them any more."""
        with closing(self._connect()) as clickhouse:
            return sum(_erase(clickhouse, personal, known) for personal in TABLES)


class ClickHouseRows:
    """Implements `Rows` over the tables of a database; reads only."""

    def __init__(self, connect: Callable[[], ClickHouse]) -> None:
        self._connect = connect

    def of(self, may_be: Callable[[str], bool], is_wanted: Callable[[Row], bool]) -> Iterator[tuple[str, str, Row]]:
        """Yield the wanted rows of all tables; a row that is there twice until a merge, once."""
        with closing(self._connect()) as clickhouse:
            for personal in TABLES:
                found = _Candidates(clickhouse, personal, may_be).rows()
                keys = sorted({_key(personal, row) for row in found if is_wanted(row)})
                for some in _pieces(keys, _KEYS_AT_ONCE):
                    for row in clickhouse.records(
                        f"SELECT DISTINCT * FROM {personal.table} WHERE {_named(personal)}",  # noqa: S608 - our own words
                        {"keys": tuple(some)},
                    ):
                        yield personal.table, personal.kind, row

    def without_data(self) -> int:
        """Return how many rows have no data of a person."""
        with closing(self._connect()) as clickhouse:
            return sum(
                clickhouse.value(f"SELECT count() FROM {personal.table} WHERE {_BLANK[personal.kind]}")  # noqa: S608 - same
                for personal in TABLES
            )


def _erase(clickhouse: ClickHouse, personal: Personal, known: Known) -> int:
    erasures = known.erasures
    candidates = _Candidates(clickhouse, personal, lambda recipient: erasures.erased_at(recipient) is not None)
    erased = 0
    deadline = time.monotonic() + _MUTATION_SECONDS
    begun: set[tuple[Any, ...]] = set()
    while keys := set(_covered(clickhouse, personal, candidates.rows(), erasures)):
        if time.monotonic() > deadline:
            raise RetryableError(f"ClickHouse has not done the mutations of {personal.table} within some minutes")
        # Rows that a sink inserted meanwhile, which does not know the erasure yet, are erased, too.
        for some in _pieces(sorted(keys - begun), _KEYS_AT_ONCE):
            _blank(clickhouse, personal, some)
        erased += len(keys - begun)
        begun |= keys
        time.sleep(_LOOK_SECONDS)
    return erased


def _covered(
    clickhouse: ClickHouse, personal: Personal, rows: Iterable[Row], erasures: Erasures
) -> Iterator[tuple[Any, ...]]:
    """Yield the keys of the covered rows; a message is one, too, when its SMS has lost its data."""
    others: list[Row] = []
    for row in rows:
        if is_covered(personal.kind, row, erasures):
            yield _key(personal, row)
        else:
            others.append(row)
    if personal.table == _OF_MESSAGES:
        erased = _erased_sms(clickhouse, [_sms_of(row) for row in others])
        yield from (_key(personal, row) for row in others if _sms_of(row) in erased)


def _sms_of(row: Row) -> tuple[str, int]:
    """Return the name of the SMS by which a message has changed: its message, and its first receipt."""
    return row["message_id"], round(row["first_received_at"].timestamp() * 1000)


def _erased_sms(clickhouse: ClickHouse, wanted: Sequence[tuple[str, int]]) -> set[tuple[Any, ...]]:
    named = f"message_id, {_milliseconds('first_received_at')}"
    return {
        row
        for some in _pieces(wanted, _KEYS_AT_ONCE)
        for table in _OF_SMS
        for row in clickhouse.rows(
            f"SELECT {named} FROM {table} WHERE {RECIPIENT} IS NULL AND ({named}) IN %(keys)s",  # noqa: S608 - our own
            {"keys": tuple(some)},
        )
    }


def _blank(clickhouse: ClickHouse, personal: Personal, keys: Sequence[tuple[Any, ...]]) -> None:
    changes = ", ".join(f"{column} = NULL" for column in personal.blanked)
    clickhouse.execute(
        f"ALTER TABLE {personal.table} UPDATE {changes} WHERE {_named(personal)}",
        {"keys": tuple(keys)},
    )


def _named(personal: Personal) -> str:
    """Return the condition that a row has one of the keys of the parameter."""
    return f"({', '.join(personal.key)}) IN %(keys)s"


def _key(personal: Personal, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column] for column in personal.key)


class _Candidates:
    """The rows of a table that may be of recipients: all of these are among them."""

    def __init__(self, clickhouse: ClickHouse, personal: Personal, is_wanted: Callable[[str], bool]) -> None:
        self._clickhouse = clickhouse
        self._personal = personal
        self._is_wanted = is_wanted
        self._columns: Sequence[str] = ()

    def rows(self) -> Iterator[Row]:
        """Yield the keys and the deciding columns of the rows."""
        if self._personal.kind == REJECTED_CALLBACKS_TABLE:
            return self._refused()
        return self._of_shares(self._shares())

    def _shares(self) -> list[int]:
        """Return the shares of recipients in which a wanted one is."""
        table = self._personal.table
        number = self._clickhouse.value(f"SELECT uniq({RECIPIENT}) FROM {table}")  # noqa: S608 - our own words
        pieces = number // _RECIPIENTS_AT_ONCE + 1
        shares: set[int] = set()
        for piece in range(pieces):
            found = self._clickhouse.rows(
                f"SELECT DISTINCT {RECIPIENT}, {_SHARE} FROM {table} "  # noqa: S608 - same
                f"WHERE {RECIPIENT} != '' AND modulo(cityHash64({RECIPIENT}), {pieces}) = {piece}"
            )
            shares.update(share for recipient, share in found if self._is_wanted(recipient))
        return sorted(shares)

    def _of_shares(self, shares: Sequence[int]) -> Iterator[Row]:
        columns = (*self._personal.key, RECIPIENT)
        moments = self._personal.moments
        selected = ", ".join((*columns, *map(_milliseconds, moments)))
        for some in _pieces(shares, _SHARES_AT_ONCE):
            for values in self._clickhouse.rows(
                f"SELECT {selected} FROM {self._personal.table} "  # noqa: S608 - our own words and numbers
                f"WHERE {RECIPIENT} != '' AND {_SHARE} IN ({', '.join(map(str, some))})"
            ):
                row = dict(zip((*columns, *moments), values, strict=True))
                yield row | {name: _moment(row[name]) for name in moments}

    def _refused(self) -> Iterator[Row]:
        """Yield the rows that have a body, in the order of their key, some at a time: a body may be large."""
        key = self._personal.key
        columns = (*key, *BODIES)
        selected = ", ".join((*columns, _milliseconds(RECEIVED)))
        after = ""
        while True:
            found = self._clickhouse.rows(
                f"SELECT {selected} FROM {self._personal.table} "  # noqa: S608 - our own words and numbers
                f"WHERE NOT ({_BLANK[self._personal.kind]}){after} ORDER BY {', '.join(key)} LIMIT {_ROWS_AT_ONCE}"
            )
            for values in found:
                row = dict(zip((*columns, RECEIVED), values, strict=True))
                yield row | {RECEIVED: _moment(row[RECEIVED])}
            if len(found) < _ROWS_AT_ONCE:
                return
            after = f" AND ({', '.join(key)}) > ({', '.join(map(str, found[-1][: len(key)]))})"


def _milliseconds(column: str) -> str:
    return f"toUnixTimestamp64Milli({column})"


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _pieces(items: Sequence[ItemT], size: int) -> Iterator[Sequence[ItemT]]:
    return (items[start : start + size] for start in range(0, len(items), size))
