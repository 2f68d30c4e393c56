"""
How long progress stands still while workers join, leave and die.

Each campaign lives in one source partition, and its progress passes both stages: the longest time between two records
of one campaign is how long somebody who looks at it saw nothing move.
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
from tests.bench.callbacks import PARTITIONS, envelope_of
from tests.bench.freshness import PER_ENVELOPE, at_the_end, bodies_of

RATE: Final = 5_000
"""Callbacks per second, evenly over all partitions."""

_LULL_S: Final = 30.0


class Traffic:
    """
    Steady callbacks, and the moments at which the progress of each campaign moved, within the block.

    A campaign of every partition gets its callbacks in turn; the workers have to tell progress often.
    """

    def __init__(self, servers: str, prefix: str) -> None:
        self._servers = servers
        self._prefix = prefix
        self._ended = threading.Event()
        self._moved: dict[bytes, list[float]] = {}
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
        """Return when the progress of every campaign has moved since the call; RuntimeError after half a minute."""
        began = time.monotonic()
        while len(self._moved) < PARTITIONS or any(times[-1] < began for times in self._moved.values()):
            if time.monotonic() - began > _LULL_S:
                raise RuntimeError(f"progress of some campaign did not move for {_LULL_S:.0f} s")
            time.sleep(0.02)

    def longest(self, since: float) -> float:
        """Return the longest time, ended after a moment, for which the progress of some campaign did not move."""
        return max(
            later - earlier for times in self._moved.values() for earlier, later in pairwise(times) if later > since
        )

    def _send(self) -> None:
        producer = KafkaProducer(bootstrap_servers=self._servers, acks="all", linger_ms=5)
        started, sent = time.monotonic(), 0
        while not self._ended.is_set():
            while sent < (time.monotonic() - started) * RATE / PER_ENVELOPE:
                value = envelope_of(bodies_of(sent), format_time(datetime.now(UTC)))
                producer.send(CALLBACKS_RAW.name(self._prefix), value, partition=sent % PARTITIONS)
                sent += 1
            self._ended.wait(0.01)
        producer.close()

    def _read(self) -> None:
        consumer = at_the_end(self._servers, CAMPAIGN_PROGRESS.name(self._prefix))
        while not self._ended.is_set():
            for records in consumer.poll(timeout_ms=50).values():
                for record in records:
                    self._moved.setdefault(record.key, []).append(time.monotonic())
        consumer.close()
