"""
How long to wait before writing the same rows again.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from `first` to `longest` seconds, and stay there: a store that is away is waited for."""

    first: float = 0.2
    longest: float = 10.0

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after this many failures in a row (from 1)."""
        # The exponent is bounded before it is used: 2.0 ** 1100 would be an OverflowError after some hours.
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 32))
