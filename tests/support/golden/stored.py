"""
A golden set as it lies in its folder: records of topics, local state, and the answers that both must give.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from tests.support.memory_rows import MemoryRows

FOLDER: Final = Path(__file__).parents[2] / "data" / "state"
TABLES: Final = ("sms", "campaigns")


@dataclass(frozen=True, slots=True)
class Stored:
    """One record of a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def written(record: Stored) -> bytes:
    """Return a record as a line: bytes as text where they are text, else as base64."""
    line = {"partition": record.partition, "offset": record.offset}
    return orjson.dumps(line | _written("key", record.key) | _written("value", record.value))


def _written(name: str, value: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if value is None else value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(value or b"").decode()}


def _read(line: dict[str, Any], name: str) -> bytes | None:
    if f"{name}_base64" in line:
        return b64decode(line[f"{name}_base64"])
    text: str | None = line[name]
    return None if text is None else text.encode()


def latest(records: Iterable[Stored]) -> dict[int, dict[bytes, bytes]]:
    """Return partition → the last value of each key, without deleted keys."""
    rows: dict[int, dict[bytes, bytes]] = {}
    for record in records:
        mine = rows.setdefault(record.partition, {})
        mine.pop(record.key or b"", None)
        if record.value is not None:
            mine[record.key or b""] = record.value
    return rows


class Golden:
    """One golden set, read from its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meta: dict[str, Any] = orjson.loads((folder / "meta.json").read_bytes())

    @property
    def partitions(self) -> int:
        """Return how many partitions each topic has."""
        return int(self.meta["partitions"])

    @property
    def written_at(self) -> int:
        """Return when the local state was written last (seconds since 1970)."""
        return int(self.meta["written_at"])

    def records(self, suffix: str) -> list[Stored]:
        """Return the records of a topic: of callbacks.raw in the order in which they came, else by place."""
        lines = map(orjson.loads, (self.folder / f"{suffix}.jsonl").read_bytes().splitlines())
        return [Stored(line["partition"], line["offset"], _read(line, "key"), _read(line, "value")) for line in lines]

    def rows(self, table: str) -> dict[int, dict[bytes, bytes]]:
        """Return partition → the rows of a table, byte for byte, as its changelog has them in the end."""
        return latest(self.records(f"streams-{table}-changelog"))

    def memory(self, table: str) -> dict[int, MemoryRows]:
        """Return partition → the rows of a table, for a stage or a view to read."""
        return {partition: MemoryRows.of(rows) for partition, rows in self.rows(table).items()}

    def answers(self, name: str) -> list[dict[str, Any]]:
        """Return what must be answered, a line each."""
        return [orjson.loads(line) for line in (self.folder / "answers" / f"{name}.jsonl").read_bytes().splitlines()]

    def store(self, table: str) -> Path:
        """Return the local state of a table."""
        return self.folder / "store" / table


def golden_sets() -> list[Golden]:
    """Return all golden sets, the oldest version first."""
    folders = (found.parent for found in FOLDER.glob("*/meta.json"))
    return [Golden(folder) for folder in sorted(folders, key=lambda folder: [*map(int, folder.name.split("."))])]
