"""
The rows of one partition as a stage sees them: unwritten changes over the local store.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

import orjson

_MISSING: Final = object()
_RECORD_OVERHEAD: Final = 32
"""At most this much does a record take in a batch besides its key and value."""


class Overlay:
    """
    Implements `streams.domain.stage.Rows` for one partition.

    Three layers, newest first: what was put since the last seal, what that seal took, what the store has. The middle
    one stays until the next seal, also when the store has it by then: rows that were just used need no decoding.
    A deleted row is None in the first two.
    """

    def __init__(self, read: Callable[[bytes], bytes | None]) -> None:
        self._read = read
        self._pending: dict[bytes, Any] = {}
        self._sealed: dict[bytes, Any] = {}
        self._encoded: dict[bytes, bytes | None] = {}
        self._touched: dict[bytes, None] = {}
        self._size = 0

    def get(self, key: bytes) -> Any:  # noqa: ANN401 - as in Rows
        """Return the row, None when there is none."""
        row = self._pending.get(key, _MISSING)
        if row is _MISSING:
            row = self._sealed.get(key, _MISSING)
        if row is not _MISSING:
            return row
        raw = self._read(key)
        return None if raw is None else orjson.loads(raw)

    def put(self, key: bytes, row: Any) -> None:  # noqa: ANN401 - as in Rows
        """Write a row."""
        self._pending[key] = row
        self._touched[key] = None

    def delete(self, key: bytes) -> None:
        """Forget a row."""
        self._pending[key] = None
        self._touched[key] = None

    @property
    def changed(self) -> Collection[bytes]:
        """The keys put or deleted since the last seal."""
        return self._pending.keys()

    def encode(self) -> int:
        """
        Encode what was put since the last call; return how many bytes all unsealed changes take in a batch.

        Called once per source record: a row that a record changes many times is encoded once.
        """
        for key in self._touched:
            row = self._pending[key]
            raw = None if row is None else orjson.dumps(row)
            before = self._encoded.get(key, _MISSING)
            if before is _MISSING:
                self._size += len(key) + _RECORD_OVERHEAD
            elif before is not None:
                self._size -= len(before)  # type: ignore[arg-type]
            self._size += len(raw or b"")
            self._encoded[key] = raw
        self._touched.clear()
        return self._size

    def seal(self) -> dict[bytes, bytes | None]:
        """Return all changes since the last seal, encoded (None: deleted), and begin anew."""
        self.encode()
        encoded, self._encoded = self._encoded, {}
        self._sealed, self._pending = self._pending, {}
        self._size = 0
        return encoded
