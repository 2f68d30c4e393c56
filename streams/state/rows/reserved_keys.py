"""
Keys of a changelog that do not belong to a stage. A stage's own keys never begin with a zero byte.
"""

from typing import Final

CLAIM: Final = b"\0claim"
"""The last takeover. The value names the worker, for people; the batch carries the new epoch, for the broker."""

OWNER: Final = b"\0owner"
"""The producer id that writes this partition."""

POSITION: Final = b"\0position"
"""The position of the rows in the source (`position.Position`); written in the same batch as the rows."""

SOURCE: Final = b"\0source"
"""The id of the source topic that POSITION belongs to; written with the first position."""

PARTITIONS: Final = b"\0partitions"
"""How many partitions the topics had when the rows were made: a key's partition follows from it."""

ENDING: Final = b"\0ending"
"""The record that last ended a worker, and how many in a row (`endings`); written alone, by the worker that ends."""

ERASED: Final = b"\0erased"
"""How far the erasures hold in the rows (`erasures.Progress`)."""

HELD: Final = b"\0held:"
"""Prefix of the keys whose newest state was not summarized yet."""
