"""
The rows of one partition as a stage sees them: unwritten changes over the local store.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec
import orjson

from streams.domain.policy import Erased


def _written_as(changing: Any) -> Any:  # noqa: ANN401 - as msgspec has it
    return changing.row()


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_written_as)
_MISSING: Final = b"\0"  # no JSON
_RECORD_OVERHEAD: Final = 32
"""The most that a record takes in a batch besides its key and value."""


class Overlay:
    """
    Implements `streams.domain.stage.Rows` for one partition.

    Three layers, newest first: changes since the last seal, changes taken by that seal, the store. The second stays
    until the next seal, when the store has its rows. A deleted row is None in the first two.

    All layers hold encoded rows. Decoded rows would be read faster, but Python's garbage collector would walk through
    them again and again, which costs more. Only the few rows that nearly every record changes are kept decoded, from
    one seal to the next, and are encoded at the seal.
    """

    erased: Erased | None = None
    """The erasures that hold in the rows, None while there are none."""

    def __init__(self, read: Callable[[bytes], bytes | None]) -> None:
        self._read = read
        self._pending: dict[bytes, bytes | None] = {}
        self._sealed: dict[bytes, bytes | None] = {}
        self._kept: dict[bytes, Any] = {}
        """Each with a row in `_pending` as it was when it was put."""
        self._size = 0

    def get(self, key: bytes) -> Any:  # noqa: ANN401 - as in Rows
        """Return the row, None when there is none."""
        raw = self.raw(key)
        return None if raw is None else orjson.loads(raw)

    def raw(self, key: bytes) -> bytes | None:
        """Return the row as it is written, None when there is none."""
        raw = self._pending.get(key, _MISSING)
        if raw is not _MISSING:
            return _ENCODER.encode(self._kept[key]) if key in self._kept else raw
        raw = self._sealed.get(key, _MISSING)
        return self._read(key) if raw is _MISSING else raw

    def put(self, key: bytes, row: Any) -> None:  # noqa: ANN401 - as in Rows
        """Write a row."""
        raw = _ENCODER.encode(row)
        if key in self._pending:
            self._kept.pop(key, None)
            self._write(key, raw)
        else:  # nearly always
            self._size += len(key) + len(raw) + _RECORD_OVERHEAD
            self._pending[key] = raw

    def delete(self, key: bytes) -> None:
        """Forget a row."""
        self._kept.pop(key, None)
        self._write(key, None)

    def keep(self, key: bytes, row: Any) -> None:  # noqa: ANN401 - as in Rows
        """Put a row that is kept decoded; changes to it until the next seal count."""
        self.put(key, row)
        self._kept[key] = row

    def kept(self, key: bytes) -> Any:  # noqa: ANN401 - as in Rows
        """Return the row kept decoded since the last seal, None when there is none."""
        return self._kept.get(key)

    def _write(self, key: bytes, raw: bytes | None) -> None:
        before = self._pending.get(key, _MISSING)
        if before is _MISSING:
            self._size += len(key) + _RECORD_OVERHEAD
        elif before is not None:
            self._size -= len(before)
        self._size += len(raw or b"")
        self._pending[key] = raw

    @property
    def changed(self) -> Collection[bytes]:
        """The keys put or deleted since the last seal."""
        return self._pending.keys()

    @property
    def unstored(self) -> list[bytes]:
        """The keys of all changes that the store may lack: those since the seal before the last one."""
        return [*{**self._sealed, **self._pending}]

    @property
    def size(self) -> int:
        """The most bytes that all unsealed changes take in a batch; a kept row counts with its size when it was put."""
        return self._size

    def seal(self) -> dict[bytes, bytes | None]:
        """Return all changes since the last seal, encoded (None: deleted), and begin the next layer."""
        for key, row in self._kept.items():
            self._pending[key] = _ENCODER.encode(row)
        self._kept.clear()
        self._sealed, self._pending = self._pending, {}
        self._size = 0
        return {**self._sealed}
