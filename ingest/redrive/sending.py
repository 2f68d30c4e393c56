"""
Storing redriven callbacks: through the commit log of ingest, in envelopes that name the rejection of each.

An envelope and the places of its rejections are one record. So a redrive that was killed finds all that it had stored.
"""

import logging
from collections.abc import Awaitable, Callable, Container, Iterator, Sequence
from itertools import groupby
from typing import Final

from ingest.callback.envelope import RECORD_BYTES, RawRecord, Redrive, fitting, seal_again
from ingest.clock import Clock
from ingest.commit.log import CommitLog
from ingest.errors import NotStoredError
from ingest.redrive.fates import Judged, Rejection
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW

logger = logging.getLogger(__name__)

_TRIES: Final = 60
_WAIT_SECONDS: Final = 1.0
_MOST_CALLBACKS: Final = 250
_PLACES_BYTES: Final = 20_000
"""Room for the places of the rejections, and the other fields of an envelope."""


class Sending:
    """
    Stores callbacks, `rate` a second at most; `stored` counts them.

    `done` are the rejections that were redriven, `look` learns of more of them: an append that failed may
    have stored its record nevertheless.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - its surroundings
        self,
        log: CommitLog,
        partitions: int,
        clock: Clock,
        rate: float,
        done: Container[Rejection],
        look: Callable[[], Awaitable[None]],
    ) -> None:
        self.stored = 0
        self._log = log
        self._partitions = partitions
        self._clock = clock
        self._rate = rate
        self._done = done
        self._look = look
        self._next = clock.monotonic()

    async def store(self, callbacks: Sequence[Judged]) -> None:
        """Return once Kafka has all of them; raises NotStoredError after a minute without it."""
        for partition, some in self._envelopes(callbacks):
            await self._wait_for_turn(len(some))
            first = some[0].refused
            told = Redrive(first.attempts + 1, first.first_received_at_ms, [one.refused.rejection for one in some])
            now_ms = int(self._clock.wall() * 1000)
            record = seal_again([one.body for one in some], [one.key for one in some], now_ms, told)
            await self._append(record, partition, first.rejection)
            self.stored += len(some)

    def _envelopes(self, callbacks: Sequence[Judged]) -> Iterator[tuple[int, list[Judged]]]:
        """Yield callbacks of one partition, attempt and first receipt, as many as an envelope and the rate take."""

        def together(one: Judged) -> tuple[int, int, int]:
            refused = one.refused
            return refused.first_received_at_ms, partition_of(one.key, self._partitions), refused.attempts

        most = min(_MOST_CALLBACKS, max(1, int(self._rate)))
        for (_, partition, _), group in groupby(sorted(callbacks, key=together), key=together):
            left = list(group)
            while left:
                count = min(most, fitting([one.body for one in left[:most]], RECORD_BYTES - _PLACES_BYTES))
                yield partition, left[:count]
                left = left[count:]

    async def _wait_for_turn(self, callbacks: int) -> None:
        while (wait := self._next - self._clock.monotonic()) > 0:
            await self._clock.sleep(wait)
        self._next = self._clock.monotonic() + callbacks / self._rate

    async def _append(self, record: RawRecord, partition: int, rejection: Rejection) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                return await self._log.append(CALLBACKS_RAW, [record], partition)
            except NotStoredError as error:
                if attempt == _TRIES:
                    raise
                if attempt == 1:
                    logger.warning("Kafka does not take redriven callbacks, they are tried again: %s", error)
            await self._clock.sleep(_WAIT_SECONDS)
            await self._look()
            if rejection in self._done:
                return None
        return None
