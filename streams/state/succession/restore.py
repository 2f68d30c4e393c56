"""
Restoring: one plain consumer reads changelogs batch by batch and writes their rows into local stores.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice, product
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.state.checkpoint import Checkpointer
from streams.state.store.stores import Store
from streams.state.turns import Turns

logger = logging.getLogger(__name__)

_PIECE_RECORDS: Final = 500
"""Written in one turn, while all other tasks wait."""

_BATCHES_PER_POLL: Final = 50
"""They are fetched already; idle workers write batches of a few rows, which are joined to pieces."""

FAR_RECORDS: Final = 10_000
"""A partition that lacks more is loaded (`Store.load`): of fewer, the next records change many rows again."""


class Restorable(Protocol):
    """The part of a table that a restore uses."""

    @property
    def store(self) -> Store:
        """The store that the changelog is restored into."""

    @property
    def checkpointer(self) -> Checkpointer:
        """The checkpointer, which has the changelog's name."""

    def open_store(self, partition: int) -> None:
        """Open one partition."""


Rows = Mapping[bytes, bytes | None]

Wanted = Mapping[TopicPartition, tuple[Store, int]]
"""Changelog partitions, each with its store and the target: the last offset that the store must contain."""


async def targets_now(reader: AIOKafkaConsumer, tables: Iterable[Restorable], partitions: Iterable[int]) -> Wanted:
    """Open the stores, and return the changelog offset that each must reach."""
    stores: dict[TopicPartition, Store] = {}
    for table, number in product(tables, partitions):
        table.open_store(number)
        stores[TopicPartition(table.checkpointer.changelog, number)] = table.store
    ends = await reader.end_offsets([*stores])
    return {tp: (store, ends[tp] - 1) for tp, store in stores.items() if ends[tp]}


async def restore(consumer: AIOKafkaConsumer, wanted: Wanted) -> int:
    """
    Read each changelog partition into its store; return the number of records read.

    `consumer` gives whole batches (`Reader.open_batches`).
    May be cancelled at any await: a store always has whole pieces with their offset. A store that reaches beyond its
    changelog does not belong to it: it is cleared and restored from the beginning. Other tasks get turns meanwhile.
    """
    turns = Turns()
    left = {tp: target for tp, target in wanted.items() if not _is_complete(tp, *target)}
    if not left:
        return 0
    writes = {tp: _write_of(store, tp.partition, end) for tp, (store, end) in left.items()}
    consumer.assign(list(left))
    for tp, (store, _) in left.items():
        await _seek(consumer, tp, store.offset(tp.partition))
    count = 0
    while left:
        for tp, batches in (await consumer.getmany(timeout_ms=1000, max_records=_BATCHES_PER_POLL)).items():
            records = chain.from_iterable(batches)
            while piece := [*islice(records, _PIECE_RECORDS)]:
                writes[tp](tp.partition, {record.key: record.value for record in piece}, piece[-1].offset)
                count += len(piece)
                await turns.offer()
        for tp in await _finished(consumer, left):
            consumer.pause(tp)
            store, end = left.pop(tp)
            # The last offset may have no row: compaction may have removed it.
            store.write(tp.partition, {}, end)
    return count


def _write_of(store: Store, partition: int, end: int) -> Callable[[int, Rows, int], None]:
    return store.load if missing(store, partition, end) > FAR_RECORDS else store.write


def missing(store: Store, partition: int, end: int) -> int:
    """Return the most changelog records, up to and including offset `end`, that a store may lack."""
    have = store.offset(partition)
    return end - have if have is not None and have <= end else end + 1


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


async def _finished(consumer: AIOKafkaConsumer, left: Wanted) -> list[TopicPartition]:
    return [tp for tp, (_, end) in left.items() if await consumer.position(tp) > end]
