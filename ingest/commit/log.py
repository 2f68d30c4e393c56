"""
The port to durable storage, and its twin in memory.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from ingest.callback.envelope import Record
from ingest.errors import NotStoredError
from streams.contract.topics import Topic


class CommitLog(Protocol):
    """Where records become durable."""

    @property
    def trouble(self) -> str | None:
        """Why records cannot be taken now, as a phrase for people; None when they can, as far as is known."""

    async def append(self, topic: Topic, records: Sequence[Record], partition: int | None = None) -> None:
        """
        Return once every record is acknowledged by all in-sync replicas; without a partition, the log picks one.

        Raises NotStoredError when that is not so; some records may have been stored nevertheless. May take arbitrarily
        long while the log is in trouble: deadlines are the caller's.
        """


class MemoryCommitLog:
    """
    A log that forgets. Acknowledges at once, unless told to hold or to fail.

    `failing` makes appends raise NotStoredError; `trouble` is up to whoever has it.
    """

    def __init__(self) -> None:
        self.records: defaultdict[tuple[str, int | None], list[Record]] = defaultdict(list)
        self.failing = False
        self.trouble: str | None = None
        self._open = asyncio.Event()
        self._open.set()

    def hold(self) -> None:
        """Acknowledge nothing from now on."""
        self._open.clear()

    def release(self) -> None:
        """Acknowledge everything again, also what waited."""
        self._open.set()

    async def append(self, topic: Topic, records: Sequence[Record], partition: int | None = None) -> None:
        """Keep the records once the log is neither held nor failing."""
        await self._open.wait()
        if self.failing:
            raise NotStoredError("told to fail")
        self.records[topic.suffix, partition].extend(records)
        await asyncio.sleep(0)
