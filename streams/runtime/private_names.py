"""
The private names of Faust, and of its aiokafka consumer, that this folder uses.

They have no public API. A test compares `PRIVATE_NAMES` with the installed versions, so an upgrade that moves a name
fails there and not in production.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from faust.assignor import partition_assignor
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from faust.types import TP, AppT

if TYPE_CHECKING:
    from faust.transport.drivers import aiokafka as driver

PRIVATE_NAMES: Final = (
    ("faust.app.base", "App", ("_new_transport", "_new_producer_transport")),
    ("faust.transport.consumer", "Consumer", ("_commit", "_committed_offset", "wait_first")),
    (
        "faust.transport.consumer",
        "Consumer",
        ("_drain_messages", "_get_active_partitions", "_wait_next_records", "perform_seek", "seek_wait"),
    ),
    ("faust.transport.consumer", "Consumer", ("_buffered_partitions", "resume_partitions", "on_buffer_drop")),
    ("faust.transport.consumer", "ThreadDelegateConsumer", ("_thread",)),
    ("faust.worker", "Worker", ("_setproctitle",)),
    ("mode.worker", "Worker", ("_schedule_shutdown",)),
    ("faust.transport.drivers.aiokafka", "Consumer", ("_new_consumer_thread",)),
    (
        "faust.transport.drivers.aiokafka",
        "AIOKafkaConsumerThread",
        ("_create_worker_consumer", "_consumer", "_ensure_consumer", "_fetch_records"),
    ),
    (
        "faust.transport.drivers.aiokafka",
        "AIOKafkaConsumerThread",
        ("_thread_started", "_thread_running", "_serve", "_gather_remaining_tasks"),
    ),
    ("faust.transport.drivers.aiokafka", "Producer", ("_ensure_producer",)),
    ("faust.tables.manager", "TableManager", ("_recovery", "_update_channels")),
    ("faust.tables.recovery", "Recovery", ("_build_highwaters", "_build_offsets", "_wait")),
    ("faust.tables.base", "Collection", ("_new_store",)),
    (
        "faust.assignor.partition_assignor",
        "PartitionAssignor",
        ("tables_metadata", "_metadata", "_url", "_compress", "_decompress", "_perform_assignment"),
    ),
    (
        "faust.assignor.copartitioned_assignor",
        "CopartitionedAssignor",
        ("get_assignment", "_client_assignments", "_unassign_overassigned"),
    ),
    ("aiokafka.consumer.consumer", "AIOKafkaConsumer", ("_coordinator", "_fetch_max_wait_ms")),
    (
        "aiokafka.consumer.group_coordinator",
        "GroupCoordinator",
        ("generation", "request_rejoin", "_pending_exception", "_coordination_task"),
    ),
)
"""(module, class, attributes that its source must mention)."""


FAUST_LOGGER: Final = logging.getLogger("faust.streams")
"""
For our subclasses of Faust's services: otherwise Faust's own messages appear under our logger's name and level.
"""


def kafka_producer(app: AppT) -> AIOKafkaProducer:
    """Return the running aiokafka producer of the app. Raises faust.exceptions.NotReady before it runs."""
    return cast("driver.Producer", app.producer)._ensure_producer()  # noqa: SLF001


def kafka_consumer(app: AppT) -> AIOKafkaConsumer:
    """Return the running aiokafka consumer of the app, for reading its state only."""
    return cast("driver.Consumer", app.consumer)._thread._ensure_consumer()  # noqa: SLF001


def group_generation(app: AppT) -> int:
    """Return the consumer group's generation as this member knows it; negative when it is no member."""
    return int(kafka_consumer(app)._coordinator.generation)  # noqa: SLF001


def group_failure(app: AppT) -> BaseException | None:
    """
    Return the error that ended this worker's membership in its group, None while it is a member.

    aiokafka raises the error from the consumer's public fetch methods. Faust does not call these and waits for ever.
    """
    thread = cast("driver.Consumer", app.consumer)._thread  # noqa: SLF001
    if thread._consumer is None:  # noqa: SLF001 - not started yet
        return None
    # `start()` makes the coordinator, at first one without a group.
    coordinator: Any = thread._consumer._coordinator  # noqa: SLF001
    if not isinstance(coordinator, GroupCoordinator):
        return None
    routine = coordinator._coordination_task  # noqa: SLF001
    ended = routine.exception() if routine.done() and not routine.cancelled() else None
    pending: BaseException | None = coordinator._pending_exception  # noqa: SLF001
    return ended or pending


def rejoin_group(app: AppT) -> None:
    """Start a rebalance of the group."""
    kafka_consumer(app)._coordinator.request_rejoin()  # noqa: SLF001


@contextmanager
def assigning_by(kind: type[CopartitionedAssignor]) -> Iterator[None]:
    """Replace the rule of Faust's assignor while the block runs: Faust has it as a global name, not as an option."""
    names = vars(partition_assignor)
    faust_kind, names["CopartitionedAssignor"] = names["CopartitionedAssignor"], kind
    try:
        yield
    finally:
        names["CopartitionedAssignor"] = faust_kind


def committed_offset(app: AppT, tp: TP) -> int | None:
    """Return the group's committed offset of a source partition, None when there is none."""
    return cast("driver.Consumer", app.consumer)._committed_offset.get(tp)  # noqa: SLF001


def highwater(app: AppT, tp: TP) -> int | None:
    """Return the end offset of an assigned partition as of its last fetch; None before the first, or not assigned."""
    consumer = kafka_consumer(app)
    if tp not in consumer.assignment():
        return None
    end: int | None = consumer.highwater(tp)
    return end


def owner_url(app: AppT, topic: str, partition: int) -> str | None:
    """Return the web address of the worker that owns a changelog partition, None when no owner is known."""
    for url, partitions in app.assignor.tables_metadata().items():
        if partition in partitions.get(topic, ()):
            return url
    return None


def owner_urls(app: AppT, topic: str) -> list[str]:
    """Return the web addresses of all workers that own partitions of this changelog."""
    return [url for url, partitions in app.assignor.tables_metadata().items() if partitions.get(topic)]


def set_fetch_wait(consumer: AIOKafkaConsumer, milliseconds: int) -> None:
    """Limit how long the broker may hold a fetch that has no records."""
    consumer._fetch_max_wait_ms = milliseconds  # noqa: SLF001
