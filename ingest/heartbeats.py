"""
Judges from the heartbeats of the workers which of them no longer respond. Pure: beats and time are handed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MISSING_SECONDS: Final = 1.5
"""A worker that is silent for so long is told of: it beats ten times a second."""
FROZEN_SECONDS: Final = 3.0
"""A worker that is silent for so long is to be replaced."""
BEGIN_SECONDS: Final = 60.0
"""A worker that has just been started may be silent for so long before its first beat."""

_LONGEST_STEP: Final = 0.2


@dataclass(slots=True)
class _Pulse:
    beat: float = 0.0
    silent_seconds: float = 0.0
    has_begun: bool = False
    missing: bool = False


class Heartbeats:
    """
    Counts how long each worker has been silent, in time in which the judge itself got on.

    Between two looks no more than a fifth of a second counts. So a machine that slept, a judge that was stopped or one
    that got no processor time finds no worker frozen: the workers had no more time than itself.
    """

    def __init__(self, workers: int) -> None:
        self._pulses = [_Pulse() for _ in range(workers)]
        self._looked_at: float | None = None

    def look(self, beats: Sequence[float], now: float) -> None:
        """Take the count of beats of each worker; `now` is monotonic."""
        step = 0.0 if self._looked_at is None else min(now - self._looked_at, _LONGEST_STEP)
        self._looked_at = now
        for pulse, beat in zip(self._pulses, beats, strict=True):
            if beat != pulse.beat:
                pulse.beat, pulse.silent_seconds, pulse.has_begun, pulse.missing = beat, 0.0, True, False
                continue
            pulse.silent_seconds += step
            pulse.missing |= pulse.has_begun and pulse.silent_seconds >= MISSING_SECONDS

    def lost(self, worker: int) -> None:
        """Note that a worker has ended and is started again: until it beats, it is missing."""
        pulse = self._pulses[worker]
        pulse.silent_seconds, pulse.has_begun, pulse.missing = 0.0, False, True

    def excuse(self, worker: int) -> None:
        """Note that a missing worker cannot beat, through no fault of its own: it has time again once it can."""
        pulse = self._pulses[worker]
        pulse.silent_seconds = min(pulse.silent_seconds, MISSING_SECONDS)

    def is_missing(self, worker: int) -> bool:
        """Return whether a worker does not respond, or has not responded since it was lost."""
        return self._pulses[worker].missing

    @property
    def missing(self) -> int:
        """The number of workers that do not respond, or have not responded since they were lost."""
        return sum(pulse.missing for pulse in self._pulses)

    def frozen(self) -> list[int]:
        """Return the workers that are to be replaced."""
        return [worker for worker, pulse in enumerate(self._pulses) if _is_frozen(pulse)]


def _is_frozen(pulse: _Pulse) -> bool:
    return pulse.silent_seconds >= (FROZEN_SECONDS if pulse.has_begun else BEGIN_SECONDS)
