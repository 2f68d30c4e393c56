"""
Tokens of the pull API: a token that runs is handed out again, with the seconds that it has left.
"""

from collections.abc import Callable
from secrets import token_hex
from typing import NamedTuple


class Token(NamedTuple):
    """A token, and the moment at which it ends."""

    text: str
    ends: float


class Tokens:
    """Hands out one token at a time; `clock` gives seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._running: Token | None = None

    def give(self) -> tuple[str, int]:
        """Return the running token, or a new one, and the whole seconds it has left."""
        now = self._clock()
        if self._running is None or self._running.ends <= now:
            self._running = Token(token_hex(16), now + self._seconds)
        return self._running.text, int(self._running.ends - now)

    def is_good(self, text: str) -> bool:
        """Tell whether a token runs."""
        running = self._running
        return running is not None and running.text == text and running.ends > self._clock()

    def revoke(self) -> None:
        """End the running token before its time."""
        self._running = None
