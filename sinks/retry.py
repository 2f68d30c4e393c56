"""
The delays between attempts to write the same rows.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from `first` to `longest` seconds and stay there: a store may be away for any time."""

    first: float = 0.2
    longest: float = 10.0

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row (1 or more)."""
        # The exponent is bounded before it is used: 2.0 ** 1100 would be an OverflowError after some hours.
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 32))
