"""
The private names of kafka-python, and of aiokafka's record reader, that this folder rests on.

Neither library offers a public way to them. A test compares `PRIVATE_NAMES` with the installed versions, so an upgrade
that moves one of them fails there and not in production. `Membership`, `QuickRecords`, `LargeReads` and `LargeAnswer`
override methods of the classes listed here; every other use goes through a function below.
"""

import threading
from typing import Any, Final

from kafka.errors import BrokerResponseError
from kafka.net import manager
from kafka.protocol import parser

PRIVATE_NAMES: Final = (
    ("kafka.consumer.group", "KafkaConsumer", ("_client", "_cluster", "_coordinator", "_fetcher", "_subscription")),
    ("kafka.net.compat", "KafkaNetClient", ("_manager", "close", "connected")),
    ("kafka.net.manager", "KafkaConnectionManager", ("_build_transport", "_conns")),
    ("kafka.net.transport", "KafkaTCPTransport", ("_sock", "_sock_recv")),
    ("kafka.net.connection", "KafkaConnection", ("in_flight_requests",)),
    ("kafka.protocol.parser", "KafkaProtocol", ("_rbuffer",)),
    ("kafka.protocol.frame", "KafkaBytes", ("read", "seek", "tell")),
    ("kafka.cluster", "ClusterMetadata", ("leader_for_partition", "cluster_id", "partitions_for_topic", "topic_id")),
    ("kafka.cluster", "ClusterMetadata", ("metadata_refresh_in_progress", "request_update")),
    (
        "kafka.coordinator.consumer",
        "ConsumerCoordinator",
        ("_build_metadata_snapshot", "_metadata_snapshot", "heartbeat", "need_rejoin", "rejoining"),
    ),
    (
        "kafka.coordinator.consumer",
        "ConsumerCoordinator",
        ("_join_task", "_heartbeat_loop_future", "_maybe_start_heartbeat_loop", "poll_heartbeat"),
    ),
    ("kafka.coordinator.heartbeat", "Heartbeat", ("last_receive",)),
    ("kafka.consumer.fetcher", "Fetcher", ("PartitionRecords",)),
    (
        "kafka.consumer.fetcher",
        "Fetcher.PartitionRecords",
        (
            "_maybe_skip_record",
            "_unpack_records",
            "bytes_read",
            "drain",
            "fetch_offset",
            "leader_epoch",
            "next_fetch_offset",
            "take",
        ),
    ),
    ("kafka.record.memory_records", "MemoryRecords", ("_buffer", "next_batch", "size_in_bytes")),
    ("kafka.record.default_records", "DefaultRecordBatch", ("is_control_batch", "leader_epoch", "next_offset")),
    ("aiokafka.record.default_records", "DefaultRecordBatch", ("__iter__",)),
)
"""(module, class, attributes that its source must mention)."""

_SENT_AT: Final = 2


def read_with(consumer: Any, reader: type) -> None:  # noqa: ANN401 - kafka-python has no types
    """Have the consumer's fetcher read fetched bytes with `reader`, a subclass of its `PartitionRecords`."""
    consumer._fetcher.PartitionRecords = reader  # noqa: SLF001


def connect_by(transport: type) -> None:
    """Have all clients of this process connect without TLS by `transport`, a subclass of `KafkaTCPTransport`."""
    vars(manager)["KafkaTCPTransport"] = transport


def receive_by(buffer: type) -> None:
    """Have all connections of this process receive answers into a `buffer`, a subclass of `KafkaBytes`."""
    vars(parser)["KafkaBytes"] = buffer


def join_as(consumer: Any, member: type) -> None:  # noqa: ANN401 - same
    """Make the consumer's coordinator an instance of `member`, a subclass of its class; before the first poll."""
    coordinator = consumer._coordinator  # noqa: SLF001
    coordinator.__class__ = member
    # From now on the subclass's property hides the attribute of that name: this sets the property.
    coordinator._join_task = None  # noqa: SLF001


def note_metadata(consumer: Any) -> None:  # noqa: ANN401 - same
    """Let the coordinator take the consumer's metadata of now as those of its subscription."""
    coordinator = consumer._coordinator  # noqa: SLF001
    coordinator._metadata_snapshot = coordinator._build_metadata_snapshot(  # noqa: SLF001
        consumer._subscription,  # noqa: SLF001
        consumer._cluster,  # noqa: SLF001
    )


def last_heartbeat(consumer: Any) -> float:  # noqa: ANN401 - same
    """Return when the last heartbeat was answered, by `time.monotonic`; minus infinity before the first."""
    return float(consumer._coordinator.heartbeat.last_receive)  # noqa: SLF001


def leader_of(consumer: Any, partition: Any) -> int | None:  # noqa: ANN401 - same
    """Return the broker that leads a partition, -1 or None when the metadata name none."""
    leader: int | None = consumer._cluster.leader_for_partition(partition)  # noqa: SLF001
    return leader


def cluster_id(consumer: Any) -> str | None:  # noqa: ANN401 - same
    """Return the id of the cluster, None when its brokers tell none."""
    found: str | None = consumer._cluster.cluster_id  # noqa: SLF001
    return found


def topic_id(consumer: Any, topic: str) -> str | None:  # noqa: ANN401 - same
    """Return Kafka's id of a topic, None when the last metadata have none: no such topic, or brokers before 2.8."""
    found = consumer._cluster.topic_id(topic)  # noqa: SLF001
    return str(found) if found is not None and found.int else None


def is_there(consumer: Any, topic: str) -> bool:  # noqa: ANN401 - same
    """Return whether the last metadata have a topic; a deleted one is missing, and one that the user may not see."""
    return consumer._cluster.partitions_for_topic(topic) is not None  # noqa: SLF001


def metadata_told(consumer: Any, seconds: float) -> bool:  # noqa: ANN401 - same
    """Ask for the metadata of the consumer's topics, and return whether they came in time. For any thread."""
    cluster = consumer._cluster  # noqa: SLF001
    # The answer that is under way may have been sent before the call.
    for _ in range(2 if cluster.metadata_refresh_in_progress else 1):
        come = threading.Event()
        answer = cluster.request_update()
        answer.add_both(lambda _, come=come: come.set())
        if not come.wait(seconds):
            return False
        # The client takes the word that a topic does not exist for a failure, when it asked for one topic.
        if answer.exception is not None and not isinstance(answer.exception, BrokerResponseError):
            return False
    return True


def is_connected(consumer: Any, broker: int | None) -> bool:  # noqa: ANN401 - same
    """Return whether a connection to the broker is open."""
    return bool(consumer._client.connected(broker))  # noqa: SLF001


def hang_up(consumer: Any) -> None:  # noqa: ANN401 - same
    """Close the connections, which the consumer's `close` leaves open when it fails."""
    consumer._client.close()  # noqa: SLF001


def unanswered_since(consumer: Any, broker: int | None) -> list[float]:  # noqa: ANN401 - same
    """Return when each request to the broker was sent that it still owes an answer for, by `time.monotonic`."""
    connection = consumer._client._manager._conns.get(broker)  # noqa: SLF001
    # Copied: the client's own thread changes the queue.
    return [] if connection is None else [request[_SENT_AT] for request in list(connection.in_flight_requests)]


def fetched_bytes(records: Any) -> memoryview:  # noqa: ANN401 - same
    """Return the bytes of all record batches of a `MemoryRecords`: its own, not a copy."""
    return memoryview(records._buffer)  # noqa: SLF001
