"""
Limits how often a changed key is summarized.
"""

from collections.abc import Collection, Iterable, Mapping


class Throttle:
    """
    Admits each key at most once per interval: the first change at once, the last change always.

    Times are seconds of a monotonic clock. `held` has the keys held back; the table makes them durable, so that a key
    held back before a crash is due after it.
    """

    def __init__(self, interval: float, held: Iterable[bytes] = ()) -> None:
        self._interval = interval
        self._passed: dict[bytes, float] = {}
        self.held: set[bytes] = set(held)

    def is_due(self, now: float) -> bool:
        """Return whether a key that was held back may go now."""
        if not self.held:
            return False
        self._forget(now)
        return any(key not in self._passed for key in self.held)

    def admit(self, changed: Collection[bytes], now: float) -> list[bytes]:
        """Return the keys that go now, changed or held back before; hold back the other keys of `changed`."""
        self._forget(now)
        waiting = [*changed, *self.held.difference(changed)]
        if not self._interval:
            self.held.clear()
            return waiting
        due = [key for key in waiting if key not in self._passed]
        self.held.update(changed)
        self.held.difference_update(due)
        self._passed.update(dict.fromkeys(due, now))
        return due

    def _forget(self, now: float) -> None:
        """Drop the keys admitted an interval ago or earlier; the dictionary is in order of time."""
        over = now - self._interval
        while self._passed:
            key = next(iter(self._passed))
            if self._passed[key] > over:
                return
            del self._passed[key]


class Throttles:
    """Throttles of several intervals, one for each prefix of the keys; a `Throttle` for all of them."""

    def __init__(self, intervals: Mapping[bytes, float], held: Iterable[bytes] = ()) -> None:
        """`intervals` has the seconds of each prefix; none of them begins another."""
        waiting = [*held]
        self._throttles = {
            prefix: Throttle(seconds, (key for key in waiting if key.startswith(prefix)))
            for prefix, seconds in intervals.items()
        }

    @property
    def held(self) -> set[bytes]:
        """The keys held back."""
        return set[bytes]().union(*(throttle.held for throttle in self._throttles.values()))

    def is_due(self, now: float) -> bool:
        """Return whether a key that was held back may go now."""
        return any(throttle.is_due(now) for throttle in self._throttles.values())

    def admit(self, changed: Collection[bytes], now: float) -> list[bytes]:
        """Return the keys that go now, changed or held back before; hold back the other keys of `changed`."""
        due = []
        for prefix, throttle in self._throttles.items():
            due += throttle.admit([key for key in changed if key.startswith(prefix)], now)
        return due
