"""
The rows of a stage in memory, to run the rules of streams without a worker.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import orjson

from streams.domain import rehearsal
from streams.domain.rehearsal import encoded
from streams.domain.stage import Output, Piece


def outputs_of(pieces: Iterable[Piece]) -> list[Output]:
    """Let a stage take in all pieces of a record; return their outputs."""
    return [output for piece in pieces for output in piece.outputs]


class MemoryRows(rehearsal.MemoryRows):
    """The rows of a rehearsal, which a test may look at."""

    def __init__(self, written: Mapping[bytes, bytes] | None = None) -> None:
        self._all = dict(written or {})
        super().__init__(self._all)

    @classmethod
    def of(cls, written: Mapping[bytes, bytes]) -> Self:
        """Return rows as they are written."""
        return cls(written)

    @property
    def written(self) -> dict[bytes, bytes]:
        """All rows, encoded."""
        return self._all | {key: encoded(row) for key, row in self._kept.items()}

    @property
    def rows(self) -> dict[bytes, Any]:
        """All rows, decoded."""
        return {key: orjson.loads(raw) for key, raw in self.written.items()}

    def keys(self, prefix: bytes = b"") -> set[bytes]:
        """Return the keys of all rows that begin so; no row is decoded."""
        return {key for key in self._all.keys() | self._kept.keys() if key.startswith(prefix)}

    def reloaded(self) -> "MemoryRows":
        """Return the rows as another worker reads them from the changelog."""
        return MemoryRows.of(self.written)

    def with_prefix(self, prefix: bytes) -> dict[bytes, Any]:
        """Return the rows whose keys begin so, decoded."""
        return {key: orjson.loads(raw) for key, raw in self.written.items() if key.startswith(prefix)}
