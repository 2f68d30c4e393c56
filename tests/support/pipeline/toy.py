"""
A toy pipeline with the demands of the real one: joins, revisions, counts that are no joins, partial sums.

A source record is `{"events": [[key, group, level], …]}`. The row of a key keeps the highest level; every change is an
output with its revision. The counts of a group move with its keys, and every event, changed or not, is counted in
`seen`: a row that is right only if no event is applied twice. With `row_bytes` in the record, the rows of its keys are
so long: a small record can do much to the rows.
"""

from collections.abc import Collection, Iterator
from typing import Any, ClassVar, Final

import orjson

from streams.contract.topics import CAMPAIGN_PARTIALS, CAMPAIGN_PROGRESS, SMS_STATUS
from streams.domain.stage import GENERATION_KEY, Ending, Output, Piece, Rows, Stage

EVENTS_PER_PIECE: Final = 500


class ToySmsStage(Stage):
    """The highest level of each key, counts per group, and how many events were seen."""

    summarized: ClassVar[tuple[bytes, ...]] = (b"g:",)

    def apply(
        self, rows: Rows, _partition: int, offset: int, value: bytes, begin: int = 0, _ended: Ending | None = None
    ) -> Iterator[Piece]:
        """Take in one record, from an event on."""
        record = orjson.loads(value)
        events, padding = record["events"], "x" * record.get("row_bytes", 0)
        left: int | None = begin
        while left is not None:
            outputs, end = [], min(left + EVENTS_PER_PIECE, len(events))
            for index in range(left, end):
                outputs += _advance(rows, (offset, index), events[index], padding)
            left = end if end < len(events) else None
            yield Piece(outputs, left)

    def summarize(self, rows: Rows, partition: int, changed: Collection[bytes]) -> list[Output]:
        """Return a partial per changed group."""
        groups = [key[2:] for key in changed if key.startswith(b"g:")]
        return [_partial(rows, partition, group) for group in groups]


def _advance(rows: Rows, place: tuple[int, int], event: tuple[str, str, int], padding: str) -> list[Output]:
    key, group, level = event
    name, counted = b"k:" + key.encode(), b"g:" + group.encode()
    counts = dict(rows.get(counted) or {"seen": 0, "levels": {}})
    counts["seen"] += 1
    counts["place"] = place
    row = rows.get(name)
    if row is not None and row["level"] >= level:
        rows.put(counted, counts)
        return []
    levels = dict(counts["levels"])
    if row is not None:
        levels[str(row["level"])] -= 1
    levels[str(level)] = levels.get(str(level), 0) + 1
    rows.put(counted, {**counts, "levels": levels})
    new = {"level": level, "revision": 1 if row is None else row["revision"] + 1, "group": group}
    rows.put(name, {**new, "padding": padding} if padding else new)
    return [Output(SMS_STATUS, key.encode(), orjson.dumps({"key": key, **new}))]


def _partial(rows: Rows, partition: int, group: bytes) -> Output:
    counts = rows.get(b"g:" + group)
    partial = {"group": group.decode(), "from": partition, "generation": rows.get(GENERATION_KEY), **counts}
    return Output(CAMPAIGN_PARTIALS, group, orjson.dumps(partial))


class ToyCampaignStage(Stage):
    """The newest partial of each source partition; their sum is the progress of the group."""

    summarized: ClassVar[tuple[bytes, ...]] = (b"t:",)

    def apply(
        self, rows: Rows, _partition: int, _offset: int, value: bytes, _begin: int = 0, _ended: Ending | None = None
    ) -> Iterator[Piece]:
        """Take in the partials of one flush."""
        for line in value.split(b"\n"):
            _take_partial(rows, orjson.loads(line))
        yield Piece([], None)

    def summarize(self, rows: Rows, _partition: int, changed: Collection[bytes]) -> list[Output]:
        """Return the sum of each changed group."""
        return [Output(CAMPAIGN_PROGRESS, key[2:], orjson.dumps(total(rows.get(key)))) for key in changed]


def _take_partial(rows: Rows, partial: dict[str, Any]) -> None:
    key = b"t:" + partial["group"].encode()
    row: dict[str, Any] = dict(rows.get(key) or {})
    source = str(partial["from"])
    newer = {name: partial[name] for name in ("generation", "place", "seen", "levels")}
    if source in row and _age(row[source]) >= _age(newer):
        return
    row[source] = newer
    row["revision"] = row.get("revision", 0) + 1
    rows.put(key, row)


def _age(part: dict[str, Any]) -> tuple[int, list[int]]:
    return part["generation"], part["place"]


def total(row: dict[str, Any]) -> dict[str, Any]:
    """Return the progress that a row of ToyCampaignStage stands for."""
    parts = [part for name, part in row.items() if name != "revision"]
    levels: dict[str, int] = {}
    for part in parts:
        for level, count in part["levels"].items():
            levels[level] = levels.get(level, 0) + count
    return {
        "revision": row["revision"],
        "seen": sum(part["seen"] for part in parts),
        "levels": {level: count for level, count in sorted(levels.items()) if count},
    }
