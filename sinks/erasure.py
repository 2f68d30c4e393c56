"""
`routee-sinks erasure`: the rows that the stores of the sinks have of given people, to show them or to count them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal, Protocol

import orjson

from sinks.blanking import PERSONAL, RECIPIENT, body_of, is_covered
from sinks.clickhouse.client import connect
from sinks.clickhouse.erasure import ClickHouseRows
from sinks.erasing import Erasing
from sinks.kafka.erasures import KafkaErasures
from sinks.raw_callbacks import callback_in
from sinks.settings import SinksSettings
from streams.contract.codec import format_time
from streams.contract.erasures import Erasures, normal_form, recipients_in

StoreName = Literal["clickhouse", "files"]
STORES: Final[tuple[StoreName, ...]] = ("clickhouse", "files")

Row = dict[str, Any]


class UnusableNumbersError(Exception):
    """The input has no usable number, or lines that are none. `str()` has a line for each, without its text."""


class People:
    """The people whose rows are looked for, by their numbers in any spelling."""

    def __init__(self, numbers: frozenset[str]) -> None:
        self._numbers = numbers

    def has(self, recipient: str) -> bool:
        """Return whether the recipient is one of them."""
        return normal_form(recipient) in self._numbers

    def in_row(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row is of one of them, or is a refused or raw callback whose body names one."""
        if (callback := callback_in(row)) is not None:
            return any(map(self.has, callback.recipients()))
        if RECIPIENT in row:
            recipient = row[RECIPIENT]
            return isinstance(recipient, str) and self.has(recipient)
        body = body_of(row)
        return body is not None and any(map(self.has, recipients_in(body)))


def read_people(lines: Iterable[str]) -> People:
    """Return the people of a list of numbers, one a line. UnusableNumbersError names every line that is none."""
    given = [(place, line.strip()) for place, line in enumerate(lines, 1) if line.strip()]
    if not given:
        raise UnusableNumbersError("no numbers: give them on standard input, one a line")
    forms = [(place, normal_form(line)) for place, line in given]
    if wrong := [f"line {place}: not a number" for place, form in forms if form is None]:
        raise UnusableNumbersError("\n".join(wrong))
    return People(frozenset(form for _, form in forms if form))


class Rows(Protocol):
    """The rows of a store."""

    def of(self, may_be: Callable[[str], bool], is_wanted: Callable[[Row], bool]) -> Iterator[tuple[str, str, Row]]:
        """Yield place, kind and columns of the wanted rows; `may_be` tells of which recipients they may be."""

    def without_data(self) -> int:
        """Return how many rows have no data of a person, as erasures and settings leave them."""


def export(settings: SinksSettings, stores: Iterable[StoreName], people: People) -> Iterator[bytes]:
    """Yield a line of JSON for each row of the people."""
    for store in stores:
        for place, _, row in _rows(settings, store).of(people.has, people.in_row):
            yield orjson.dumps({"store": store, "place": place, "record": _plain(row)}, default=_told)


def verify(settings: SinksSettings, stores: Iterable[StoreName], people: People) -> Iterator[dict[str, Any]]:
    """
    Yield for each store how many rows of the people it still has.

    `found` are the rows that an erasure covers, and `not_covered` the others: later SMS. `erased` are all rows of the
    store without data of a person: nothing tells any more whose they were. `expires_on` is null: a sink erases at once.
    """
    erasures = _erasures(settings)
    for store in stores:
        rows = _rows(settings, store)
        covered = [is_covered(kind, row, erasures) for _, kind, row in rows.of(people.has, people.in_row)]
        yield {
            "store": store,
            "found": sum(covered),
            "erased": rows.without_data(),
            "not_covered": len(covered) - sum(covered),
            "expires_on": None,
        }


def _rows(settings: SinksSettings, store: StoreName) -> Rows:
    if store == "clickhouse":
        return ClickHouseRows(lambda: connect(settings))
    # Arrow takes 45 MB, which ClickHouse's sink does not need.
    from sinks.files.objects import open_root  # noqa: PLC0415
    from sinks.files.personal_rows import FileRows  # noqa: PLC0415

    return FileRows(open_root(settings.sinks_files_root), list(PERSONAL))


def _erasures(settings: SinksSettings) -> Erasures:
    erasing = Erasing(settings.erasure_marks)
    with closing(KafkaErasures(settings)) as source:
        erasing.add(source.all())
    return erasing.known.erasures


def _plain(row: Row) -> Row:
    return {name: _told(value) if isinstance(value, datetime | Decimal) else value for name, value in row.items()}


def _told(value: object) -> object:
    """Return a value in the form that the contract's records have."""
    if isinstance(value, datetime):
        return format_time(value if value.tzinfo else value.replace(tzinfo=UTC))
    return format(value, "f") if isinstance(value, Decimal) else str(value)
