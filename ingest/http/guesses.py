"""
The addresses that guess secrets: their wrong posts are answered late.
"""

import logging
from collections import OrderedDict
from typing import Final

from ingest.clock import Clock
from ingest.http.seldom import Seldom

logger = logging.getLogger(__name__)

_MISSES: Final = 100
_SECONDS: Final = 60.0
_MOST_ADDRESSES: Final = 4096


class Guesses:
    """
    Counts the wrong posts of each address.

    An address guesses after a hundred of them in a minute, until a minute without one. Of more addresses than can be
    remembered, the one whose last wrong post is longest ago is forgotten.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seldom = Seldom(clock)
        self._misses: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._misses)

    def note(self, address: bytes) -> bool:
        """Take a wrong post of an address; returns whether the address guesses."""
        now = self._clock.monotonic()
        misses, since = self._misses.pop(address, (0, now))
        if now - since >= _SECONDS:
            misses, since = 0, now
        guesses = misses >= _MISSES
        self._misses[address] = (misses + 1, now if guesses else since)
        if len(self._misses) > _MOST_ADDRESSES:
            self._misses.popitem(last=False)
        if guesses and (count := self._seldom.note()):
            logger.warning("addresses guess secrets: they are answered late", extra={"guesses": count})
        return guesses
