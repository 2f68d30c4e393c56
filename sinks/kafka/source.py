"""
Records from Kafka, by kafka-python and its consumer group.
"""

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from kafka.structs import TopicPartition as KafkaPartition

from sinks.errors import ConnectError, RetryableError, TopicError
from sinks.kafka import private_names
from sinks.kafka.membership import subscribe
from sinks.kafka.record_batches import QuickRecords
from sinks.kafka.refusal import refusal
from sinks.source import Polled, Record, TopicPartition, assigned_only, first_position
from streams.program.brokers import UnusableFilesError, client_options, why_unreachable
from streams.program.kafka_problems import topic_problem
from streams.program.settings import CommonSettings

logger = logging.getLogger(__name__)

_BOOTSTRAP_MS: Final = 5_000
_ASK_MS: Final = 5_000
_COMMIT_MS: Final = 3_000
_CLOSE_MS: Final = 1_500
# Ten times `fetch_max_wait_ms`, within which a broker answers a fetch.
_OVERDUE_SECONDS: Final = 2.0

CONSUMER_OPTIONS: Final[dict[str, Any]] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "allow_auto_create_topics": False,
    # A killed process holds its partitions this long.
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 1_000,
    # The loop polls several times a second, even while the store is away. Without a poll for so long it is stuck.
    "max_poll_interval_ms": 60_000,
    # Fewer, larger answers: a fetch costs more than its records when few come at a time.
    "fetch_min_bytes": 65_536,
    "fetch_max_wait_ms": 200,
    # Records read ahead are in memory besides the batch, several times over. Larger limits read no faster.
    "fetch_max_bytes": 4 << 20,
    "max_partition_fetch_bytes": 1 << 20,
    # By default the client doubles its wait up to 30 s: it would stay away long after Kafka is back.
    "reconnect_backoff_max_ms": 1_000,
    "metrics_enabled": False,
}


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no type information
    """
    Notes revoked and assigned partitions, for the thread that polls.

    kafka-python calls it on its own thread, which heartbeats depend on.
    """

    def __init__(self, notes: "deque[tuple[str, set[TopicPartition]]]") -> None:
        self._notes = notes

    def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ANN401 - kafka-python's tuples
        self._notes.append(("revoked", {TopicPartition(*partition) for partition in revoked}))

    def on_partitions_assigned(self, assigned: Any) -> None:  # noqa: ANN401 - kafka-python's tuples
        self._notes.append(("assigned", {TopicPartition(*partition) for partition in assigned}))


