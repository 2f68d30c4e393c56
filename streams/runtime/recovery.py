"""
Restoring tables from their changelogs in bulk: Faust's own recovery spends several tasks on every record.

Faust's recovery still runs and finds nothing to restore. Partitions that lack few records ("near") are taken over
before any processing goes on; the others ("far") one after the other, while the near ones are processed. Then the
hot standby begins, if it is on.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from time import monotonic
from typing import Any, Final, Protocol, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from streams.errors import Die, Exit
from streams.runtime import private_names
from streams.runtime.holdings import Holdings, Table, held_by
from streams.state.store.stores import StoreError
from streams.state.succession.restore import restore
from streams.state.succession.takeover import Takeover
from streams.state.succession.warm_up import WarmUp

logger = logging.getLogger(__name__)

NEAR_RECORDS: Final = 10_000
"""A rebalance waits for the restore of this many records, of all partitions together: a moment."""

_STANDBY_RETRY_SECONDS: Final = 5.0
"""Until a standby that could not read the changelogs tries again."""


@contextmanager
def _fatal_errors(die: Die) -> Iterator[None]:
    """End the process when a takeover fails: a half-finished takeover may not write."""
    try:
        yield
    except ProducerFenced:
        die(Exit.FENCED, "a partition that was being taken over has a newer owner already")
    except KafkaError as error:
        die(Exit.TAKEOVER_FAILED, f"{error!r}")
    except StoreError as error:
        die(Exit.TAKEOVER_FAILED, str(error))


class _Resuming(Protocol):
    """The part of the consumer that a takeover uses."""

    async def seek_begin(self, tp: TP) -> None:
        """Seek in a partition that was taken over after the others."""

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume partitions."""


