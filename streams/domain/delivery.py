"""
A cell with the counts of all source partitions: its row in the stage that merges them, and its public record.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict, cast

from streams.contract.codec import format_time_ms
from streams.domain.cells import WINDOW_MS, CellCounts, no_cell_counts, place_named
from streams.domain.money import MOST_UNITS, money_text
from streams.domain.policy import DAY_MS
from streams.domain.row_forms import filled


class PartitionCell(CellCounts):
    """The counts of a cell in one source partition."""

    generation: int
    """Generation of the rows that the counts were made from; the greater is newer."""


class Delivery(TypedDict):
    """The row of a cell in stage 2."""

    cell: str
    revision: int
    sources: dict[str, PartitionCell]
    """Source partition → its newest counts."""


_LATE_MS = 7 * DAY_MS
"""The most that a source partition lags behind another one: older callbacks have left Kafka."""


def read_delivery(row: Mapping[str, Any] | None, cell: str) -> Delivery:
    """Return the cell of a row that any version wrote; for None, a new one."""
    new = Delivery(cell=cell, revision=0, sources={})
    return new if row is None else filled(new, cast("Delivery", row))


def joined(delivery: Delivery, source: str, counts: dict[str, Any], generation: int) -> Delivery | None:
    """Return the cell with the counts of a source partition; None when these are not newer than the known ones."""
    unknown = PartitionCell(**no_cell_counts(), generation=0)
    theirs = filled(unknown, cast("PartitionCell", {**counts, "generation": generation}))
    known = delivery["sources"].get(source)
    if known is not None and _age(known) >= _age(theirs):
        return None
    return {**delivery, "sources": {**delivery["sources"], source: theirs}}


def _age(counts: PartitionCell) -> tuple[int, int, int, int]:
    return counts["generation"], counts["v"], counts["taken"], counts.get("erased", 0)


def is_over(window: int, forgotten: int) -> bool:
    """
    Tell whether no source partition changes the cells of a window any more; `forgotten` is that of the foremost one.

    A cell that is over is forgotten, and what comes of it nevertheless is not taken in: it would lack the counts of
    the other source partitions.
    """
    return (window + 1) * WINDOW_MS + DAY_MS + _LATE_MS <= forgotten


def delivery_record(delivery: Delivery, generation: int) -> dict[str, Any]:
    """Return the public record of a cell."""
    window, route = place_named(delivery["cell"])
    country, operator, sender, application, service, label = route
    sources = [*delivery["sources"].values()]
    messages, parts = _sums(sources, lambda one: one["messages"]), _sums(sources, lambda one: one["parts"])
    return {
        "cell": delivery["cell"],
        "window_start": format_time_ms(window * WINDOW_MS),
        "window_end": format_time_ms((window + 1) * WINDOW_MS),
        "country": country,
        "operator": operator,
        "sender": sender,
        "application_name": application,
        "originating_service": service,
        "label": label,
        "messages": sum(messages.values()),
        "messages_by_status": messages,
        "parts": sum(parts.values()),
        "parts_by_status": parts,
        "conflicts": sum(one["conflicts"] for one in sources),
        "delivered_by_latency": _sums(sources, lambda one: one["latencies"]),
        "price_total": _money(one["price"] for one in sources),
        "price_delivered": _money(one["price_delivered"] for one in sources),
        "price_undelivered": _money(one["price_undelivered"] for one in sources),
        "unpriced": sum(one["unpriced"] for one in sources),
        "is_closed": all(one.get("closed") for one in sources),
        "revision": delivery["revision"],
        "generation": generation,
    }


def _sums(sources: Iterable[PartitionCell], numbers: Callable[[PartitionCell], dict[str, int]]) -> dict[str, int]:
    added: dict[str, int] = {}
    for source in sources:
        for name, number in numbers(source).items():
            added[name] = added.get(name, 0) + number
    return added


def _money(units: Iterable[str]) -> str:
    return money_text(max(-MOST_UNITS, min(sum(map(int, units)), MOST_UNITS)))
