"""
The cells of deliveries: counts by time of sending and route, absolute numbers that move with the SMS.

A cell is a window of five minutes of sending, and six values of the SMS: country, operator, sender, application,
originating service and label. Its row lies beside those of the messages and is written in the same batch, so the two
cannot drift apart.

Strangers can invent operators and labels, so a window has a bounded number of cells. With less room left, a cell that
would be new gives up its label, then also its sender, then all but its country, at last its country, too: `other`
stands for them. Which cells have their names is what the rows have, and is never revised.
"""

from bisect import bisect_left
from functools import lru_cache
from typing import Any, Final, NotRequired, TypedDict

import orjson

from streams.contract.remembered import remembered
from streams.domain.counts import OTHER, add, replace
from streams.domain.details import Details
from streams.domain.lifecycle import Sms
from streams.domain.row_forms import filled
from streams.domain.statuses import DELIVERED, changes_of_mind, is_final

WINDOW_MS: Final = 300_000

LATENCY_BOUNDS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 14_400, 43_200, 86_400)
"""Seconds; a latency counts under the least bound that it does not exceed."""
MORE: Final = "more"
"""Stands for latencies over the last bound."""

Route = tuple[str | None, ...]
"""Country, operator, sender, application, originating service, label."""

CELL_PREFIX: Final = b"d:"

LEVELS: Final = 5
_SHARES: Final = (0.7, 0.8, 0.9)
"""Of the cells of a window: so many may be there for one more with its label, its sender, its operator."""


def route_of(details: Details) -> Route:
    """Return the values of an SMS that choose its cell."""
    return (
        details.country,
        details.operator,
        details.sender,
        details.application_name,
        details.originating_service,
        details.label,
    )


def coarsened(route: Route, level: int) -> Route:
    """Return a route at a level, 0 to 4: from all its values to none, the others being `other`."""
    country, operator, sender, application, service, _ = route
    match level:
        case 0:
            return route
        case 1:
            return country, operator, sender, application, service, OTHER
        case 2:
            return country, operator, OTHER, application, service, OTHER
        case 3:
            return country, OTHER, OTHER, OTHER, OTHER, OTHER
        case _:
            return (OTHER,) * 6


@lru_cache(maxsize=16)
def rooms(cells: int) -> tuple[int, ...]:
    """Return for each level how many cells a window of `cells` at most may have for one more of this level."""
    return (*(int(cells * share) for share in _SHARES), cells - 1, cells)


def entered(window: int, level: int) -> int:
    """Return the number by which the row of an SMS says which cell it entered; 0 says that it entered none."""
    return window * 8 + level + 1


def cell_name(window: int, route: Route) -> str:
    """Return the name of a cell: its window, and its route as JSON."""
    return f"{window}:{orjson.dumps(route).decode()}"


@lru_cache(maxsize=4096)
def name_entered(cell: int, route: Route) -> str:
    """Return the name of the cell that an SMS of this route entered."""
    return cell_name(cell >> 3, coarsened(route, (cell & 7) - 1))


def cell_key(name: str) -> bytes:
    """Return the key of the row of a cell."""
    return CELL_PREFIX + name.encode()


def place_named(name: str) -> tuple[int, Route]:
    """Return the window and the route of a cell."""
    window, _, route = name.partition(":")
    return int(window), tuple(orjson.loads(route))


class CellCounts(TypedDict):
    """The row of a cell."""

    v: int
    """Offset of the source record that moved the counts last: within a generation the greater is newer."""
    taken: int
    """Callbacks of that record taken in so far; the greater is newer."""
    erased: NotRequired[int]
    """SMS that left or entered because they were erased, with no record; of counts with the same record the greater."""
    messages: dict[str, int]
    """By status; a message counts in the cell of its first part."""
    parts: dict[str, int]
    conflicts: int
    latencies: dict[str, int]
    """Delivered parts by the bound of their latency, in seconds, or MORE."""
    price: str
    """Of all parts, in units of 1e-8, as text, like the other two."""
    price_delivered: str
    price_undelivered: str
    """Of final parts that were not delivered."""
    unpriced: int
    """Parts without a price."""
    closed: NotRequired[bool]
    """The counts are the last ones of this source partition."""


def no_cell_counts() -> CellCounts:
    """Return the counts of an empty cell: the default of each field."""
    return CellCounts(
        v=0,
        taken=0,
        messages={},
        parts={},
        conflicts=0,
        latencies={},
        price="0",
        price_delivered="0",
        price_undelivered="0",
        unpriced=0,
    )


Share = tuple[str, int | None, str | None, int]
"""The share of a part in the counts of its cell: status, price, bound of its latency when delivered, conflicts."""