class BulkRecovery(Recovery):
    """
    Takes over the assigned partitions of all tables: near ones before Faust's recovery ends, far ones after it.

    A rebalance may cancel it at any await; the recovery after it begins from the start.
    """

    logger = private_names.FAUST_LOGGER
    restored_records = 0
    restore_seconds = 0.0
    _takeovers: dict[TP, Takeover]
    _began: float

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as Faust has it
        super().__init__(*arguments, **options)
        self._background: asyncio.Future[None] | None = None
        self._revoked = False

    @property
    def _holdings(self) -> Holdings:
        return held_by(self.app)

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop far takeovers and the standby: a rebalance assigns partitions anew."""
        super().on_partitions_revoked(revoked)
        self._revoked = True
        self._stop_background()

    async def on_rebalance(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as Faust has it
        """Begin to take over the assigned partitions."""
        self._revoked = False
        await super().on_rebalance(*arguments, **options)

    async def on_stop(self) -> None:
        """Stop far takeovers and the standby."""
        self._stop_background()
        await super().on_stop()

    def _stop_background(self) -> None:
        if self._background is not None:
            self._background.cancel()

    async def warm_up(self, before_joining: WarmUp) -> None:
        """Restore rows before joining the group, and note their partitions in `Standby.at_hand`."""
        with _fatal_errors(self._holdings.die):
            async with self._holdings.reader.open_batches() as reader:
                self._holdings.standby.at_hand = await before_joining.run(reader, self.app.conf.topic_partitions)

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ANN401, ARG002, ASYNC109 - as Faust has it
        # A restore may take longer than Faust's timeout for one request.
        await super()._wait(coro)

    async def _build_highwaters(self, consumer: Any, tps: set[TP], destination: Any, title: str) -> None:  # noqa: ANN401
        if title != "active":
            await super()._build_highwaters(consumer, tps, destination, title)
            return
        group = self.app.conf.id
        takeovers = {tp: Takeover(cast("Table", self.tp_to_table[tp]).checkpointer, group, tp.partition) for tp in tps}
        producer = private_names.kafka_producer(self.app)
        with _fatal_errors(self._holdings.die):
            await asyncio.gather(*(takeover.claim(producer) for takeover in takeovers.values()))
        self._takeovers = takeovers
        destination.clear()

    async def _build_offsets(self, consumer: Any, tps: set[TP], destination: Any, title: str) -> None:  # noqa: ANN401
        if title == "active":
            self._began, self.restored_records = monotonic(), 0
            near, self._holdings.far = _by_distance(self._takeovers.values())
            if near:
                with _fatal_errors(self._holdings.die):
                    async with self._holdings.reader.open_batches() as reader:
                        await self._take_over(reader, near)
            for tp, takeover in self._takeovers.items():
                # Faust compares these two: equal, it restores nothing, neither near nor far partitions.
                self.active_highwaters[tp] = destination[tp] = takeover.end
        await super()._build_offsets(consumer, tps, destination, title)

    async def _take_over(self, reader: AIOKafkaConsumer, takeovers: Collection[Takeover]) -> None:
        """Restore and retire until every partition is complete, then own them all."""
        left = list(takeovers)
        while left:
            wanted = {takeover.tp: (takeover.store, takeover.end) for takeover in left}
            self.restored_records += await restore(reader, wanted)
            left = [takeover for takeover in left if not await takeover.retire()]
        sources = [takeover.source for takeover in takeovers]
        begins, ends = await reader.beginning_offsets(sources), await reader.end_offsets(sources)
        for takeover in takeovers:
            generation = await self._length(reader, takeover.counted_by)
            takeover.finish(begins[takeover.source], generation, ends[takeover.source])

    async def _take_over_far_and_stand_by(self) -> None:
        """Take over the far partitions, and then follow the changelogs of the standby partitions."""
        with _fatal_errors(self._holdings.die):
            if self._holdings.far:
                await self._take_over_far()
            self._say_ready()
            while self._holdings.standby.partitions:
                try:
                    async with self._holdings.reader.open_batches() as reader:
                        await self._holdings.standby.follow(reader)
                except KafkaError as error:
                    logger.warning("cannot stand by: %r", error)
                    await asyncio.sleep(_STANDBY_RETRY_SECONDS)

    async def _take_over_far(self) -> None:
        """Take over one partition after the other, and resume each as soon as it is owned."""
        consumer = cast("_Resuming", self.app.consumer)
        async with self._holdings.reader.open_batches() as reader:
            while self._holdings.far:
                takeover = self._holdings.far[0]
                await self._take_over(reader, [takeover])
                self._check_committed()
                source = TP(*takeover.source)
                await consumer.seek_begin(source)
                del self._holdings.far[0]
                consumer.resume_partitions({source})

    async def _length(self, reader: AIOKafkaConsumer, topics: list[str]) -> int:
        """Return how many records were ever written to these topics: it grows with each generation of rows."""
        if not topics:
            return 0
        tps = [TopicPartition(topic, number) for topic in topics for number in range(self.app.conf.topic_partitions)]
        return sum((await reader.end_offsets(tps)).values())

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Begin to process the owned partitions, and take over the far ones in the background."""
        await super().on_recovery_completed(generation_id)
        if self._revoked or generation_id != self.app.consumer_generation_id:
            return
        self._check_committed()
        if self._holdings.far:
            left = [f"{takeover.tp.topic}[{takeover.partition}]" for takeover in self._holdings.far]
            logger.info("working", extra={"still_restoring": left})
        self._background = self.add_future(self._take_over_far_and_stand_by())

    def _check_committed(self) -> None:
        """End the process when the rows of an owned partition lack committed records."""
        for table in self._holdings.tables:
            table.check_committed()

    def _say_ready(self) -> None:
        self.restore_seconds = monotonic() - self._began
        logger.info(
            "ready",
            extra={
                "partitions": sorted({tp.partition for tp in self.active_tps}),
                "restored_records": self.restored_records,
                "restore_seconds": round(self.restore_seconds, 2),
            },
        )


def _by_distance(takeovers: Iterable[Takeover]) -> tuple[list[Takeover], list[Takeover]]:
    """Return the near takeovers, which lack NEAR_RECORDS at most in sum, and the far ones; fewest records first."""
    nearest = sorted(takeovers, key=lambda takeover: takeover.missing)
    lacking = accumulate(takeover.missing for takeover in nearest)
    near = sum(1 for records in lacking if records <= NEAR_RECORDS)
    return nearest[:near], nearest[near:]


class BulkTableManager(TableManager):
    """Gives Faust the bulk recovery."""

    logger = private_names.FAUST_LOGGER

    async def on_start(self) -> None:
        """Begin at once. Faust waits a second for tables that are not made yet; ours all are."""
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> Recovery:
        """Return the one recovery service of this worker."""
        if self._recovery is None:
            self._recovery = BulkRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
