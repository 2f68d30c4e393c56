"""
The data of people in the tables: found, and erased by mutations.

No number stands in a query, since ClickHouse keeps queries in logs. Recipients are compared here:

1. The distinct recipients of all tables are read, once and some at a time.
2. Rows are read of the shares of recipients (one of 65,536) in which an erased one is, and compared one by one.
3. Mutations blank the rows, named by their keys. ClickHouse writes the parts anew, so no merge brings a value back.
4. Step 2 is repeated until it finds nothing: then the mutations are done. Killed anywhere: all is done again.

The mutations of several tables run at once; messages come last, because some are found by their erased SMS.
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
_SMS: Final = [Personal(table, SMS_STATUS_TABLE, SMS_KEY, BLANKED, MOMENTS) for table in _OF_SMS]
_REFUSED: Final = Personal("rejected_callbacks", REJECTED_CALLBACKS_TABLE, REJECTION_KEY, BODIES)
# Last: the dates that Routee gave are those of its SMS.
_MESSAGES: Final = Personal(
    _OF_MESSAGES, SMS_STATUS_TABLE, ("message_id", "generation", "revision"), (RECIPIENT,), ("first_received_at",)
)
_STEPS: Final = ((*_SMS, _REFUSED), (_MESSAGES,))
TABLES: Final = tuple(personal for together in _STEPS for personal in together)
"""The tables that keep data of people."""
_RECIPIENTS: Final = " UNION ALL ".join(f"SELECT {RECIPIENT} FROM {one.table}" for one in (*_SMS, _MESSAGES))  # noqa: S608 - our own names
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
        erasures = known.erasures
        with closing(self._connect()) as clickhouse:
            shares = _shares(clickhouse, lambda recipient: erasures.erased_at(recipient) is not None)
            return sum(_erase(clickhouse, together, shares, erasures) for together in _STEPS)


class ClickHouseRows:
    """Implements `Rows` over the tables of a database; reads only."""

    def __init__(self, connect: Callable[[], ClickHouse]) -> None:
        self._connect = connect

    def of(self, may_be: Callable[[str], bool], is_wanted: Callable[[Row], bool]) -> Iterator[tuple[str, str, Row]]:
        """Yield the wanted rows of all tables; a row that is there twice until a merge, once."""
        with closing(self._connect()) as clickhouse:
            shares = _shares(clickhouse, may_be)
            for personal in TABLES:
                found = _candidates(clickhouse, personal, shares)
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


def _erase(clickhouse: ClickHouse, tables: Sequence[Personal], shares: Sequence[int], erasures: Erasures) -> int:
    """Blank the covered rows of some tables together; return how many when a look at each finds none any more."""
    begun: dict[str, set[tuple[Any, ...]]] = {personal.table: set() for personal in tables}
    left = tables
    deadline = time.monotonic() + _MUTATION_SECONDS
    while left := [one for one in left if _begin(clickhouse, one, shares, erasures, begun[one.table])]:
        if time.monotonic() > deadline:
            names = ", ".join(personal.table for personal in left)
            raise RetryableError(f"ClickHouse has not done the mutations of {names} within some minutes")
        time.sleep(_LOOK_SECONDS)
    return sum(map(len, begun.values()))


def _begin(
    clickhouse: ClickHouse,
    personal: Personal,
    shares: Sequence[int],
    erasures: Erasures,
    begun: set[tuple[Any, ...]],
) -> bool:
    """Begin the mutations of covered rows that are not `begun`; return whether there was any covered row."""
    keys = set(_covered(clickhouse, personal, _candidates(clickhouse, personal, shares), erasures))
    # Rows that a sink inserted meanwhile, which does not know the erasure yet, are erased, too.
    for some in _pieces(sorted(keys - begun), _KEYS_AT_ONCE):
        _blank(clickhouse, personal, some)
    begun |= keys
    return bool(keys)


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
        f"ALTER TABLE {_mutated(clickhouse, personal.table)} UPDATE {changes} WHERE {_named(personal)}",
        {"keys": tuple(keys)},
    )


def _mutated(clickhouse: ClickHouse, table: str) -> str:
    """Return the table for a mutation: on shards that of each, since the one above them keeps no rows."""
    shards = clickhouse.shards
    return f"{shards.tables}.{table} ON CLUSTER '{shards.cluster}'" if shards else table


def _named(personal: Personal) -> str:
    """Return the condition that a row has one of the keys of the parameter."""
    return f"({', '.join(personal.key)}) IN %(keys)s"


def _key(personal: Personal, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column] for column in personal.key)


def _shares(clickhouse: ClickHouse, is_wanted: Callable[[str], bool]) -> list[int]:
    """Return the shares of recipients in which a wanted one is, of all tables together."""
    number = clickhouse.value(f"SELECT uniq({RECIPIENT}) FROM ({_RECIPIENTS})")  # noqa: S608 - our own words
    pieces = number // _RECIPIENTS_AT_ONCE + 1
    shares: set[int] = set()
    for piece in range(pieces):
        found = clickhouse.rows(
            f"SELECT DISTINCT {RECIPIENT}, {_SHARE} FROM ({_RECIPIENTS}) "  # noqa: S608 - same
            f"WHERE {RECIPIENT} != '' AND modulo(cityHash64({RECIPIENT}), {pieces}) = {piece}"
        )
        shares.update(share for recipient, share in found if is_wanted(recipient))
    return sorted(shares)


def _candidates(clickhouse: ClickHouse, personal: Personal, shares: Sequence[int]) -> Iterator[Row]:
    """Yield keys and deciding columns of the rows that may be of recipients in these shares: all of theirs."""
    if personal.kind == REJECTED_CALLBACKS_TABLE:
        return _refused(clickhouse, personal)
    return _of_shares(clickhouse, personal, shares)


def _of_shares(clickhouse: ClickHouse, personal: Personal, shares: Sequence[int]) -> Iterator[Row]:
    columns, moments = (*personal.key, RECIPIENT), personal.moments
    selected = ", ".join((*columns, *map(_milliseconds, moments)))
    for some in _pieces(shares, _SHARES_AT_ONCE):
        for values in clickhouse.rows(
            f"SELECT {selected} FROM {personal.table} "  # noqa: S608 - our own words and numbers
            f"WHERE {RECIPIENT} != '' AND {_SHARE} IN ({', '.join(map(str, some))})"
        ):
            row = dict(zip((*columns, *moments), values, strict=True))
            yield row | {name: _moment(row[name]) for name in moments}


def _refused(clickhouse: ClickHouse, personal: Personal) -> Iterator[Row]:
    """Yield the rows that have a body, in the order of their key, some at a time: a body may be large."""
    key = personal.key
    columns = (*key, *BODIES)
    selected = ", ".join((*columns, _milliseconds(RECEIVED)))
    after = ""
    while True:
        found = clickhouse.rows(
            f"SELECT {selected} FROM {personal.table} "  # noqa: S608 - our own words and numbers
            f"WHERE NOT ({_BLANK[personal.kind]}){after} ORDER BY {', '.join(key)} LIMIT {_ROWS_AT_ONCE}"
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
