"""
The checkpointed table as Faust sees it: a table with a changelog, a store and background tasks.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any, Final, NoReturn

import faust
from aiokafka.errors import KafkaError
from faust.stores.base import Store as FaustStoreBase
from faust.types import TP, AppT, EventT, Message, StoreT
from mode import Service

from streams.domain.stage import UnfinishedError
from streams.errors import Exit, place_of
from streams.runtime import private_names
from streams.runtime.holdings import held_by
from streams.state.checkpoint import Checkpointer, Owned
from streams.state.rows.partition import Partition
from streams.state.store.stores import StoreError

logger = logging.getLogger(__name__)

SOFT_LIMIT_BYTES: Final = 500_000
"""Unflushed bytes of one partition that start a flush before its timer."""

HARD_LIMIT_BYTES: Final = 2_000_000
"""
Unflushed bytes of one partition for which the agent waits for the flush (backpressure). With one more piece they
still fit in one batch.
"""

_TIDY_SECONDS: Final = 0.5
"""
How often a partition without records is looked at for erasures and for rows that are over, and whether all are known.
"""

_ABANDON_SECONDS: Final = 10.0
"""The longest wait for the acknowledgement of an ending."""


class CheckpointedTable(faust.Table[bytes, bytes]):
    """
    A table whose rows, outputs and source position become durable together, in flushes.

    Agents call `take_in` only. Unlike a stock Faust table it has no `table[key] = value`: its stage writes the rows.
    """

    logger = private_names.FAUST_LOGGER

    def __init__(
        self,
        app: AppT,
        checkpointer: Checkpointer,
        *,
        flush_seconds: float,
        **options: Any,  # noqa: ANN401 - as faust.Table takes them
    ) -> None:
        super().__init__(app, name=checkpointer.spec.name, key_type=bytes, value_type=bytes, **options)
        self.checkpointer: Final = checkpointer
        self.source: Final = checkpointer.source
        self.store: Final = checkpointer.store
        self._die = checkpointer.die
        self._flush_seconds = flush_seconds
        self._wake = asyncio.Event()

    async def take_in(self, message: Message) -> None:
        """
        Apply one source record. Returns before it is durable; waits for a flush only beyond HARD_LIMIT_BYTES.

        Skips a record of a revoked partition. When the partition is revoked between two pieces of the record, the new
        owner applies the rest. Ends the process when the record does not follow the one before, or cannot be applied.
        """
        owned = self.checkpointer.owned.get(message.partition)
        if owned is None:
            return
        partition = owned.partition
        if message.offset < partition.next:
            return
        await self._check_contiguous(message, partition)
        if self.checkpointer.owned.get(message.partition) is not owned:
            return
        ended = partition.refused(message.offset)
        if ended is not None:
            place = f"{_name(message.tp)} offset {message.offset}"
            logger.error("%s ended %s workers in a row: rejected as a bug", place, ended.times)
        pieces = partition.take_in(message.offset, message.value or b"")
        while await self._gets_a_turn(owned) and (size := await self._next(pieces, owned, message)) is not None:
            if size > SOFT_LIMIT_BYTES:
                self._wake.set()
            if size > HARD_LIMIT_BYTES:
                await self.checkpointer.flush()

    async def _gets_a_turn(self, owned: Owned) -> bool:
        """
        Wait for a turn, and let all known erasures hold; return whether the partition may still be changed.

        A rebalance waits for the current record. The partition's next owner goes on with the next piece.
        """
        await self.checkpointer.turns.offer()
        return self._may_change(owned) and await self._holds_erasures(owned)

    async def _holds_erasures(self, owned: Owned) -> bool:
        """
        Let all erasures hold in a partition; return whether the partition is still owned.

        Waits while they are not known: a number that was erased meanwhile would be written.
        """
        while not owned.partition.knows_erasures:
            if self.should_stop or not self._may_change(owned):
                return False
            await asyncio.sleep(_TIDY_SECONDS)
        if not owned.partition.is_behind:
            return True
        await self.checkpointer.hold_erasures(owned)
        return self._may_change(owned)

    def _may_change(self, owned: Owned) -> bool:
        is_owned = self.checkpointer.owned.get(owned.partition.number) is owned
        return is_owned and not owned.is_abandoned and not self.app.rebalancing

    async def _next(self, pieces: Iterator[int], owned: Owned, message: Message) -> int | None:
        """Apply a piece; return the unflushed bytes, None after the last piece. Die when it cannot be applied."""
        try:
            return next(pieces, None)
        except UnfinishedError as error:
            await self._abandon(owned, message, error.index, error.__cause__ or error)
        except Exception as error:  # noqa: BLE001 - after any error, the record must not be acknowledged
            await self._abandon(owned, message, None, error)

    async def _abandon(self, owned: Owned, message: Message, at: int | None, error: BaseException) -> NoReturn:
        """Write that a record ends this worker, and die. The next owner retries the record, a few times."""
        ending = owned.partition.ending(message.offset, at)
        place = f"{_name(message.tp)} offset {message.offset}" + ("" if at is None else f" callback {at}")
        with suppress(KafkaError, TimeoutError):  # unacknowledged, this ending is not counted
            await asyncio.wait_for(self.checkpointer.abandon(owned, ending), _ABANDON_SECONDS)
        self._die(
            Exit.STAGE_RAISED,
            f"{place}: {self.name} could not take it in ({ending.times} in a row): {place_of(error)}",
        )

    async def _check_contiguous(self, message: Message, partition: Partition) -> None:
        """Die unless the record follows the last one that the rows contain."""
        if not self.checkpointer.guards.contiguity:
            return
        self._check_committed(partition)
        # Offsets without a record (transaction markers, compacted records) are no gap: look up the next record.
        if message.offset != partition.next and await self._first_record(message.tp, partition.next) != message.offset:
            self._die(Exit.SOURCE_GAP, f"{_name(message.tp)}: expected offset {partition.next}, got {message.offset}")

    def _check_committed(self, partition: Partition) -> None:
        """Die when the group has committed more than the rows contain."""
        tp = TP(self.source, partition.number)
        committed = private_names.committed_offset(self.app, tp)
        contained = 0 if partition.position is None else partition.position.offset
        if committed is not None and committed > contained:
            have = f"offset {contained - 1}" if contained else "nothing"
            why = f"{_name(tp)}: the group committed {committed}, but the changelog ends at {have}"
            self._die(Exit.STATE_LOST, why)

    async def _first_record(self, tp: TP, offset: int) -> int | None:
        with suppress(KafkaError):  # without an answer the caller dies
            return await held_by(self.app).reader.first_record(tp, offset)
        return None

    def durable(self, partition: int) -> int | None:
        """Return the source offset that may be committed; None when none may be."""
        owned = self.checkpointer.owned.get(partition)
        return None if owned is None else owned.durable

    def check_committed(self) -> None:
        """Die when the group has committed more records of a partition than its rows contain."""
        for owned in self.checkpointer.owned.values():
            self._check_committed(owned.partition)

    # -- called by Faust

    @Service.task
    async def _flush_regularly(self) -> None:
        while not self.should_stop:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._flush_seconds)
            self._wake.clear()
            if self.checkpointer.needs_flush():
                await self.checkpointer.flush()

    @Service.task
    async def _tidy_regularly(self) -> None:
        while not self.should_stop:
            for owned in [*self.checkpointer.owned.values()]:
                await self._erase(owned)
                await self._forget(owned)
            await self.sleep(_TIDY_SECONDS)

    async def _erase(self, owned: Owned) -> None:
        """Let erasures hold also in a partition without records, and apply them to its rows, in turns."""
        while self._may_change(owned) and not self.should_stop and await self._holds_erasures(owned):
            if not owned.partition.is_walking:
                return
            await self._after_slice(self.checkpointer.erase_slice(owned))

    async def _forget(self, owned: Owned) -> None:
        """Delete rows that are over, in turns."""
        while self._may_change(owned) and not self.should_stop and owned.partition.is_forgetting(monotonic()):
            await self._after_slice(self.checkpointer.forget_slice(owned))

    async def _after_slice(self, size: int) -> None:
        if size > SOFT_LIMIT_BYTES:
            await self.checkpointer.flush()
        else:
            await asyncio.sleep(0)

    async def on_stop(self) -> None:
        """Flush, and give up all partitions."""
        await self.checkpointer.flush()
        await self.checkpointer.release()

    def close(self) -> None:
        """Close the stores of all partitions; call it when the table has stopped."""
        for partition in range(self.partitions or 0):
            self.close_store(partition)

    def open_store(self, partition: int) -> None:
        """Open the store of one partition; die when its files cannot be opened."""
        try:
            self.store.open(partition)
        except StoreError as error:
            self._die(Exit.TAKEOVER_FAILED, str(error))

    def close_store(self, partition: int) -> None:
        """Close the store of one partition; die when the rows that it holds in memory cannot be written."""
        try:
            self.store.close(partition)
        except StoreError as error:
            self._die(Exit.FLUSH_FAILED, str(error))

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Give up all partitions; recovery then takes over the assigned ones."""
        await self.checkpointer.release()
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Do nothing: BulkRecovery has restored the changelog, and each takeover verifies that no record is missing."""

    def _new_store(self) -> StoreT[Any, Any]:
        return FaustStore("memory://", self.app, self, loop=self.loop)


def _name(tp: TP) -> str:
    return f"{tp.topic}[{tp.partition}]"


class FaustStore(FaustStoreBase[Any, Any]):
    """Shows our store to Faust's recovery: which partitions are open, and the offset that each reaches."""

    logger = private_names.FAUST_LOGGER
    table: CheckpointedTable

    def persisted_offset(self, tp: TP) -> int | None:
        """Return the changelog offset that the store has reached."""
        self.table.open_store(tp.partition)
        return self.table.store.offset(tp.partition)

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],  # noqa: ARG002 - as Faust calls it
        newly_assigned: set[TP],  # noqa: ARG002
        generation_id: int = 0,  # noqa: ARG002
    ) -> None:
        """Open the assigned partitions, and close all others except the standby partitions."""
        kept = held_by(self.app).standby.partitions
        for number in range(self.table.partitions or 0):
            if TP(self.table.changelog_topic_name, number) in assigned:
                self.table.open_store(number)
            elif number not in kept:
                self.table.close_store(number)

    def reset_state(self) -> None:
        """Do nothing: to reset the local state, delete its folder while no worker runs."""

    def apply_changelog_batch(self, *_: Any) -> None:  # noqa: ANN401 - as Faust calls it
        """Do nothing: see CheckpointedTable."""

    async def backup_partition(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Do nothing: the changelog is the backup."""

    def restore_backup(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Do nothing."""
