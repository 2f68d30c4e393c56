"""
How values are written on the topics: UTF-8 JSON, times as ISO 8601 UTC with milliseconds and `Z`, money as text.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from pydantic import BaseModel


def encode(record: BaseModel | dict[str, Any] | list[Any]) -> bytes:
    """Return the JSON bytes of a record (a model of `records`, or a plain structure that is already in its form)."""
    if isinstance(record, BaseModel):
        return orjson.dumps(record.model_dump(mode="json"))
    return orjson.dumps(record)


def decode(value: bytes) -> Any:  # noqa: ANN401 - JSON is any
    """Return the decoded JSON; raises orjson.JSONDecodeError (a ValueError) for anything else."""
    return orjson.loads(value)


def format_time(moment: datetime) -> str:
    """Return `2026-11-22T09:16:54.500Z`; the moment must carry a time zone (ValueError otherwise)."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without a time zone cannot be written: {moment.isoformat()}")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def format_time_ms(epoch_ms: int) -> str:
    """Return the same form for milliseconds since 1970-01-01 UTC."""
    seconds, ms = divmod(epoch_ms, 1000)
    return f"{_second(seconds)}.{ms:03d}Z"


# Whoever writes times writes those of one second in a row.
@lru_cache(maxsize=128)
def _second(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_time(text: str) -> datetime:
    """Return the moment written by `format_time`; ValueError for any other form."""
    if len(text) != len("2026-11-22T09:16:54.500Z") or text[-1] != "Z":
        raise ValueError(f"not a time of this contract: {text!r}")
    return datetime.fromisoformat(text)
