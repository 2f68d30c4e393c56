"""
The port to durable storage, and its twin in memory.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from ingest.callback.envelope import RawRecord
from ingest.errors import NotStoredError, TooLargeError
from streams.contract.topics import Topic


class CommitLog(Protocol):
    """Where records become durable."""

    @property
    def trouble(self) -> str | None:
        """Why records cannot be taken now, as a phrase for people; None when they can, as far as is known."""

    async def append(self, topic: Topic, records: Sequence[RawRecord], partition: int | None = None) -> None:
        """
        Return once all in-sync replicas have acknowledged every record; without a partition, the log picks one.

        Raises NotStoredError otherwise; some records may have been stored nevertheless. TooLargeError says that none
        was, and that fewer or smaller ones might be. May take arbitrarily long while the log is in trouble: the caller
        keeps the deadlines.
        """


class MemoryCommitLog:
    """
    A log that keeps records in memory. Acknowledges at once, unless told to hold or to fail.

    `failing` makes appends raise NotStoredError; more than `most_bytes` at once are too large; `held` counts the
    appends that wait for `release`; `trouble` is set by its user.
    """

    def __init__(self) -> None:
        self.records: defaultdict[tuple[str, int | None], list[RawRecord]] = defaultdict(list)
        self.failing = False
        self.most_bytes: float = float("inf")
        self.held = 0
        self.trouble: str | None = None
        self._open = asyncio.Event()
        self._open.set()

    def hold(self) -> None:
        """Acknowledge nothing from now on."""
        self._open.clear()

    def release(self) -> None:
        """Acknowledge again, also the appends that waited."""
        self._open.set()

    async def append(self, topic: Topic, records: Sequence[RawRecord], partition: int | None = None) -> None:
        """Keep the records once the log is neither held nor failing."""
        self.held += 1
        try:
            await self._open.wait()
        finally:
            self.held -= 1
        if self.failing:
            raise NotStoredError("told to fail")
        if sum(len(record.value) for record in records) > self.most_bytes:
            raise TooLargeError("told to take no more", "told to take no more")
        self.records[topic.suffix, partition].extend(records)
        await asyncio.sleep(0)
