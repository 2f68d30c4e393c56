"""
Rows that no store takes: to `routee.sinks.rejected`, with the store's own words, before their offsets are committed.
"""

import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

import orjson

from sinks.errors import FloodError
from sinks.source import Record
from streams.contract.records import SinkRejection
from streams.contract.topics import SINKS_REJECTED

_MINUTE: Final = 60.0
_ERROR_CHARS: Final = 4_000
# JSON text may take six bytes for one; beyond this base64 is shorter, and the longest record fits into a request.
_TEXT_BYTES: Final = 1_200_000


class Rejections(Protocol):
    """Where refused rows are kept."""

    def add(self, rejection: SinkRejection) -> None:
        """Return when the rejection is durable. RetryableError when it cannot be kept now."""

    def close(self) -> None:
        """Let go of connections."""


class MemoryRejections:
    """The twin in memory."""

    def __init__(self) -> None:
        self.kept: list[SinkRejection] = []

    def add(self, rejection: SinkRejection) -> None:
        """Keep it."""
        self.kept.append(rejection)

    def close(self) -> None:
        """Nothing to let go of."""


class Flood:
    """Tells bad rows from a bad sink: more than `per_minute` refused rows within a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._times: deque[float] = deque()

    def count(self) -> None:
        """Count one refused row. FloodError when it is one too many; it must then not be given up."""
        now = self._clock()
        while self._times and self._times[0] <= now - _MINUTE:
            self._times.popleft()
        if len(self._times) >= self._per_minute:
            raise FloodError(
                f"more than SINKS_MAX_REJECTED_PER_MINUTE={self._per_minute} rows were refused within a minute: "
                f"see {SINKS_REJECTED.suffix} for the reasons; no further row was given up"
            )
        self._times.append(now)


def rejection_of(record: Record, sink: str, table: str, error: str) -> SinkRejection:
    """Return what is kept of one refused row: all of it."""
    value = record.value or b""
    text = _text(value)
    return SinkRejection(
        rejected_at=datetime.now(UTC),
        sink=sink,
        table=table,
        error=error[:_ERROR_CHARS],
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        value=text,
        value_base64=b64encode(value).decode() if text is None else None,
    )


def _text(value: bytes) -> str | None:
    """Return the value as text, None when it is not UTF-8 or grows too long as JSON."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if len(orjson.dumps(text)) <= _TEXT_BYTES else None
