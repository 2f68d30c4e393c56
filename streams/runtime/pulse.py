"""
Alarms of a worker that may have been replaced without noticing. The broker's fence protects; the alarms are earlier.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

from streams.errors import Die, Exit, die

PULSE_SECONDS: Final = 0.1
"""`beat` must be called at least this often."""


class Pulse:
    """
    Ends the process when it stood still for nearly a session timeout, or is no longer a member of its group.

    `longest_pause` is in seconds. `generation` returns the group's generation, negative when this worker is no member.
    """

    def __init__(
        self,
        longest_pause: float,
        generation: Callable[[], int],
        *,
        die: Die = die,
        clock: Callable[[], float] = monotonic,
        is_off: bool = False,
    ) -> None:
        self._longest_pause = longest_pause
        self._generation = generation
        self._die = die
        self._clock = clock
        self._is_off = is_off
        self._last: float | None = None

    def beat(self) -> None:
        """Note that the process is running."""
        self.check_pause()
        self._last = self._clock()

    def check_pause(self) -> None:
        """End the process when it stood still for too long: its partitions may have a new owner."""
        pause = 0.0 if self._last is None else self._clock() - self._last
        if pause > self._longest_pause and not self._is_off:
            self._die(Exit.MAYBE_REPLACED, f"this worker stood still for {pause:.1f} s")

    def check(self) -> None:
        """Call before every durable write; ends the process when the partitions may have a new owner."""
        self.check_pause()
        if not self._is_off and self._generation() < 0:
            self._die(Exit.MAYBE_REPLACED, "this worker was removed from its consumer group")
