"""
Storing redriven callbacks: through the commit log of ingest, in envelopes that name the rejection of each.

An envelope and the places of its rejections are one record. So a redrive that was killed finds all that it had stored.
"""

import logging
from collections.abc import Awaitable, Callable, Container, Iterator, Sequence
from itertools import groupby
from typing import Final

from ingest.callback.envelope import RawRecord, Redrive, fitting, seal_again
from ingest.clock import Clock
from ingest.commit.log import CommitLog
from ingest.errors import NotStoredError, TooLargeError
from ingest.redrive.errors import ReadError
from ingest.redrive.fates import MOST_BYTES, Judged, Rejection
from streams.contract.keys import partition_of
from streams.contract.topics import CALLBACKS_RAW

logger = logging.getLogger(__name__)

_PATIENT_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 1.0
_MOST_CALLBACKS: Final = 250


class Sending:
    """
    Stores callbacks, `rate` a second at most; `stored` counts them, and `too_large` the ones too large for Kafka.

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
        self.too_large = 0
        self._log = log
        self._partitions = partitions
        self._clock = clock
        self._rate = rate
        self._done = done
        self._look = look
        self._next = clock.monotonic()

    async def store(self, callbacks: Sequence[Judged]) -> None:
        """Return once Kafka has all that it takes; raises NotStoredError, or ReadError, after a minute without it."""
        for partition, some in self._envelopes(callbacks):
            await self._wait_for_turn(len(some))
            await self._store(partition, some)

    async def _store(self, partition: int, some: list[Judged]) -> None:
        """Store callbacks as one envelope; when Kafka takes none of its size, each in one of its own."""
        first = some[0].refused
        told = Redrive(first.attempts + 1, first.first_received_at_ms, [one.refused.rejection for one in some])
        now_ms = int(self._clock.wall() * 1000)
        record = seal_again([one.body for one in some], [one.key for one in some], now_ms, told)
        try:
            await self._append(record, partition, first.rejection)
        except TooLargeError:
            if len(some) == 1:
                self.too_large += 1
                return
            for one in some:
                await self._store(partition, [one])
        else:
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
                count = min(most, fitting([one.body for one in left[:most]], MOST_BYTES))
                yield partition, left[:count]
                left = left[count:]

    async def _wait_for_turn(self, callbacks: int) -> None:
        while (wait := self._next - self._clock.monotonic()) > 0:
            await self._clock.sleep(wait)
        self._next = self._clock.monotonic() + callbacks / self._rate

    async def _append(self, record: RawRecord, partition: int, rejection: Rejection) -> None:
        """Store a record once: an append that failed is tried again after a look has told that it is not there."""
        until, is_known = float("inf"), True
        while True:
            try:
                if not is_known:
                    await self._look()
                    if rejection in self._done:
                        return None
                    is_known = True
                return await self._log.append(CALLBACKS_RAW, [record], partition)
            except TooLargeError:
                raise
            except (NotStoredError, ReadError) as error:
                now = self._clock.monotonic()
                if until == float("inf"):
                    until = now + _PATIENT_SECONDS
                    logger.warning("Kafka does not take redriven callbacks, they are tried again: %s", error)
                if now >= until:
                    raise
                is_known = False
            await self._clock.sleep(_WAIT_SECONDS)
