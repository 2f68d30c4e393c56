"""
The port for records from Kafka, and its twin in memory.

The consumer group assigns and revokes partitions. An assigned partition delivers nothing before `begin` says from
where; a revoked one delivers nothing more. Nothing is committed unless `commit` is called.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from sinks.errors import PositionError


class TopicPartition(NamedTuple):
    """One partition; equal to kafka-python's tuple of the same name."""

    topic: str
    partition: int


class Record(NamedTuple):
    """The parts of a Kafka record that the sinks need."""

    topic: str
    """The full name of its topic."""
    partition: int
    offset: int
    timestamp: int
    """Kafka's time, in milliseconds since 1970-01-01 UTC."""
    value: bytes | None
    """The bytes; None in a tombstone."""


@dataclass(slots=True)
class Polled:
    """
    The result of one poll. Revocations come before assignments, and both before the records.

    `rebalanced` says that a rebalance was completed, even if it assigned nothing to this member.
    """

    rebalanced: bool = False
    revoked: set[TopicPartition] = field(default_factory=set)
    assigned: set[TopicPartition] = field(default_factory=set)
    records: Mapping[TopicPartition, Sequence[Record]] = field(default_factory=dict)


class Source(Protocol):
    """Records of several topics, whose partitions the members of a group share."""

    def poll(self, seconds: float, max_records: int) -> Polled:
        """Wait at most `seconds` for news or records, and return them. Call it often: it keeps the membership alive."""

    def begin(self, partition: TopicPartition, position: int | None) -> int | None:
        """
        Deliver an assigned partition, and return the first offset; None when it was revoked in the meantime.

        It begins at `position`, or at the group's commit if that is further, or at the oldest record in Kafka.
        PositionError when `position` is beyond the end of the partition. RetryableError when Kafka cannot tell now.
        """

    def pause(self) -> None:
        """Deliver nothing until `resume`, and stay a member."""

    def resume(self) -> None:
        """Deliver again."""

    def commit(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Commit the positions for the group. False when Kafka did not take them."""

    def ends(self) -> dict[TopicPartition, int]:
        """Return the end offset of each partition that delivers, as of its last fetch."""

    def silence(self) -> float:
        """Return the seconds since the group, or a broker that is read from, was last known to answer."""

    def close(self) -> None:
        """Leave the group, so that other members take over at once. Nothing is committed."""


class MemoryTopics:
    """Topics in memory with one consumer group, for several `MemorySource`."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self.logs: dict[TopicPartition, list[Record]] = {
            TopicPartition(topic, number): [] for topic, count in partitions.items() for number in range(count)
        }
        self.committed: dict[TopicPartition, int] = {}
        self.members: list[MemorySource] = []

    def append(self, topic: str, partition: int, value: bytes | None, timestamp: int = 0) -> Record:
        """Append one record and return it."""
        log = self.logs[TopicPartition(topic, partition)]
        record = Record(topic, partition, len(log), timestamp, value)
        log.append(record)
        return record

    def join(self, member: "MemorySource") -> None:
        """Add a member: all partitions are revoked, and assigned anew."""
        self.members.append(member)
        self._share_out()

    def leave(self, member: "MemorySource") -> None:
        """Remove a member: the same."""
        self.members.remove(member)
        self._share_out()

    def _share_out(self) -> None:
        partitions = sorted(self.logs)
        for number, member in enumerate(self.members):
            member.reassign(set(partitions[number :: len(self.members)]))


class MemorySource:
    """The twin of KafkaSource over `MemoryTopics`."""

    def __init__(self, topics: MemoryTopics) -> None:
        self._topics = topics
        self._assigned: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}
        self._news = Polled()
        self.paused = False
        topics.join(self)

    def reassign(self, partitions: set[TopicPartition]) -> None:
        """Take the partitions that the group assigns to this member."""
        self._news.revoked |= self._assigned
        self._assigned = partitions
        self._news.assigned = set(partitions)
        self._news.rebalanced = True
        self._positions.clear()

    def poll(self, seconds: float, max_records: int) -> Polled:
        """Return the records that there are, without waiting."""
        del seconds
        news, self._news = self._news, Polled()
        if not self.paused:
            news.records = self._take(max_records)
        return news

    def _take(self, max_records: int) -> dict[TopicPartition, Sequence[Record]]:
        taken: dict[TopicPartition, Sequence[Record]] = {}
        for partition, position in self._positions.items():
            records = self._topics.logs[partition][position : position + max_records]
            if records:
                taken[partition] = records
                self._positions[partition] += len(records)
                max_records -= len(records)
        return taken

    def begin(self, partition: TopicPartition, position: int | None) -> int | None:
        """Deliver from the position on."""
        if partition not in self._assigned:
            return None
        end = len(self._topics.logs[partition])
        first = first_position(partition, position, self._topics.committed.get(partition), end)
        self._positions[partition] = first
        return first

    def pause(self) -> None:
        """Deliver nothing."""
        self.paused = True

    def resume(self) -> None:
        """Deliver again."""
        self.paused = False

    def commit(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Commit the positions for the group."""
        self._topics.committed.update(positions)
        return True

    def ends(self) -> dict[TopicPartition, int]:
        """Return the end offsets of the partitions that this member delivers."""
        return {partition: len(self._topics.logs[partition]) for partition in self._positions}

    def silence(self) -> float:
        """Return 0: memory always answers."""
        return 0.0

    def close(self) -> None:
        """Leave the group."""
        self._topics.leave(self)


def first_position(partition: TopicPartition, position: int | None, committed: int | None, end: int) -> int:
    """
    Return where to begin: at the store's position or the group's commit, the further of the two.

    The group is ahead of the store after records without a row; the store is ahead when a process died between writing
    and committing. PositionError when the store is ahead of the end of the topic.
    """
    if position is not None and position > end:
        raise PositionError(
            f"{partition.topic}, partition {partition.partition}: written up to offset {position}, but the topic ends "
            f"at {end}: the files come from another topic of that name"
        )
    # A commit beyond the end was made on an earlier topic of that name.
    return max(position or 0, committed if committed is not None and committed <= end else 0)


def assigned_only(
    records: Mapping[TopicPartition, Sequence[Record]], partitions: Iterable[TopicPartition]
) -> Mapping[TopicPartition, Sequence[Record]]:
    """Return the records of the given partitions."""
    kept = set(partitions)
    return {partition: found for partition, found in records.items() if partition in kept}
