"""
Records from Kafka, by kafka-python and its consumer group.

A commit carries the id of its topic: one that was made on an earlier topic of that name is not believed. Kafka deletes
the commits of a topic with the topic, but a commit that is under way then may come after the new topic.
"""

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from kafka import ConsumerRebalanceListener
from kafka.errors import KafkaError, LogTruncationError, NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata
from kafka.structs import TopicPartition as KafkaPartition

from sinks.errors import ConnectError, PositionError, RetryableError, TopicError
from sinks.kafka import private_names
from sinks.kafka.client import ASK_MS, CLOSE_MS, open_consumer
from sinks.kafka.membership import subscribe
from sinks.kafka.record_batches import DamagedBatchError
from sinks.kafka.refusal import refusal
from sinks.kafka.topics import origins_of, topic_problems
from sinks.source import Expired, Origin, Polled, Record, TopicPartition, assigned_only, first_position, made_anew
from streams.program.settings import CommonSettings

logger = logging.getLogger(__name__)

_COMMIT_MS: Final = 3_000
# Ten times `fetch_max_wait_ms`, within which a broker answers a fetch.
_OVERDUE_SECONDS: Final = 2.0
_CONFIRM_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 0.2
_DAMAGE_SECONDS: Final = 60.0
_TOPIC_ID: Final = "topic-id "


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
        self._consumer = open_consumer(settings, group)
        self._notes: deque[tuple[str, set[TopicPartition]]] = deque()
        self._delivering: set[TopicPartition] = set()
        self._expired: list[Expired] = []
        self._paused = False
        self._answered = True
        self._damage_told: dict[TopicPartition, tuple[int, float]] = {}
        self._opened = self._leaders_seen = time.monotonic()
        problems = topic_problems(self._consumer, topics, settings)
        if problems:
            self._consumer.close(timeout_ms=CLOSE_MS)
            raise TopicError("; ".join(problems))
        self.origins: Final[Mapping[str, Origin]] = origins_of(self._consumer, topics)
        if nameless := [origin.topic for origin in self.origins.values() if origin.topic_id is None]:
            logger.warning("Kafka tells no topic ids: a topic made anew may not be noticed", extra={"topics": nameless})
        subscribe(self._consumer, topics, _Listener(self._notes))

    def poll(self, seconds: float, max_records: int) -> Polled:
        """Wait at most `seconds` for records, at most `max_records` of them."""
        fetched = self._fetch(seconds, max_records)
        self._require_same_topics()
        news = Polled()
        while self._notes:
            self._note(news, *self._notes.popleft())
        news.expired, self._expired = self._expired, []
        news.records = assigned_only(fetched, self._delivering)
        return news

    def _fetch(self, seconds: float, max_records: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """
        Return the fetched records. While no broker answers there are none: the client raises that now and then.

        ConnectError when waiting does not help.
        """
        try:
            found = self._poll_in_range(seconds, max_records)
        except DamagedBatchError as error:
            self._tell_damage(error)
            # The client raises at once when it has fetched the batch again.
            time.sleep(seconds)
            return {}
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

    def _tell_damage(self, error: DamagedBatchError) -> None:
        """Tell a damaged batch, the same one once a minute: it is fetched again until it is whole."""
        offset, told_at = self._damage_told.get(error.partition, (None, 0.0))
        now = time.monotonic()
        if offset == error.offset and now < told_at + _DAMAGE_SECONDS:
            return
        self._damage_told[error.partition] = error.offset, now
        logger.error(
            "Kafka gives a damaged record batch: it is fetched again, and nothing behind it is read. If this goes on, "
            "let a broker with another in-sync copy lead the partition, and let the damaged copy be made anew",
            extra={
                "topic": error.partition.topic,
                "partition": error.partition.partition,
                "offset": error.offset,
                "damage": error.damage,
            },
        )

    def _poll_in_range(self, seconds: float, max_records: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return the fetched records. There are none when a position is not in Kafka: it is moved or refused."""
        try:
            found: Mapping[TopicPartition, Sequence[Record]] = self._consumer.poll(int(seconds * 1000), max_records)
        except OffsetOutOfRangeError as error:
            for partition, position in error.args[0].items():
                self._move_into_range(partition, position)
        except LogTruncationError as error:
            self._refuse_truncated(error.divergent_offsets)
        except NoOffsetForPartitionError as error:
            # `begin` says where these begin. Any position will do until then, for they are paused.
            for partition in self._still_assigned(error.args[0]):
                self._consumer.seek(partition, 0)
        else:
            return found
        return {}

    def _move_into_range(self, partition: KafkaPartition, position: int) -> None:
        """Go on at the oldest record if older ones expired. PositionError when the topic ends before the position."""
        ours = TopicPartition(*partition)
        if not self._still_assigned(self._delivering & {ours}):
            return  # `begin` will look
        if not private_names.metadata_told(self._consumer, _CONFIRM_SECONDS):
            return  # the next fetch has the same answer
        self._require_same_topics()
        oldest, end = self._bounds(partition)
        if position > end:
            raise PositionError(
                f"{ours.topic}, partition {ours.partition}: read up to offset {position}, but the topic ends at {end}: "
                "records that had been read are gone from Kafka, and others will have their offsets"
            )
        if position < oldest:
            self._expired.append(Expired(ours, position, oldest))
        self._consumer.seek(partition, max(position, oldest))

    def _refuse_truncated(self, cut: Mapping[KafkaPartition, OffsetAndMetadata | None]) -> None:
        """Commit the offsets at which the logs were cut, so that a store without positions goes on there; then end."""
        ends = {TopicPartition(*partition): at.offset if at else 0 for partition, at in cut.items()}
        self.commit(ends)
        told = ", ".join(f"{topic}, partition {number} at {offset}" for (topic, number), offset in ends.items())
        raise PositionError(f"the log was cut: {told}. Records that had been read are gone, others have their offsets")

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
            committed = self._believed(partition, self._consumer.committed(theirs, metadata=True, timeout_ms=ASK_MS))
            oldest, end = self._bounds(theirs)
        except KafkaError as error:
            raise RetryableError(f"Kafka does not tell the offsets of {partition.topic}: {error!r}") from error
        wanted = first_position(partition, position, committed, end)
        if wanted is not None and wanted < oldest:
            self._expired.append(Expired(partition, wanted, oldest))
        first = max(wanted or 0, oldest)
        self._consumer.seek(theirs, first)
        self._delivering.add(partition)
        if not self._paused:
            self._consumer.resume(theirs)
        return first

    def _believed(self, partition: TopicPartition, committed: OffsetAndMetadata | None) -> int | None:
        """Return the offset of a commit, None when it was made on another topic of that name."""
        if committed is None:
            return None
        _, says, topic_id = (committed.metadata or "").rpartition(_TOPIC_ID)
        origin = self.origins[partition.topic]
        if says and origin.replaced_by(origin._replace(topic_id=topic_id)):
            logger.warning(
                "the group's position belongs to another topic of that name, and is not used",
                extra={"topic": partition.topic, "partition": partition.partition, "position": committed.offset},
            )
            return None
        return int(committed.offset)

    def _bounds(self, partition: KafkaPartition) -> tuple[int, int]:
        """Return the oldest offset and the end."""
        end = self._consumer.end_offsets([partition], timeout_ms=ASK_MS)[partition]
        oldest = self._consumer.beginning_offsets([partition], timeout_ms=ASK_MS)[partition]
        return oldest, end

    def confirm(self) -> None:
        """Ask for the metadata until they come, and look at the topics' ids in them."""
        if all(origin.topic_id is None for origin in self.origins.values()):
            return
        while not private_names.metadata_told(self._consumer, _CONFIRM_SECONDS):
            time.sleep(_RETRY_SECONDS)
        self._require_same_topics()

    def _require_same_topics(self) -> None:
        for topic, origin in self.origins.items():
            now = private_names.topic_id(self._consumer, topic)
            if now is not None and origin.topic_id is not None and now != origin.topic_id:
                raise TopicError(made_anew(topic, origin.topic_id, now))

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
        offsets = {
            partition: OffsetAndMetadata(positions[partition], self._note_of(partition), -1) for partition in mine
        }
        try:
            if offsets:
                self._consumer.commit(offsets, timeout_ms=_COMMIT_MS)
        except KafkaError as error:
            logger.warning("could not commit", extra={"error": type(error).__name__, "partitions": len(offsets)})
            return False
        return True

    def _note_of(self, partition: KafkaPartition) -> str:
        """Return the metadata of a commit: the id of its topic, where Kafka tells one."""
        topic_id = self.origins[partition.topic].topic_id
        return "" if topic_id is None else f"{_TOPIC_ID}{topic_id}"

    def ends(self) -> dict[TopicPartition, int]:
        """Return the end offsets that the last fetches told."""
        found = {}
        for partition in self._still_assigned(self._delivering):
            end = self._consumer.highwater(partition)
            if end is not None:
                found[TopicPartition(*partition)] = end
        return found

    def missing(self) -> list[str]:
        """Return the topics that the last metadata do not have."""
        return [topic for topic in self.origins if not private_names.is_there(self._consumer, topic)]

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
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_MS)
        except KafkaError as error:
            logger.warning("could not leave the group in time", extra={"error": type(error).__name__})
            private_names.hang_up(self._consumer)

    def _still_assigned(self, partitions: set[TopicPartition]) -> list[KafkaPartition]:
        """Return the assigned ones among the partitions, as the client's own tuples: it takes no others."""
        return [partition for partition in self._consumer.assignment() if partition in partitions]
