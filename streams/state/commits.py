"""
The app: Faust with a flush before every commit, and no commit beyond what is durable.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from inspect import iscoroutine
from time import monotonic
from typing import Any, Final, cast

import faust
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Producer, Transport
from faust.types import TP
from faust.types.transports import TransportT
from mode import Service, ServiceT
from mode.services import WaitResults

from streams.errors import Exit, die
from streams.state import internals
from streams.state.arrivals import Arrivals
from streams.state.assignment import AddressedAssignor
from streams.state.batches import MAX_BATCH_BYTES
from streams.state.group_reader import FETCH_BYTES, GroupReader
from streams.state.handover import begin
from streams.state.holdings import Holdings, Table, held_by
from streams.state.ownership import PULSE_SECONDS, Ownership
from streams.state.produce_request import ProduceRequest
from streams.state.reader import Reader
from streams.state.recovery import BulkRecovery, BulkTableManager
from streams.state.shares import Shares
from streams.state.standby import Standby
from streams.state.table import CheckpointedTable
from streams.state.warm_up import WarmUp

SESSION_SECONDS: Final = 6.0
HEARTBEAT_SECONDS: Final = 0.3
"""A rebalance begins when the last worker has heard of it, in the answer to a heartbeat."""

LONGEST_PAUSE_SECONDS: Final = SESSION_SECONDS - 2.0

STREAM_BUFFER_RECORDS: Final = 64
"""Read ahead of an agent; an envelope can be 900 KB, and Faust would keep 4,096 of them for each topic."""


_OF_A_RECORD: Final = 2
_NOTHING_TO_READ_SECONDS: Final = 0.02

_PACE_SECONDS: Final = 0.005
"""From asking for records until asking again: what comes in the meantime of all partitions is fetched at once."""


class ClampingConsumer(Consumer):
    """
    Commits what is durable, at most.

    Faust also acknowledges the events that it skips around a rebalance, so its own idea of a safe offset can be too
    high. Topics are made by `routee-streams topics` only.
    """

    logger = internals.FAUST_LOGGER
    _subscribed = False
    _asked = -math.inf

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Changed in place: Faust remembers this very dictionary as committed.
        clamp(cast("dict[TP, int]", offsets), held_by(self.app).tables)
        return await super()._commit(offsets) if offsets else False

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        try:
            await super()._drain_messages(fetcher)
        except KafkaError as error:
            if not self.should_stop:
                die(Exit.READ_FAILED, f"no records any more: {error!r}")
            raise

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ANN401, ASYNC109 - as Faust has it
        """
        Read nothing while partitions are taken over, and begin right after; at other times, in steps.

        Faust sleeps for a second when it has nothing to read, over the end of each takeover. When it has, it asks
        again at once, and a fetch costs more than the one or two records that have come by then.
        """
        if self.flow_active and (self.app.rebalancing or not self._get_active_partitions()):
            await self.sleep(_NOTHING_TO_READ_SECONDS)
            return {}, set()
        await asyncio.sleep(self._asked + _PACE_SECONDS - monotonic())
        self._asked = monotonic()
        return await super()._wait_next_records(timeout)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Read partitions from now on, those not that are still to be taken over."""
        super().resume_partitions(set(tps) - self._unread)

    def on_buffer_drop(self, tp: TP) -> None:
        """Read a partition again that was left alone because its agent had too much."""
        if tp not in self._unread:
            super().on_buffer_drop(tp)

    def wanted(self, active: AbstractSet[TP]) -> AbstractSet[TP]:
        """Return the partitions whose records are handed over: active ones, and what came while an agent had enough."""
        return (active | self._buffered_partitions) - self._unread

    @property
    def _unread(self) -> AbstractSet[TP]:
        return held_by(self.app).unread

    async def perform_seek(self) -> None:
        """
        Go back to what is committed, and to the beginning where nothing is.

        What was read while its partition had no owner was let go of; Faust goes nowhere when nothing is committed.
        """
        await super().perform_seek()
        await self._seek_uncommitted(self._begins())

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group; before the first time, have at hand what it will hand over."""
        if not self._subscribed:
            self._subscribed = True
            await held_by(self.app).before_joining()
        await super().subscribe(topics)

    async def seek_begin(self, tp: TP) -> None:
        """Go back in a partition that was taken over after the others, in the same way."""
        await self._seek_uncommitted({tp: self._begins()[tp]})

    def _begins(self) -> dict[TP, int]:
        return {
            TP(table.source, number): owned.begin
            for table in held_by(self.app).tables
            for number, owned in table.checkpointer.owned.items()
        }

    async def _seek_uncommitted(self, begins: Mapping[TP, int]) -> None:
        assigned = self.assignment()
        await self.seek_wait(
            {tp: begin for tp, begin in begins.items() if tp in assigned and not self._committed_offset.get(tp)}
        )

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:  # noqa: ANN401, ASYNC109 - as mode has it
        """
        Hand over a record as Faust does, but without tasks when that ends without waiting.

        Faust asks for it by two coroutines: the handing over, which returns nothing, and one that ends when the flow
        is suspended. Anything else is waited for by Faust itself.
        """
        if timeout is not None or len(coros) != _OF_A_RECORD or not all(map(iscoroutine, coros)):
            return await super().wait_first(*coros, timeout=timeout)
        handing_over, suspended = coros
        begun = begin(handing_over)
        if begun is not None:
            return await super().wait_first(begun, suspended)
        suspended.close()
        return WaitResults([handing_over], [None], stopped=self.should_stop)

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return GroupReader(self, loop=self.loop, thread_loop=self.loop, beacon=self.beacon)

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Do nothing."""