_BOUNDS: Final = (*map(str, LATENCY_BOUNDS), MORE)


def share_of(sms: Sms) -> Share:
    """Return the share of a part."""
    status, details, finals = sms.status, sms.details, sms.finals
    latency, bound = details.latency_seconds, None
    if latency is not None and status == DELIVERED:
        bound = _bound_of(latency)
    return status, details.price, bound, changes_of_mind(finals) if finals else 0


# Latencies are whole seconds, and few: looking for the bound takes longer than remembering it.
@remembered(4096)
def _bound_of(latency: float) -> str:
    return _BOUNDS[bisect_left(LATENCY_BOUNDS, latency)]


class CellTallying:
    """
    The counts of one cell while SMS move them.

    Writing them and reading them back at any point does not change the result.
    """

    __slots__ = ("_delivered", "_entering", "_latencies", "_messages", "_parts", "_price", "_row", "_undelivered")

    def __init__(self, row: dict[str, Any] | None) -> None:
        """Begin with a row of any version, None for a new cell; the row belongs to this object from then on."""
        new: Any = no_cell_counts()
        self._row: CellCounts = new if row is None else filled(new, row)
        self._messages = self._row["messages"]
        self._parts = self._row["parts"]
        self._latencies = self._row["latencies"]
        self._price = int(self._row["price"])
        self._delivered = int(self._row["price_delivered"])
        self._undelivered = int(self._row["price_undelivered"])
        self._entering: dict[tuple[Share, str | None], list[int]] = {}
        """How often, as a list of one: looking for an entry takes most of the time, and a number asks for it twice."""

    def enter(self, share: Share, status: str | None) -> None:
        """
        Add the share of a part, and the status of its message; None: the message is elsewhere.

        The same as `add`: equal ones are only counted here, because most SMS enter like the one before, and are added
        together before anything else.
        """
        entry = share, status
        found = self._entering.get(entry)
        if found is None:
            self._entering[entry] = [1]
        else:
            found[0] += 1

    def _settle(self) -> None:
        """Add the shares that have entered."""
        entering, self._entering = self._entering, {}
        for (share, status), (times,) in entering.items():
            self.add(share, status, times)

    def add(self, share: Share | None, status: str | None, change: int) -> None:
        """Add the share of a part and the status of a message, or take them away (`change` < 0); None: nothing."""
        if self._entering:
            self._settle()
        if status is not None:
            add(self._messages, status, change)
        if share is not None:
            add(self._parts, share[0], change)
            self._add_figures(share, change)

    def replace(self, old: Share, new: Share, was: str | None, now: str | None) -> None:
        """Replace the share of a part, and the status of its message; None: the message is elsewhere."""
        if self._entering:
            self._settle()
        if was is not None and now is not None and was != now:
            replace(self._messages, was, now)
        if old == new:
            return
        former, old_price, _, old_conflicts = old
        status, price, _, conflicts = new
        if former != status:
            replace(self._parts, former, status)
        if is_final(former) or price != old_price or conflicts != old_conflicts:
            self._add_figures(old, -1)
            self._add_figures(new, 1)
        elif is_final(status):  # it was on its way, nearly always
            self._add_outcome(new, 1)

    def _add_figures(self, share: Share, change: int) -> None:
        status, price, _, conflicts = share
        if conflicts:
            self._row["conflicts"] += change * conflicts
        if price is None:
            self._row["unpriced"] += change
        else:
            self._price += change * price
        if is_final(status):
            self._add_outcome(share, change)

    def _add_outcome(self, share: Share, change: int) -> None:
        """Add the figures that only a final status brings."""
        status, price, bound, _ = share
        if bound is not None:
            add_number(self._latencies, bound, change)
        if price and status == DELIVERED:
            self._delivered += change * price
        elif price:
            self._undelivered += change * price

    def count_erased(self) -> None:
        """Count an SMS that left or entered because it was erased."""
        self._row["erased"] = self._row.get("erased", 0) + 1

    def reach(self, offset: int, taken: int) -> None:
        """Note that the counts contain the first `taken` callbacks of the envelope at `offset`."""
        self._row["v"] = offset
        self._row["taken"] = taken

    def row(self) -> CellCounts:
        """Return the row."""
        if self._entering:
            self._settle()
        row = self._row
        row["price"], row["price_delivered"] = str(self._price), str(self._delivered)
        row["price_undelivered"] = str(self._undelivered)
        return row


def add_number(numbers: dict[str, int], name: str, change: int) -> None:
    """Add `change` under a name; a number that becomes 0 is left out."""
    number = numbers.get(name, 0) + change
    if number:
        numbers[name] = number
    else:
        numbers.pop(name, None)
