"""
Becoming the only writer of a partition: claim it, restore its rows, retire the producer id used before.

    init     the coordinator increments the epoch
    claim    one record with the new epoch: from here on the leader refuses every older epoch
    restore  the changelog is read up to the claim; nothing can be appended behind our back any more
    retire   the coordinator forgets an id that was not used for `transactional.id.expiration.ms` and then hands out a
             new one, which does not fence the old. The row OWNER names the id in use; when it differs, it is
             replaced by a record with the *old* id and the highest epoch: fence and row are one batch

A crash after any step is healed by the next takeover, which begins with a still newer epoch.
"""

import logging
import os
import socket
from typing import Final

from aiokafka import AIOKafkaProducer, TopicPartition

from streams.errors import Exit
from streams.state.changelog.fence import LAST_EPOCH, ProducerEpoch, next_epoch
from streams.state.checkpoint import Checkpointer, Owned
from streams.state.rows.partition import Origin, Partition
from streams.state.rows.position import Position
from streams.state.rows.reserved_keys import CLAIM, HELD, OWNER, PARTITIONS, POSITION, SOURCE
from streams.state.rows.throttle import Throttles
from streams.state.store.stores import Store
from streams.state.succession.restore import missing

logger = logging.getLogger(__name__)


class Takeover:
    """One partition on its way to being owned."""

    def __init__(self, checkpointer: Checkpointer, group: str, partition: int) -> None:
        self.partition: Final = partition
        self.end = -1
        """The changelog must be restored up to this offset."""
        self._group = group
        self._table = checkpointer
        self._writer: ProducerEpoch | None = None

    @property
    def tp(self) -> TopicPartition:
        """Return the changelog partition."""
        return TopicPartition(self._table.changelog, self.partition)

    @property
    def source(self) -> TopicPartition:
        """Return the source partition."""
        return TopicPartition(self._table.source, self.partition)

    @property
    def counted_by(self) -> list[str]:
        """Return the topics whose lengths number generations; none unless the rows begin anew."""
        return [] if self.store.read(self.partition, POSITION) else self._table.counted_by

    @property
    def store(self) -> Store:
        """Return the store that the changelog is restored into."""
        return self._table.store

    @property
    def missing(self) -> int:
        """Return the most changelog records that may still have to be restored."""
        return missing(self.store, self.partition, self.end)

    async def claim(self, producer: AIOKafkaProducer) -> None:
        """Fence every older owner, and set `end` to the claim's offset. Raises ProducerFenced for a newer owner."""
        name = f"{self._group}:{self._table.changelog}:{self.partition}"
        self._writer = await next_epoch(producer.client, name)
        self._table.step("init")
        whoami = f"{socket.gethostname()}:{os.getpid()}".encode()
        self.end = await self._append(CLAIM, whoami, self._writer)
        self._table.step("claim")

    async def retire(self) -> bool:
        """
        Fence the former producer id if it differs from ours. Call it when the partition is restored to `end`.

        Returns False when `end` has moved: rows written with the former id may lie before it, so restore and retire
        must be repeated.
        """
        writer = self._claimed()
        former = self._table.store.read(self.partition, OWNER)
        current = b"%d" % writer.producer_id
        if former == current or not self._table.guards.retire:
            return True
        by = ProducerEpoch(int(former), LAST_EPOCH) if former else writer
        self.end = await self._append(OWNER, current, by)
        self._table.step("retire")
        return False

    def finish(self, begin: int, generation: int, end: int = 0) -> Owned:
        """
        Own the partition: its rows are complete, and every other writer is fenced.

        `begin` is the first offset of the source that still exists, `end` the one after the last, asked for since the
        claim; `generation` is used when the rows begin anew.
        Ends the process when the rows do not fit the source or are not restored to `end`.
        """
        table, partition = self._table, self.partition
        self._require_source()
        self._require_partitions()
        self._require_unexpired(begin)
        if table.store.offset(partition) != self.end:
            table.die(
                Exit.STATE_LOST,
                f"{table.changelog}[{partition}]: restored to {table.store.offset(partition)}, not to {self.end}",
            )
        held = (key[len(HELD) :] for key, _ in table.store.scan(partition, HELD))
        rows = Partition(
            partition,
            table.spec.stage,
            lambda key: table.store.read(partition, key),
            Throttles(table.spec.intervals, held),
            Origin(table.spec.source_id, begin, generation, end),
            table.guards,
            table.spec.erasing,
        )
        if rows.lacks_erasures:
            name = f"{table.changelog}[{partition}]"
            logger.warning("%s: its former owner has read erasures that are yet to be read: it waits for them", name)
        if table.store.read(partition, PARTITIONS) is None:
            rows.rows.put(PARTITIONS, table.spec.partitions)
        durable = None if rows.position is None else rows.position.offset
        owned = table.owned[partition] = Owned(rows, self._claimed(), self.end, durable, begin)
        return owned

    def _require_source(self) -> None:
        """Die when the source topic was deleted and made anew: the position in the rows is no offset of the new one."""
        known = self.store.read(self.partition, SOURCE)
        if known is not None and known.decode() != self._table.spec.source_id:
            self._table.die(
                Exit.SOURCE_REPLACED,
                f"{self._table.spec.name}[{self.partition}] was made from topic {known.decode()}, and "
                f"{self._table.spec.source.suffix} is {self._table.spec.source_id} now",
            )

    def _require_partitions(self) -> None:
        """Die when the topics had another number of partitions: keys of these rows may belong elsewhere now."""
        known = self.store.read(self.partition, PARTITIONS)
        partitions = self._table.spec.partitions
        if known is not None and int(known) != partitions:
            self._table.die(
                Exit.PARTITIONS_CHANGED,
                f"{self._table.spec.name}[{self.partition}] was made with {int(known)} partitions, and the topics have "
                f"{partitions} now: each SMS that moved would count twice. Begin anew under another KAFKA_TOPIC_PREFIX",
            )

    def _require_unexpired(self, begin: int) -> None:
        """Die when source records expired before they were read, unless the setting accepts that."""
        written = self.store.read(self.partition, POSITION)
        if written is None:
            return
        position = Position.parse(written)
        if begin <= position.offset:
            return
        gone = f"{self._table.source}[{self.partition}]: offsets {position.offset} to {begin - 1} expired unread"
        if not self._table.spec.skip_expired:
            self._table.die(Exit.SOURCE_EXPIRED, f"{gone}; STREAMS_EXPIRED_SOURCE=skip goes on without them")
        logger.error("%s, and are left out", gone)

    def _claimed(self) -> ProducerEpoch:
        if self._writer is None:
            raise RuntimeError("claim() comes first")
        return self._writer

    async def _append(self, key: bytes, value: bytes, writer: ProducerEpoch) -> int:
        batches = self._table.batches()
        return (await batches.send(self._table.changelog, self.partition, {key: value}, writer))[1]
