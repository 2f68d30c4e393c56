"""
The key and the partition of a callback: all parts of one message lie in one partition, in order.
"""

from collections.abc import Mapping
from typing import Final
from zlib import crc32

KEY_MAX_CHARS: Final = 256
"""Routee's ids are UUIDs of 36 characters; a longer key is refused as `no-key`."""


def callback_key(callback: Mapping[str, object]) -> str | None:
    """
    Return the key of one decoded callback: `messageId`, else `trackingId`; None when it has no usable one.

    A usable key is a string of 1 to 256 characters that can be written as UTF-8. It is returned as received.
    """
    for name in ("messageId", "trackingId"):
        key = callback.get(name)
        if key.__class__ is str and 0 < len(key) <= KEY_MAX_CHARS:
            return key
    return None


def partition_of(key: str, partitions: int) -> int:
    """
    Return CRC-32 of the lower-cased key modulo `partitions`: librdkafka's `consistent` partitioner.

    Lower case, because the case of Routee's UUIDs has been seen to change between callbacks of one message.
    """
    return crc32(key.lower().encode()) % partitions
