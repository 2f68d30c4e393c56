"""
A cell, as far as the alarms read it: the SMS of one sender in one window, and how many were delivered within each edge.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec
import orjson

from streams.domain.alarms.scan import REST, SenderCount
from streams.domain.statuses import DELIVERED, is_final

WINDOW_SECONDS: Final = 300

EDGES: Final = (10, 30, 60, 120, 300, 900)
_MOST_SENDERS: Final = 8
"""Of a route and window; `other` stands for the rest."""


class Seen(msgspec.Struct, array_like=True):
    """The newest counts of one cell."""

    generation: int
    revision: int
    sender: str
    sent: int
    """Parts, less the ones delivered without a latency: whether these were in time is unknown."""
    within: list[int]
    """Delivered parts by edge."""
    was_under_way: bool
    """Whether any part has been told before it was final."""

    @property
    def age(self) -> tuple[int, int]:
        """Return what orders the versions of a cell."""
        return self.generation, self.revision


_WATCHED: Final = (
    "country",
    "operator",
    "sender",
    "parts",
    "parts_by_status",
    "delivered_by_latency",
    "revision",
    "generation",
)


def watched_line(record: Mapping[str, Any]) -> bytes:
    """Return the record of a cell as the alarms read it: without its label, which may tell of a person."""
    window, _, values = record["cell"].partition(":")
    cell = f"{window}:{blake2b(values.encode(), digest_size=8).hexdigest()}"
    return orjson.dumps({"cell": cell, **{name: record[name] for name in _WATCHED}})


def place_of(record: Mapping[str, Any]) -> tuple[int, str, str]:
    """Return the window of a cell, its country and its operator; both empty when unknown."""
    window, _, _ = record["cell"].partition(":")
    return int(window), record["country"] or "", record["operator"] or ""


def seen_of(record: Mapping[str, Any], before: Seen | None) -> Seen:
    """Return the counts of the record of a cell."""
    by_status, by_bound = record["parts_by_status"], record["delivered_by_latency"]
    under_way = sum(count for status, count in by_status.items() if not is_final(status))
    delivered = by_status.get(DELIVERED, 0)
    return Seen(
        record["generation"],
        record["revision"],
        record["sender"] or "",
        max(record["parts"] - max(delivered - sum(by_bound.values()), 0), 0),
        [sum(count for bound, count in by_bound.items() if bound.isdigit() and int(bound) <= edge) for edge in EDGES],
        under_way > 0 or (before is not None and before.was_under_way),
    )


def by_sender(seen: Iterable[Seen]) -> dict[str, tuple[int, list[int]]]:
    """Return the SMS of each sender, and those within each edge; the smallest senders together."""
    sums: dict[str, tuple[int, list[int]]] = {}
    for cell in seen:
        sent, within = sums.get(cell.sender, (0, [0] * len(EDGES)))
        sums[cell.sender] = sent + cell.sent, [a + b for a, b in zip(within, cell.within, strict=True)]
    largest = sorted(sums, key=lambda sender: (-sums[sender][0], sender))
    for sender in largest[_MOST_SENDERS:]:
        sent, within = sums.pop(sender)
        others, rest = sums.get(REST, (0, [0] * len(EDGES)))
        sums[REST] = others + sent, [a + b for a, b in zip(rest, within, strict=True)]
    return dict(sorted(sums.items()))


def counts_within(senders: Mapping[str, tuple[int, list[int]]], edge: int) -> list[SenderCount]:
    """Return the SMS of each sender, and those within an edge."""
    at = EDGES.index(edge)
    return [(sender, sent, within[at]) for sender, (sent, within) in senders.items() if sent]
