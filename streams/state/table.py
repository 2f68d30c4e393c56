"""
The checkpointed table as Faust sees it: a table with a changelog, a store and background tasks.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from traceback import extract_tb
from typing import Any, Final

import faust
from faust.stores.base import Store as FaustStoreBase
from faust.types import TP, AppT, EventT, Message, StoreT
from mode import Service

from streams.contract.topics import changelog
from streams.errors import Exit, die
from streams.state import internals
from streams.state.batches import Batches
from streams.state.checkpoint import Checkpointer, OnFlush, OnStep, Route, Spec, no_flush, no_step
from streams.state.ownership import Ownership
from streams.state.stores import Store

SOFT_LIMIT_BYTES: Final = 500_000
"""Waiting in one partition: flush now, without waiting for the timer."""

HARD_LIMIT_BYTES: Final = 2_000_000
"""Waiting in one partition: the agent waits for the flush."""


class CheckpointedTable(faust.Table[bytes, bytes]):
    """
    A table whose rows, outputs and source position become durable together, in flushes.

    Agents only call `take_in`. Unlike a stock table it has no `table[key] = value`: a row is written by its stage.
    """

    logger = internals.FAUST_LOGGER

    def __init__(  # noqa: PLR0913 - its ports, handed over once by build_app
        self,
        app: AppT,
        spec: Spec,
        *,
        prefix: str,
        store: Store,
        route: Route,
        ownership: Ownership,
        flush_seconds: float,
        on_step: OnStep = no_step,
        on_flush: OnFlush = no_flush,
        **options: Any,  # noqa: ANN401 - as faust.Table takes them
    ) -> None:
        super().__init__(app, name=spec.name, key_type=bytes, value_type=bytes, **options)
        self.source: Final = spec.source.name(prefix)
        self.store: Final = store
        self._ownership = ownership
        self._flush_seconds = flush_seconds
        self._wake = asyncio.Event()
        self.checkpointer: Final = Checkpointer(
            spec,
            changelog=changelog(spec.name).name(prefix),
            store=store,
            batches=lambda: Batches(internals.kafka_producer(app)),
            route=route,
            check=ownership.check,
            on_step=on_step,
            on_flush=on_flush,
        )

    async def take_in(self, message: Message) -> None:
        """
        Apply one source record, whole. Returns before it is durable, and waits only when too much is not.

        What a record of a revoked partition would do is left to its new owner.
        """
        owned = self.checkpointer.owned.get(message.partition)
        if owned is None:
            return
        partition = owned.partition
        if partition.applied is not None and message.offset <= partition.applied:
            return
        self._check_contiguous(message, partition.applied)
        try:
            size = partition.take_in(message.offset, message.value or b"")
        except Exception as error:  # noqa: BLE001 - whatever it is: the record must not be acknowledged
            # Its kind and place, not its text: that may quote a callback.
            frame = extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__} in {frame.name}, {Path(frame.filename).name} line {frame.lineno}"
            die(Exit.STAGE_RAISED, f"{message.tp} offset {message.offset}: {self.name} could not take it in: {place}")
        if size > SOFT_LIMIT_BYTES:
            self._wake.set()
        if size > HARD_LIMIT_BYTES:
            await self.checkpointer.flush()

    def _check_contiguous(self, message: Message, applied: int | None) -> None:
        """Die unless the record is the one after the last that the rows contain."""
        committed = internals.committed_offset(self.app, message.tp)
        if committed is not None and committed > (0 if applied is None else applied + 1):
            have = "nothing" if applied is None else f"offset {applied}"
            die(Exit.STATE_LOST, f"{message.tp}: the group committed {committed}, but the changelog ends at {have}")
        if applied is not None and message.offset != applied + 1:
            die(Exit.SOURCE_GAP, f"{message.tp}: expected offset {applied + 1}, got {message.offset}")

    def durable(self, partition: int) -> int | None:
        """Return the source offset up to which everything is durable; None when nothing may be committed."""
        owned = self.checkpointer.owned.get(partition)
        return None if owned is None else owned.durable

    # -- what Faust calls

    @Service.task
    async def _flush_regularly(self) -> None:
        while not self.should_stop:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._flush_seconds)
            self._wake.clear()
            if self.checkpointer.needs_flush():
                await self.checkpointer.flush()

    async def on_stop(self) -> None:
        """Flush what is left, and own nothing any more."""
        await self.checkpointer.flush()
        await self.checkpointer.release()

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Give everything up; recovery takes over what is assigned now."""
        await self.checkpointer.release()
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Do nothing: recovery has restored the changelog in bulk, and a takeover verifies that nothing is missing."""

    def _new_store(self) -> StoreT[Any, Any]:
        return FaustStore("memory://", self.app, self, loop=self.loop)


class FaustStore(FaustStoreBase[Any, Any]):
    """Lets Faust's recovery see a store of ours: which partitions are open, and up to which offset they reach."""

    logger = internals.FAUST_LOGGER
    table: CheckpointedTable

    def persisted_offset(self, tp: TP) -> int | None:
        """Return the changelog offset up to which the store has the rows of a partition."""
        self.table.store.open(tp.partition)
        return self.table.store.offset(tp.partition)

    async def on_rebalance(
        self,
        assigned: set[TP],  # noqa: ARG002 - as Faust calls it
        revoked: set[TP],
        newly_assigned: set[TP],
        generation_id: int = 0,  # noqa: ARG002
    ) -> None:
        """Close what was revoked and open what is new."""
        for tp in revoked:
            if tp.topic == self.table.changelog_topic_name:
                self.table.store.close(tp.partition)
        for tp in newly_assigned:
            if tp.topic == self.table.changelog_topic_name:
                self.table.store.open(tp.partition)

    async def on_stop(self) -> None:
        """Close all partitions; the table has flushed them by now."""
        for partition in range(self.table.partitions or 0):
            self.table.store.close(partition)

    def reset_state(self) -> None:
        """Do nothing: local state is a folder that may be deleted while no worker runs."""

    def apply_changelog_batch(self, *_: Any) -> None:  # noqa: ANN401 - as Faust calls it
        """Do nothing: see CheckpointedTable."""

    async def backup_partition(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Do nothing: the changelog is the backup."""

    def restore_backup(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Do nothing."""
