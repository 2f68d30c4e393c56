"""
Callbacks that Routee takes for told and that never come: what only Routee's pull API can tell afterwards.
"""

from typing import Final

from sandbox.emulator.traffic.chance import stream
from sandbox.emulator.traffic.model import Callback, Malformed, StatusCallback


class Losses:
    """
    Picks a share of all callbacks, and all of an outage: from `begin` to `end`, in seconds of Routee's time.

    The same seed picks the same ones. A report has no time of its own: that of the status before it counts.
    """

    def __init__(self, seed: int, share: float, begin: float = 0.0, end: float = 0.0) -> None:
        self._random: Final = stream(seed, "swallowed")
        self._share = share
        self._outage = (begin, end)
        self._now = 0.0

    def __call__(self, callback: Callback) -> bool:
        """Return whether this callback is to be lost."""
        subject = callback.subject
        if isinstance(subject, Malformed):
            return False
        if isinstance(subject, StatusCallback):
            self._now = subject.change.at
        begin, end = self._outage
        return self._random.random() < self._share or begin <= self._now < end
