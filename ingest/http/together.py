"""
The outcome of several callbacks that came in one request, which has one answer.
"""

from ingest.commit.lane import Outcome, Waiter


class Together:
    """Receives the outcome of each; its waiter is told once: `STORED` with the last of all, else `FAILED` at once."""

    __slots__ = ("_waiter", "left")

    def __init__(self, waiter: Waiter, count: int) -> None:
        self._waiter = waiter
        self.left = count
        """How many outcomes the answer still waits for."""

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome of one of them."""
        if self.left:
            self.left = self.left - 1 if outcome is Outcome.STORED else 0
            if not self.left:
                self._waiter.settle(outcome)
