"""
The rows of a stage in memory, for whoever runs the rules of streams without a worker.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import orjson

from streams.domain.stage import Output, Piece


def outputs_of(pieces: Iterable[Piece]) -> list[Output]:
    """Let a stage take in all pieces of a record; return their outputs."""
    return [output for piece in pieces for output in piece.outputs]


class MemoryRows:
    """Implements `streams.domain.stage.Rows`: what is put is encoded, what is got is decoded anew."""

    def __init__(self) -> None:
        self.written: dict[bytes, bytes] = {}
        self.changed: set[bytes] = set()

    def get(self, key: bytes) -> Any:  # noqa: ANN401 - as the protocol has it
        """Return the row, None when there is none."""
        raw = self.written.get(key)
        return None if raw is None else orjson.loads(raw)

    def raw(self, key: bytes) -> bytes | None:
        """Return the row as it is written."""
        return self.written.get(key)

    def put(self, key: bytes, row: Any) -> None:  # noqa: ANN401 - as above
        """Write a row."""
        self.written[key] = msgspec.json.encode(row)
        self.changed.add(key)

    def delete(self, key: bytes) -> None:
        """Forget a row."""
        self.written.pop(key, None)
        self.changed.add(key)

    @property
    def rows(self) -> dict[bytes, Any]:
        """All rows, decoded."""
        return {key: orjson.loads(raw) for key, raw in self.written.items()}

    def reloaded(self) -> "MemoryRows":
        """Return the rows as another worker reads them from the changelog."""
        fresh = MemoryRows()
        fresh.written = dict(self.written)
        return fresh

    def with_prefix(self, prefix: bytes) -> dict[bytes, Any]:
        """Return the rows whose keys begin so, decoded."""
        return {key: row for key, row in self.rows.items() if key.startswith(prefix)}
