"""
The key and the partition of a callback: all parts of one message lie in one partition, in order. And its other ids.
"""

from collections.abc import Mapping
from typing import Final
from zlib import crc32

KEY_MAX_CHARS: Final = 256
"""Routee's ids are UUIDs of 36 characters; a longer key is refused as `no-key`."""

NIL_ID: Final = "00000000-0000-0000-0000-000000000000"
_NO_IDS: Final = frozenset({"", "null", "(null)", "none", "nil", "nan", "undefined", "n/a", "-", "0", NIL_ID})
NO_ID_MAX_CHARS: Final = 9
"""Of the texts that stand for no id, all but NIL_ID are this short."""


def callback_key(callback: Mapping[str, object]) -> str | None:
    """
    Return the key of one decoded callback: `messageId`, else `trackingId`; None when it has no usable one.

    A usable key is a string of 1 to 256 characters that can be written as UTF-8, and does not stand for none. It is
    returned as received.
    """
    for name in ("messageId", "trackingId"):
        key = callback.get(name)
        if key.__class__ is str and len(key) <= KEY_MAX_CHARS and given_id(key):
            return key
    return None


def given_id(text: str | None) -> str | None:
    """Return an id, None for a text that stands for none: all messages, SMS or campaigns that have it would be one."""
    if text is None or (len(text) <= NO_ID_MAX_CHARS and text.strip().lower() in _NO_IDS):
        return None
    return None if text == NIL_ID else text


def partition_of(key: str, partitions: int) -> int:
    """
    Return CRC-32 of the lower-cased key modulo `partitions`: librdkafka's `consistent` partitioner.

    Lower case, because the case of Routee's UUIDs has been seen to change between callbacks of one message.
    """
    return crc32(key.lower().encode()) % partitions
