"""
Restoring tables from their changelogs: one plain consumer that writes whole fetches into the stores.

Faust's own recovery spends several tasks on every record. It still runs afterwards, and finds nothing left to do.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from streams.errors import Exit, die
from streams.state import internals
from streams.state.checkpoint import Checkpointer
from streams.state.stores import Store, StoreError
from streams.state.takeover import Takeover

if TYPE_CHECKING:
    from streams.state.table import CheckpointedTable

logger = logging.getLogger(__name__)

_RECORDS_PER_POLL: Final = 20_000
_FETCH_BYTES: Final = {"fetch_max_bytes": 50 << 20, "max_partition_fetch_bytes": 8 << 20}


async def restore(consumer: AIOKafkaConsumer, wanted: Mapping[TopicPartition, tuple[Store, int]]) -> int:
    """
    Read each changelog partition into its store, up to and including an offset; return how many records there were.

    May be cancelled at any await: a store always has whole fetches with their offset. A store that has more than
    the changelog does not belong to it and is read anew.
    """
    left = {tp: target for tp, target in wanted.items() if not _is_complete(tp, *target)}
    if not left:
        return 0
    consumer.assign(list(left))
    for tp, (store, _) in left.items():
        await _seek(consumer, tp, store.offset(tp.partition))
    count = 0
    while left:
        for tp, records in (await consumer.getmany(timeout_ms=1000, max_records=_RECORDS_PER_POLL)).items():
            rows = {record.key: record.value for record in records}
            wanted[tp][0].write(tp.partition, rows, records[-1].offset)
            count += len(records)
        for tp in await _finished(consumer, left):
            consumer.pause(tp)
            store, end = left.pop(tp)
            # The last offset need not be a row: compaction may have taken it.
            store.write(tp.partition, {}, end)
    return count


def _is_complete(tp: TopicPartition, store: Store, end: int) -> bool:
    have = store.offset(tp.partition)
    if have is not None and have > end:
        logger.warning("local state of %s[%s] reaches offset %s of %s: read anew", tp.topic, tp.partition, have, end)
        store.clear(tp.partition)
        return False
    return have == end


async def _seek(consumer: AIOKafkaConsumer, tp: TopicPartition, have: int | None) -> None:
    if have is None:
        await consumer.seek_to_beginning(tp)
    else:
        consumer.seek(tp, have + 1)


async def _finished(
    consumer: AIOKafkaConsumer, left: Mapping[TopicPartition, tuple[Store, int]]
) -> list[TopicPartition]:
    return [tp for tp, (_, end) in left.items() if await consumer.position(tp) > end]


@contextmanager
def _fatal_errors() -> Iterator[None]:
    """End the process where a takeover fails: half of one is no right to write."""
    try:
        yield
    except ProducerFenced:
        die(Exit.FENCED, "a partition that was being taken over has a newer owner already")
    except KafkaError as error:
        die(Exit.TAKEOVER_FAILED, f"{error!r}")
    except StoreError as error:
        die(Exit.TAKEOVER_FAILED, str(error))


class BulkRecovery(Recovery):
    """
    Takes over the assigned partitions of all tables before Faust looks at them.

    A rebalance may cancel it at any await; the next one begins from the start.
    """

    logger = internals.FAUST_LOGGER
    reader_options: Mapping[str, Any]
    restored_records = 0
    restore_seconds = 0.0
    _takeovers: dict[TP, Takeover]

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ANN401, ARG002, ASYNC109 - as Faust has it
        # Restoring may take longer than Faust gives one request.
        await super()._wait(coro)

    async def _build_highwaters(self, consumer: Any, tps: set[TP], destination: Any, title: str) -> None:  # noqa: ANN401
        if title != "active":
            await super()._build_highwaters(consumer, tps, destination, title)
            return
        group = self.app.conf.id
        takeovers = {tp: Takeover(self._checkpointer(tp), group, tp.partition) for tp in tps}
        producer = internals.kafka_producer(self.app)
        with _fatal_errors():
            await asyncio.gather(*(takeover.claim(producer) for takeover in takeovers.values()))
        self._takeovers = takeovers
        destination.clear()

    async def _build_offsets(self, consumer: Any, tps: set[TP], destination: Any, title: str) -> None:  # noqa: ANN401
        if title == "active":
            started = monotonic()
            with _fatal_errors():
                self.restored_records = await self._take_over(self._takeovers.values())
            self.restore_seconds = monotonic() - started
            for tp, takeover in self._takeovers.items():
                self.active_highwaters[tp] = destination[tp] = takeover.end
        await super()._build_offsets(consumer, tps, destination, title)

    async def _take_over(self, takeovers: Collection[Takeover]) -> int:
        """Restore and retire until every partition is complete, then own all of them; return the records read."""
        left, count = list(takeovers), 0
        async with self._reader() as reader:
            while left:
                wanted = {takeover.tp: (takeover.store, takeover.end) for takeover in left}
                count += await restore(reader, wanted)
                left = [takeover for takeover in left if not await takeover.retire()]
            begins = await reader.beginning_offsets([takeover.source for takeover in takeovers])
            for takeover in takeovers:
                generation = await self._length(reader, takeover.counted_by)
                takeover.finish(begins[takeover.source], generation)
        return count

    async def _length(self, reader: AIOKafkaConsumer, topic: str | None) -> int:
        """Return how many records were ever written to a topic: more each time that something follows from it."""
        if topic is None:
            return 0
        tps = [TopicPartition(topic, number) for number in range(self.app.conf.topic_partitions)]
        return sum((await reader.end_offsets(tps)).values())

    def _checkpointer(self, tp: TP) -> Checkpointer:
        return cast("CheckpointedTable", self.tp_to_table[tp]).checkpointer

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        reader = AIOKafkaConsumer(
            enable_auto_commit=False, auto_offset_reset="earliest", **_FETCH_BYTES, **self.reader_options
        )
        await reader.start()
        try:
            yield reader
        finally:
            await reader.stop()

    async def first_record(self, tp: TP, offset: int) -> int | None:
        """
        Return the offset of the first record at or after one; None when there is none, or the log begins later.

        Raises KafkaError when Kafka cannot say.
        """
        async with self._reader() as reader:
            source = TopicPartition(tp.topic, tp.partition)
            if (await reader.beginning_offsets([source]))[source] > offset:
                return None
            reader.assign([source])
            reader.seek(source, offset)
            end = (await reader.end_offsets([source]))[source]
            while await reader.position(source) < end:
                for records in (await reader.getmany(timeout_ms=500, max_records=1)).values():
                    return int(records[0].offset)
            return None

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Make sure that no rows are missing, and say that the worker is ready."""
        await super().on_recovery_completed(generation_id)
        for table in self.tables.values():
            cast("CheckpointedTable", table).check_committed()
        logger.info(
            "ready",
            extra={
                "partitions": sorted({tp.partition for tp in self.active_tps}),
                "restored_records": self.restored_records,
                "restore_seconds": round(self.restore_seconds, 2),
            },
        )


class BulkTableManager(TableManager):
    """Makes Faust recover in bulk; whoever makes one sets `reader_options`, an aiokafka client's to reach Kafka."""

    logger = internals.FAUST_LOGGER
    reader_options: Mapping[str, Any]

    async def on_start(self) -> None:
        """Begin at once. Faust waits a second for tables that are still to be made; ours all are."""
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> Recovery:
        """Return the one recovery service of this worker."""
        if self._recovery is None:
            recovery = BulkRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
            recovery.reader_options = self.reader_options
            self._recovery = recovery
        return self._recovery
