"""
Storing pulled callbacks: through the commit log of ingest, in envelopes that say that they were pulled.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Final

from ingest.callback.envelope import RECORD_BYTES, RawRecord, fitting, seal
from ingest.clock import Clock
from ingest.commit.log import CommitLog
from ingest.errors import NotStoredError
from streams.contract.keys import partition_of
from streams.contract.records import Source
from streams.contract.topics import CALLBACKS_RAW

logger = logging.getLogger(__name__)

_TRIES: Final = 60
_WAIT_SECONDS: Final = 1.0
_MOST_CALLBACKS: Final = 500


class Filling:
    """Stores callbacks durably; `stored` counts them. A crash in between stores some twice, which counts once."""

    def __init__(self, log: CommitLog, partitions: int, clock: Clock) -> None:
        self.stored = 0
        self._log = log
        self._partitions = partitions
        self._clock = clock

    async def store(self, callbacks: Sequence[tuple[str, bytes]]) -> None:
        """Return once Kafka has all of these (key, body); raises NotStoredError after a minute without it."""
        by_partition: dict[int, list[tuple[str, bytes]]] = {}
        for key, body in callbacks:
            by_partition.setdefault(partition_of(key, self._partitions), []).append((key, body))
        for partition, group in by_partition.items():
            for some in _envelopes(group):
                record = seal(
                    [body for _, body in some],
                    [key for key, _ in some],
                    int(self._clock.wall() * 1000),
                    source=Source.PULL,
                )
                await self._append(record, partition)
                self.stored += len(some)

    async def _append(self, record: RawRecord, partition: int) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                return await self._log.append(CALLBACKS_RAW, [record], partition)
            except NotStoredError as error:
                if attempt == _TRIES:
                    raise
                if attempt == 1:
                    logger.warning("Kafka does not take pulled statuses, they are tried again: %s", error)
            await self._clock.sleep(_WAIT_SECONDS)
        return None


def _envelopes(group: list[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    while group:
        count = min(_MOST_CALLBACKS, fitting([body for _, body in group[:_MOST_CALLBACKS]], RECORD_BYTES - 1000))
        yield group[:count]
        group = group[count:]