def clamp(offsets: dict[TP, int], tables: Iterable[Table]) -> None:
    """Lower the offsets of the tables' source topics to what is durable, and drop those of which nothing is."""
    for table in tables:
        for tp in [tp for tp in offsets if tp.topic == table.source]:
            durable = table.durable(tp.partition)
            if durable is None:
                del offsets[tp]
            else:
                offsets[tp] = min(offsets[tp], durable)


class FlushingProducer(Producer):
    """Flushes the tables whenever Faust flushes its producer: before a commit, at a revocation, at the end."""

    logger = internals.FAUST_LOGGER

    async def flush(self) -> None:
        """Make everything durable that was taken in."""
        for table in held_by(self.app).tables:
            await table.checkpointer.flush()
        await super().flush()

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Do nothing."""


class CheckpointedTransport(Transport):
    """Kafka with the consumer and producer above."""

    Consumer = ClampingConsumer
    Producer = FlushingProducer


class CheckpointedApp(faust.App):
    """
    A Faust app for checkpointed tables.

    `reader_options` are an aiokafka client's options to reach the brokers. `shares` returns the partitions of each
    member of the group, for `WarmUp`. A worker that `stands_by` keeps rows of others' partitions at hand.
    """

    logger = internals.FAUST_LOGGER

    def __init__(
        self,
        app_id: str,
        *,
        reader_options: Mapping[str, Any],
        shares: Callable[[], Shares],
        stands_by: bool,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self._shares = shares
        internals.produce_by(ProduceRequest)
        self.checkpointed: list[CheckpointedTable] = []
        self.ownership: Final = Ownership(LONGEST_PAUSE_SECONDS, lambda: internals.group_generation(self))
        super().__init__(
            app_id,
            PartitionAssignor=AddressedAssignor,
            Stream=Arrivals,
            TableManager=BulkTableManager,
            broker_session_timeout=SESSION_SECONDS,
            broker_heartbeat_interval=HEARTBEAT_SECONDS,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=FETCH_BYTES,
            producer_acks=-1,
            producer_max_batch_size=MAX_BATCH_BYTES,
            producer_max_request_size=2 * MAX_BATCH_BYTES,
            stream_buffer_maxsize=STREAM_BUFFER_RECORDS,
            stream_recovery_delay=0.0,
            table_standby_replicas=0,
            topic_allow_declare=False,
            topic_disable_leader=True,
            **options,
        )
        self.standby: Final = Standby(self.checkpointed, self.conf.topic_partitions, is_off=not stands_by)
        self.holdings: Final = Holdings(
            Reader(reader_options), self.standby, self.warm_up, cast("list[Table]", self.checkpointed)
        )

    def add_table(self, table: CheckpointedTable) -> CheckpointedTable:
        """Let Faust recover a table, and flush it before commits. Tables are flushed in the order they are added."""
        self.checkpointed.append(table)
        self.tables.add(table)
        return table

    @property
    def bulk_recovery(self) -> BulkRecovery:
        """Return the recovery service, with figures of the last restore."""
        return cast("BulkRecovery", cast("BulkTableManager", self.tables).recovery)

    @property
    def is_ready(self) -> bool:
        """Tell whether all assigned partitions are taken over and being worked on."""
        return self.tables.actives_ready and not self.rebalancing and not self.holdings.unread

    async def warm_up(self) -> None:
        """Have rows at hand before joining the group."""
        await self.bulk_recovery.warm_up(WarmUp(self.checkpointed, self._shares))

    async def on_shutdown(self) -> None:
        """
        Close the tables' stores.

        That takes as long as it takes to write what they hold in memory; the group is left by now, and nobody waits.
        """
        await super().on_shutdown()
        for table in self.checkpointed:
            table.close()

    @Service.task
    async def _beat(self) -> None:
        while not self.should_stop:
            self.ownership.beat()
            failure = internals.group_failure(self)
            if failure is not None:
                die(Exit.READ_FAILED, f"no part in the group any more: {failure!r}")
            await asyncio.sleep(PULSE_SECONDS)

    def _new_transport(self) -> TransportT:
        return CheckpointedTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> TransportT:
        return CheckpointedTransport(self.conf.broker_producer, self)
