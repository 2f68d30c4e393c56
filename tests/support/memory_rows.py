"""
The rows of a stage in memory, to run the rules of streams without a worker.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import msgspec
import orjson

from streams.domain.policy import Erased
from streams.domain.stage import Output, Piece


def outputs_of(pieces: Iterable[Piece]) -> list[Output]:
    """Let a stage take in all pieces of a record; return their outputs."""
    return [output for piece in pieces for output in piece.outputs]


def _encoded(row: Any) -> bytes:  # noqa: ANN401 - as the protocol has it
    return msgspec.json.encode(row, enc_hook=lambda changing: changing.row())


class MemoryRows:
    """Implements `streams.domain.stage.Rows`: rows are encoded when put, and decoded anew when got."""

    erased: Erased | None = None

    def __init__(self) -> None:
        self._written: dict[bytes, bytes] = {}
        self._kept: dict[bytes, Any] = {}
        self.changed: set[bytes] = set()

    @classmethod
    def of(cls, written: Mapping[bytes, bytes]) -> Self:
        """Return rows as they are written."""
        rows = cls()
        rows._written = dict(written)
        return rows

    @property
    def written(self) -> dict[bytes, bytes]:
        """All rows, encoded."""
        return self._written | {key: _encoded(row) for key, row in self._kept.items()}

    def get(self, key: bytes) -> Any:  # noqa: ANN401 - as the protocol has it
        """Return the row, None when there is none."""
        raw = self.raw(key)
        return None if raw is None else orjson.loads(raw)

    def raw(self, key: bytes) -> bytes | None:
        """Return the row as it is written."""
        return _encoded(self._kept[key]) if key in self._kept else self._written.get(key)

    def put(self, key: bytes, row: Any) -> None:  # noqa: ANN401 - as above
        """Write a row."""
        self._kept.pop(key, None)
        self._written[key] = _encoded(row)
        self.changed.add(key)

    def delete(self, key: bytes) -> None:
        """Forget a row."""
        self._kept.pop(key, None)
        self._written.pop(key, None)
        self.changed.add(key)

    def keep(self, key: bytes, row: Any) -> None:  # noqa: ANN401 - as above
        """Put a row that goes on changing."""
        self._kept[key] = row
        self.changed.add(key)

    def kept(self, key: bytes) -> Any:  # noqa: ANN401 - as above
        """Return the object kept under a key; the caller may change it in place."""
        if key in self._kept:
            self.changed.add(key)
        return self._kept.get(key)

    @property
    def rows(self) -> dict[bytes, Any]:
        """All rows, decoded."""
        return {key: orjson.loads(raw) for key, raw in self.written.items()}

    def reloaded(self) -> "MemoryRows":
        """Return the rows as another worker reads them from the changelog."""
        return MemoryRows.of(self.written)

    def with_prefix(self, prefix: bytes) -> dict[bytes, Any]:
        """Return the rows whose keys begin so, decoded."""
        return {key: orjson.loads(raw) for key, raw in self.written.items() if key.startswith(prefix)}
