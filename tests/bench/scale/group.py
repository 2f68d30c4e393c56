"""
Workers of one consumer group: when each has its partitions, and how long the others wait for those of one that leaves.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.process import Process
from tests.bench.scale.figures import Worker

_LEAVING_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Member:
    """A process, how to ask it for its work, and how many partitions it owns."""

    process: Process
    worker: Worker
    owned: Callable[[], int]


class Group:
    """All workers that share the partitions."""

    def __init__(self, members: Sequence[Member], partitions: int) -> None:
        self._members = [*members]
        self._partitions = partitions

    @property
    def workers(self) -> list[Worker]:
        """Return the workers of the members that are still there."""
        return [member.worker for member in self._members]

    def wait_until_settled(self, seconds: float) -> None:
        """Return when every worker has partitions, and all partitions a worker."""
        self._members[-1].process.wait_until(self._is_settled, seconds)

    def leave(self, seconds: float) -> float | None:
        """Stop the first worker as a person would; return the seconds until the others own all, None for no others."""
        first, *others = self._members
        if not others:
            return None
        self._members = others
        began = time.monotonic()
        first.process.stop(_LEAVING_SECONDS)
        self.wait_until_settled(seconds)
        return time.monotonic() - began

    def _is_settled(self) -> bool:
        shares = [member.owned() for member in self._members]
        return all(shares) and sum(shares) == self._partitions
