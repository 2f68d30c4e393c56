"""
The app: Faust with a flush before every commit, and commits of durable offsets only.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

import faust
from aiokafka.errors import InconsistentGroupProtocolError, KafkaError
from faust.types.transports import TransportT
from mode import Service

from streams.contract.erasures import AnotherKeyError, NotAnErasureError
from streams.domain.erasing import KnownErasures
from streams.errors import Die, Exit, die
from streams.runtime import private_names
from streams.runtime.assignor import AddressedAssignor
from streams.runtime.erasure_reader import ErasureReader
from streams.runtime.group_reader import FETCH_BYTES
from streams.runtime.holdings import Holdings, Table
from streams.runtime.pulse import PULSE_SECONDS, Pulse
from streams.runtime.recovery import BulkRecovery, BulkTableManager
from streams.runtime.stream import RecordStream
from streams.runtime.table import CheckpointedTable
from streams.runtime.transport import CheckpointedTransport
from streams.state.changelog.batches import MAX_BATCH_BYTES
from streams.state.changelog.fetched import check_fetches
from streams.state.changelog.private_names import produce_by
from streams.state.changelog.produce_request import ProduceRequest
from streams.state.guards import ALL_GUARDS, Guards
from streams.state.succession.reader import Reader
from streams.state.succession.shares import Shares
from streams.state.succession.standby import Standby
from streams.state.succession.warm_up import WarmUp

SESSION_SECONDS: Final = 6.0
HEARTBEAT_SECONDS: Final = 0.3
"""Workers learn of a rebalance from the answer to a heartbeat, and it waits for the last of them."""

LONGEST_PAUSE_SECONDS: Final = SESSION_SECONDS - 2.0

STREAM_BUFFER_RECORDS: Final = 64
"""Read ahead of an agent. An envelope can be 900 KB, and Faust's default is 4,096 of them per topic."""


class CheckpointedApp(faust.App):
    """
    A Faust app for checkpointed tables.

    `reader_options` are an aiokafka client's options to reach the brokers. `shares` returns the partitions of each
    member of the group, for `WarmUp`. With `stands_by` the worker is a hot standby for partitions of other workers.
    `die` ends the process after a failure, so that nothing more is written.
    """

    logger = private_names.FAUST_LOGGER

    def __init__(  # noqa: PLR0913 - its ports, handed over once by build_app
        self,
        app_id: str,
        *,
        reader_options: Mapping[str, Any],
        shares: Callable[[], Shares],
        stands_by: bool,
        erasures: KnownErasures,
        erasures_topic: str,
        die: Die = die,
        guards: Guards = ALL_GUARDS,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self._shares = shares
        produce_by(ProduceRequest)
        check_fetches()
        self.checkpointed: list[CheckpointedTable] = []
        self.pulse: Final = Pulse(
            LONGEST_PAUSE_SECONDS, lambda: private_names.group_generation(self), die=die, is_off=not guards.alarms
        )
        super().__init__(
            app_id,
            PartitionAssignor=AddressedAssignor,
            Stream=RecordStream,
            TableManager=BulkTableManager,
            broker_session_timeout=SESSION_SECONDS,
            broker_heartbeat_interval=HEARTBEAT_SECONDS,
            broker_check_crcs=False,  # `check_fetches` does it
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
        reader = Reader(reader_options)
        self.erasures: Final = ErasureReader(reader, erasures_topic, erasures)
        self.standby: Final = Standby(self.checkpointed, self.conf.topic_partitions, is_off=not stands_by)
        self.holdings: Final = Holdings(
            reader, self.standby, self.warm_up, cast("list[Table]", self.checkpointed), die, guards
        )

    def add_table(self, table: CheckpointedTable) -> CheckpointedTable:
        """Add a table to recovery and to the flush before commits. Tables are flushed in the order they are added."""
        self.checkpointed.append(table)
        self.tables.add(table)
        return table

    @property
    def bulk_recovery(self) -> BulkRecovery:
        """Return the recovery service, with figures of the last restore."""
        return cast("BulkRecovery", cast("BulkTableManager", self.tables).recovery)

    @property
    def is_ready(self) -> bool:
        """Return whether all assigned partitions are taken over and being read."""
        return self.tables.actives_ready and not self.rebalancing and not self.holdings.unread

    async def warm_up(self) -> None:
        """Read the erasures and restore rows before joining the group."""
        await self._read_erasures(self.erasures.catch_up)
        await self.bulk_recovery.warm_up(WarmUp(self.checkpointed, self._shares))

    async def on_shutdown(self) -> None:
        """
        Close the tables' stores, which writes the rows that they hold in memory.

        The worker has left its group before, so a slow write delays no other worker.
        """
        await super().on_shutdown()
        for table in self.checkpointed:
            table.close()

    async def _read_erasures(self, read: Callable[[], Awaitable[None]]) -> None:
        """Die when recipients cannot be compared: the numbers of erased people would come back."""
        try:
            await read()
        except (AnotherKeyError, NotAnErasureError) as error:
            self.holdings.die(Exit.ERASURES_UNKNOWN, str(error))
        except KafkaError as error:
            self.holdings.die(Exit.READ_FAILED, f"the erasures cannot be read: {error!r}")

    @Service.task
    async def _follow_erasures(self) -> None:
        await self._read_erasures(self.erasures.follow)

    @Service.task
    async def _beat(self) -> None:
        while not self.should_stop:
            self.pulse.beat()
            failure = private_names.group_failure(self)
            if failure is not None:
                self.holdings.die(Exit.READ_FAILED, f"no part in the group: {_reason(failure)}")
            await asyncio.sleep(PULSE_SECONDS)

    def _new_transport(self) -> TransportT:
        return CheckpointedTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> TransportT:
        return CheckpointedTransport(self.conf.broker_producer, self)


def _reason(failure: BaseException) -> str:
    if isinstance(failure, InconsistentGroupProtocolError):
        return "it has workers of a version that must not run beside this one: stop them all first"
    return repr(failure)
