"""
How long progress stands still while workers join, leave and die.

The progress of a campaign passes both stages: the longest time between two of its records is how long a reader saw
nothing move. One campaign has its SMS in all source partitions, as nearly all have; of the others each has them in one,
and moves only when that partition does.
"""

import threading
import time
from datetime import UTC, datetime
from itertools import pairwise
from types import TracebackType
from typing import Final, Self

from kafka import KafkaProducer

from streams.contract.codec import format_time
from streams.contract.topics import CALLBACKS_RAW, CAMPAIGN_PROGRESS
from tests.bench.callbacks import PARTITIONS, envelope_of, tracking_id
from tests.bench.freshness import PER_ENVELOPE, at_the_end, bodies_of

RATE: Final = 5_000
"""Callbacks per second, evenly over all partitions."""

_LULL_SECONDS: Final = 60.0

_FIRST: Final = 1_000
"""Number of the campaign of partition 0; others may be in the state already."""

_EVERYWHERE: Final = _FIRST + PARTITIONS
"""Number of the campaign that has its SMS in all partitions."""


class Traffic:
    """
    Steady callbacks, and the moments at which the progress of each campaign moved, within the block.

    Each partition gets callbacks of its own campaign and of the one that is everywhere in turn; the workers have to
    tell progress often.
    """

    def __init__(self, servers: str, prefix: str) -> None:
        self._servers = servers
        self._prefix = prefix
        self._ended = threading.Event()
        self._moved: dict[bytes, list[float]] = {
            tracking_id(number).encode(): [] for number in range(_FIRST, _EVERYWHERE + 1)
        }
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._send)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def wait_for_all(self) -> None:
        """Return when the progress of every campaign has moved since the call; RuntimeError after a minute."""
        began = time.monotonic()
        while any(not times or times[-1] < began for times in self._moved.values()):
            if time.monotonic() - began > _LULL_SECONDS:
                raise RuntimeError(f"progress of some campaign did not move for {_LULL_SECONDS:.0f} s")
            time.sleep(0.02)

    def longest(self, since: float) -> float:
        """Return the longest time, ended after a moment, in which a campaign of one partition did not move."""
        return max(_longest(times, since) for times in [*self._moved.values()][:-1])

    def longest_everywhere(self, since: float) -> float:
        """Return the same of the campaign that is in all partitions."""
        return _longest([*self._moved.values()][-1], since)

    def _send(self) -> None:
        producer = KafkaProducer(bootstrap_servers=self._servers, acks="all", linger_ms=5)
        started, sent = time.monotonic(), 0
        while not self._ended.is_set():
            while sent < (time.monotonic() - started) * RATE / PER_ENVELOPE:
                turn, partition = divmod(sent, PARTITIONS)
                bodies = bodies_of(sent, _EVERYWHERE if turn % 2 else _FIRST + partition)
                value = envelope_of(bodies, format_time(datetime.now(UTC)))
                producer.send(CALLBACKS_RAW.name(self._prefix), value, partition=partition)
                sent += 1
            self._ended.wait(0.01)
        producer.close()

    def _read(self) -> None:
        consumer = at_the_end(self._servers, CAMPAIGN_PROGRESS.name(self._prefix))
        while not self._ended.is_set():
            for records in consumer.poll(timeout_ms=50).values():
                for record in records:
                    if record.key in self._moved:
                        self._moved[record.key].append(time.monotonic())
        consumer.close()


def _longest(times: list[float], since: float) -> float:
    return max(later - earlier for earlier, later in pairwise(times) if later > since)
