"""
The ticks of time: each minute a record tells the alarms how far each owned partition has been taken in.

Silence has no records, so time has to come from here. A tick never runs ahead of the records: a partition is taken in
up to a moment when all records that were there then are durable. While it lags its ticks stay behind, and the alarms
wait for the slowest source. Ticks may come twice, and from an owner that has just been replaced: the greatest counts.
"""

import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import time
from typing import Final

import orjson
from aiokafka.errors import KafkaError
from faust.exceptions import NotReady
from faust.types import TP
from mode import Service

from streams.contract.topics import WATCHED_PARTITION
from streams.domain.tally import read_tally
from streams.runtime import private_names
from streams.runtime.app import CheckpointedApp
from streams.runtime.table import CheckpointedTable

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 5.0
_GRACE_SECONDS: Final = 10.0
"""
Between the receipt of a callback and its line in the topic of the alarms.

Twice the larger of STREAMS_DELIVERY_MS and STREAMS_PROGRESS_MS comes on top.
"""


class TakenIn:
    """How far one partition has been taken in, by looking at its end and its durable offset now and then."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()
        self._until = 0.0

    def look(self, now: float, end: int, durable: int) -> float:
        """Note the end at a moment; return the latest moment whose records are all durable, 0 when there is none."""
        self._looks.append((now, end))
        while self._looks and self._looks[0][1] <= durable:
            self._until, _ = self._looks.popleft()
        return self._until


class Ticks(Service):
    """Writes the ticks of the partitions that this worker owns. The first of `sources` is that of SMS: it counts."""

    logger = private_names.FAUST_LOGGER

    def __init__(  # noqa: PLR0913 - its ports
        self,
        app: CheckpointedApp,
        sources: tuple[CheckpointedTable, ...],
        topic: str,
        slowest_seconds: float,
        late: Callable[[int], int],
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        super().__init__()
        self._app = app
        self._sms = sources[0]
        self._sources = sources
        self._topic = topic
        self._grace = _GRACE_SECONDS + 2 * slowest_seconds
        self._late = late
        self._clock = clock
        self._taken: dict[tuple[str, int], TakenIn] = {}
        self._told: dict[tuple[str, int], int] = {}
        self._counted: dict[int, tuple[int, int]] = {}

    @Service.task
    async def _tick(self) -> None:
        while not self.should_stop:
            with suppress(NotReady):
                await self._look()
            await self.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        for table in self._sources:
            for number in [*table.checkpointer.owned]:
                minute = self._minute(table, number)
                if minute > self._told.get((table.name, number), 0):
                    await self._send(table, number, minute)

    def _minute(self, table: CheckpointedTable, number: int) -> int:
        owned = table.checkpointer.owned.get(number)
        end = private_names.highwater(self._app, TP(table.source, number))
        if owned is None or end is None:
            return 0
        taken = self._taken.setdefault((table.name, number), TakenIn())
        until = taken.look(self._clock(), end, max(owned.durable or 0, owned.begin))
        return int((until - self._grace) // 60) if until else 0

    async def _send(self, table: CheckpointedTable, number: int, minute: int) -> None:
        counted = self._counts(table, number)
        callbacks, late = self._since_last_tick(number, counted)
        tick = {"source": f"{table.name}-{number}", "minute": minute, "callbacks": callbacks, "late": late}
        producer = private_names.kafka_producer(self._app)
        try:
            await producer.send_and_wait(self._topic, orjson.dumps(tick), partition=WATCHED_PARTITION)
        except KafkaError as error:
            # The next tick tells more than this one.
            logger.warning("a tick could not be written: %s", type(error).__name__)
        else:
            self._told[table.name, number] = minute
            if counted is not None:
                self._counted[number] = counted

    def _counts(self, table: CheckpointedTable, number: int) -> tuple[int, int] | None:
        """Return how many callbacks a partition has taken in, and how many of them were late; None: it has none."""
        owned = table.checkpointer.owned.get(number)
        if table is not self._sms or owned is None:
            return None
        return read_tally(owned.partition.rows)["accepted"], self._late(number)

    def _since_last_tick(self, number: int, counted: tuple[int, int] | None) -> tuple[int, int]:
        if counted is None:
            return 0, 0
        before = self._counted.setdefault(number, counted)
        return max(0, counted[0] - before[0]), max(0, counted[1] - before[1])
