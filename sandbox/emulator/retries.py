"""
When Routee tries again after anything but a 200 within two seconds.
"""

from dataclasses import dataclass
from typing import Final

ANSWER_SECONDS: Final = 2.0
"""Routee drops the connection after this time."""

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
WAITS: Final[tuple[float, ...]] = (
    30.0,
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 4, 8, 24)),
)
"""Seconds between one attempt and the next: twelve retries, over 40 hours in all."""


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Routee's waits, each multiplied by `scale`: 1 is Routee's own pace, 0.01 makes 30 s a third of a second."""

    scale: float

    def wait(self, attempts: int) -> float | None:
        """Return the seconds to wait after this many attempts that failed; None when Routee gives up."""
        return WAITS[attempts - 1] * self.scale if attempts <= len(WAITS) else None
