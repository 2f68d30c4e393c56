"""
The encoding of values on the topics: UTF-8 JSON, times as ISO 8601 UTC with milliseconds and `Z`, money as text.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from pydantic import BaseModel

from streams.contract.remembered import remembered


def encode(record: BaseModel | dict[str, Any] | list[Any]) -> bytes:
    """Return the JSON bytes of a record: a model of `records`, or a plain structure of the same form."""
    if isinstance(record, BaseModel):
        return orjson.dumps(record.model_dump(mode="json"))
    return orjson.dumps(record)


def decode(value: bytes) -> Any:  # noqa: ANN401 - JSON is any
    """Return the decoded JSON; raises orjson.JSONDecodeError (a ValueError) for bytes that are not JSON."""
    return orjson.loads(value)


def format_time(moment: datetime) -> str:
    """Return `2026-11-22T09:16:54.500Z`; the moment must carry a time zone (ValueError otherwise)."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without a time zone cannot be written: {moment.isoformat()}")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


# A record has seven times, most of them shared with neighbouring records.
@remembered(16_384)
def format_time_ms(epoch_ms: int) -> str:
    """Return the same form as `format_time` for milliseconds since 1970-01-01 UTC."""
    second, ms = divmod(epoch_ms, 1000)
    return f"{_second(second)}.{ms:03d}Z"


@lru_cache(maxsize=16_384)
def _second(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