class KafkaSource:
    """
    Implements `Source`. Heartbeats have a thread of their own; all else happens in the caller's.

    TopicError unless every topic exists with `KAFKA_PARTITIONS` partitions; ConnectError when no broker answers.
    """

    def __init__(self, settings: CommonSettings, topics: Sequence[str], group: str) -> None:
        self._refusal = partial(refusal, settings=settings, topics=topics, group=group)
        self._consumer = _consumer(settings, group)
        self._notes: deque[tuple[str, set[TopicPartition]]] = deque()
        self._delivering: set[TopicPartition] = set()
        self._paused = False
        self._answered = True
        self._opened = self._leaders_seen = time.monotonic()
        problems = topic_problems(self._consumer, topics, settings)
        if problems:
            self._consumer.close(timeout_ms=_CLOSE_MS)
            raise TopicError("; ".join(problems))
        subscribe(self._consumer, topics, _Listener(self._notes))

    def poll(self, seconds: float, max_records: int) -> Polled:
        """Wait at most `seconds` for records, at most `max_records` of them."""
        fetched = self._fetch(seconds, max_records)
        news = Polled()
        while self._notes:
            self._note(news, *self._notes.popleft())
        news.records = assigned_only(fetched, self._delivering)
        return news

    def _fetch(self, seconds: float, max_records: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """
        Return the fetched records. While no broker answers there are none: the client raises that now and then.

        ConnectError when waiting does not help.
        """
        try:
            found: Mapping[TopicPartition, Sequence[Record]] = self._consumer.poll(int(seconds * 1000), max_records)
        except KafkaError as error:
            if (line := self._refusal(error)) is not None:
                raise ConnectError(line) from error
            if self._answered:
                logger.warning("Kafka does not answer", extra={"error": type(error).__name__})
            self._answered = False
            # The client may raise at once.
            time.sleep(seconds)
            return {}
        self._answered = True
        return found

    def _note(self, news: Polled, change: str, partitions: set[TopicPartition]) -> None:
        if change == "revoked":
            news.revoked |= partitions
            news.assigned -= partitions
            self._delivering -= partitions
        else:
            news.assigned |= partitions
            news.rebalanced = True
            # Nothing is fetched before `begin` says from where.
            self._consumer.pause(*self._still_assigned(partitions))

    def begin(self, partition: TopicPartition, position: int | None) -> int | None:
        """Deliver from the position on."""
        if not self._still_assigned({partition}):
            return None
        theirs = KafkaPartition(*partition)
        try:
            first = self._first(theirs, position)
        except KafkaError as error:
            raise RetryableError(f"Kafka does not tell the offsets of {partition.topic}: {error!r}") from error
        self._consumer.seek(theirs, first)
        self._delivering.add(partition)
        if not self._paused:
            self._consumer.resume(theirs)
        return first

    def _first(self, partition: KafkaPartition, position: int | None) -> int:
        committed = self._consumer.committed(partition, timeout_ms=_ASK_MS)
        end = self._consumer.end_offsets([partition], timeout_ms=_ASK_MS)[partition]
        oldest: int = self._consumer.beginning_offsets([partition], timeout_ms=_ASK_MS)[partition]
        return max(oldest, first_position(TopicPartition(*partition), position, committed, end))

    def pause(self) -> None:
        """Stop fetching the partitions that deliver."""
        if not self._paused:
            self._paused = True
            self._consumer.pause(*self._still_assigned(self._delivering))

    def resume(self) -> None:
        """Fetch them again."""
        if self._paused:
            self._paused = False
            self._consumer.resume(*self._still_assigned(self._delivering))

    def commit(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Commit, and wait for the answer. The group refuses during a rebalance; a broker may refuse, too."""
        mine = self._still_assigned(set(positions))
        offsets = {partition: OffsetAndMetadata(positions[partition], "", -1) for partition in mine}
        try:
            if offsets:
                self._consumer.commit(offsets, timeout_ms=_COMMIT_MS)
        except KafkaError as error:
            logger.warning("could not commit", extra={"error": type(error).__name__, "partitions": len(offsets)})
            return False
        return True

    def ends(self) -> dict[TopicPartition, int]:
        """Return the end offsets that the last fetches told."""
        found = {}
        for partition in self._still_assigned(self._delivering):
            end = self._consumer.highwater(partition)
            if end is not None:
                found[TopicPartition(*partition)] = end
        return found

    def silence(self) -> float:
        """Return the seconds since the group, or the leader of a partition that delivers, was last known to answer."""
        now = time.monotonic()
        if self._paused or self._reaches_leaders():
            self._leaders_seen = now
        # Only heartbeats count: a group may answer joins without end, and never be stable.
        group_seen = max(private_names.last_heartbeat(self._consumer), self._opened)
        return float(now - min(group_seen, self._leaders_seen))

    def _reaches_leaders(self) -> bool:
        """Return whether every leader is connected, and owes no overdue answer."""
        return all(
            self._answers(private_names.leader_of(self._consumer, partition))
            for partition in self._still_assigned(self._delivering)
        )

    def _answers(self, broker: int | None) -> bool:
        if not private_names.is_connected(self._consumer, broker):
            return False
        # A frozen broker keeps its connection: the client closes that after 30 s only.
        overdue = time.monotonic() - _OVERDUE_SECONDS
        return all(sent > overdue for sent in private_names.unanswered_since(self._consumer, broker))

    def close(self) -> None:
        """Leave the group, within a second or two even when no broker answers."""
        try:
            self._consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)
        except KafkaError as error:
            logger.warning("could not leave the group in time", extra={"error": type(error).__name__})

    def _still_assigned(self, partitions: set[TopicPartition]) -> list[KafkaPartition]:
        """Return the assigned ones among the partitions, as the client's own tuples: it takes no others."""
        return [partition for partition in self._consumer.assignment() if partition in partitions]


def _consumer(settings: CommonSettings, group: str | None) -> Any:  # noqa: ANN401 - kafka-python has no types
    # kafka-python's selector warns whenever the machine is busy.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    try:
        options = client_options(settings)
    except UnusableFilesError as error:
        raise ConnectError(str(error)) from error
    try:
        with _silent("kafka"):
            consumer = KafkaConsumer(group_id=group, **CONSUMER_OPTIONS, **options, bootstrap_timeout_ms=_BOOTSTRAP_MS)
    except (KafkaError, OSError) as error:
        raise ConnectError(why_unreachable(settings, error)) from error
    private_names.read_with(consumer, QuickRecords)
    return consumer


@contextmanager
def _silent(library: str) -> Iterator[None]:
    """Keep a library from logging the error that it is about to raise."""
    found = logging.getLogger(library)
    level = found.level
    found.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        found.setLevel(level)


def topic_problems(consumer: Any, topics: Sequence[str], settings: CommonSettings) -> list[str]:  # noqa: ANN401 - same
    """Return a line for each topic that does not exist or has another number of partitions."""
    found = [topic_problem(topic, len(consumer.partitions_for_topic(topic)), settings) for topic in topics]
    return [problem for problem in found if problem]


def check_topics(settings: CommonSettings, topics: Sequence[str]) -> list[str]:
    """Return every problem with Kafka and these topics, one line each."""
    try:
        consumer = _consumer(settings, group=None)
    except ConnectError as error:
        return [str(error)]
    try:
        return topic_problems(consumer, topics, settings)
    finally:
        consumer.close(timeout_ms=_CLOSE_MS)
