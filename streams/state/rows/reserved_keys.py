"""
Keys of a changelog that are no rows of a stage. A stage's own keys never begin with a zero byte.
"""

from typing import Final

CLAIM: Final = b"\0claim"
"""Who took the partition over last; its value tells people, its batch tells the broker."""

OWNER: Final = b"\0owner"
"""The producer id that writes this partition."""

POSITION: Final = b"\0position"
"""How far the source is contained in the rows (`position.Position`); written in the same batch as they are."""

SOURCE: Final = b"\0source"
"""The id of the topic that POSITION is an offset of; written with the first position."""

ENDING: Final = b"\0ending"
"""The record that ended the worker last, and how often in a row (`endings`); written alone, by a worker that ends."""

HELD: Final = b"\0held:"
"""Prefix of the keys whose newest state was not summarized yet."""
