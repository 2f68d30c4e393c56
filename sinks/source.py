"""
Where records come from: the port, Kafka, and a twin in memory.

Partitions come and go by consumer group. A partition that was assigned delivers nothing until `begin` says from where;
one that was revoked delivers nothing more. Nothing is committed unless `commit` is called.
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
    """What is needed of a record."""

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
    What one poll brought. Revocations come before assignments, and both before the records.

    `shared_out` says that the group has decided, even if this member got nothing.
    """

    shared_out: bool = False
    revoked: set[TopicPartition] = field(default_factory=set)
    assigned: set[TopicPartition] = field(default_factory=set)
    records: Mapping[TopicPartition, Sequence[Record]] = field(default_factory=dict)


class Source(Protocol):
    """Records of several topics, shared between the members of a group."""

    def poll(self, seconds: float, max_records: int) -> Polled:
        """Wait at most `seconds` for something, and return it. To be called often: it keeps the membership alive."""

    def begin(self, partition: TopicPartition, position: int | None) -> int | None:
        """
        Deliver an assigned partition, and return the first offset; None when it was taken away in the meantime.

        It begins at `position`, or at the group's commit if that is further, or at the oldest record that there is.
        PositionError when `position` is beyond the end of the partition. RetryableError when Kafka cannot say now.
        """

    def pause(self) -> None:
        """Deliver nothing until `resume`, and stay a member."""

    def resume(self) -> None:
        """Deliver again."""

    def commit(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Make positions the group's. False when that was not possible: what follows them is then read again."""

    def ends(self) -> dict[TopicPartition, int]:
        """Return the offset after the newest record of each partition that delivers, as far as it is known."""

    def silence(self) -> float:
        """Return the seconds since Kafka last answered this member of the group, and all of it that it reads from."""

    def close(self) -> None:
        """Leave the group, so that others go on at once. Nothing is committed."""


class MemoryTopics:
    """Topics in memory with one consumer group: what several `MemorySource` share."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self.logs: dict[TopicPartition, list[Record]] = {
            TopicPartition(topic, number): [] for topic, count in partitions.items() for number in range(count)
        }
        self.committed: dict[TopicPartition, int] = {}
        self._members: list[MemorySource] = []

    def append(self, topic: str, partition: int, value: bytes | None, timestamp: int = 0) -> Record:
        """Append one record and return it."""
        log = self.logs[TopicPartition(topic, partition)]
        record = Record(topic, partition, len(log), timestamp, value)
        log.append(record)
        return record

    def join(self, member: "MemorySource") -> None:
        """Take in a member: everything is revoked from all and shared out again."""
        self._members.append(member)
        self._share_out()

    def leave(self, member: "MemorySource") -> None:
        """Let a member go: the same."""
        self._members.remove(member)
        self._share_out()

    def _share_out(self) -> None:
        partitions = sorted(self.logs)
        for number, member in enumerate(self._members):
            member.reassign(set(partitions[number :: len(self._members)]))


class MemorySource:
    """The twin of KafkaSource over `MemoryTopics`."""

    def __init__(self, topics: MemoryTopics) -> None:
        self._topics = topics
        self._assigned: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}
        self._news = Polled()
        self._paused = False
        topics.join(self)

    def reassign(self, partitions: set[TopicPartition]) -> None:
        """Be told by the group which partitions are now this member's."""
        self._news.revoked |= self._assigned
        self._assigned = partitions
        self._news.assigned = set(partitions)
        self._news.shared_out = True
        self._positions.clear()

    def poll(self, seconds: float, max_records: int) -> Polled:
        """Return what there is, without waiting."""
        del seconds
        news, self._news = self._news, Polled()
        if not self._paused:
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
        """Deliver from there on."""
        if partition not in self._assigned:
            return None
        end = len(self._topics.logs[partition])
        first = first_position(partition, position, self._topics.committed.get(partition), end)
        self._positions[partition] = first
        return first

    def pause(self) -> None:
        """Deliver nothing."""
        self._paused = True

    def resume(self) -> None:
        """Deliver again."""
        self._paused = False

    def commit(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Make positions the group's."""
        self._topics.committed.update(positions)
        return True

    def ends(self) -> dict[TopicPartition, int]:
        """Return the ends of what this member delivers."""
        return {partition: len(self._topics.logs[partition]) for partition in self._positions}

    def silence(self) -> float:
        """Memory always answers."""
        return 0.0

    def close(self) -> None:
        """Leave the group."""
        self._topics.leave(self)


def first_position(partition: TopicPartition, position: int | None, committed: int | None, end: int) -> int:
    """
    Return where to begin: at what the store knows or what the group committed, whichever is further.

    The group may be ahead of the store where records carried no row; the store is ahead when the process died between
    writing and committing. PositionError when the store is ahead of the topic itself.
    """
    if position is not None and position > end:
        raise PositionError(
            f"{partition.topic}, partition {partition.partition}: written up to offset {position}, but the topic ends "
            f"at {end}: what is written comes from another topic of that name"
        )
    # A commit beyond the end was made on an earlier topic of that name.
    return max(position or 0, committed if committed is not None and committed <= end else 0)


def assigned_only(
    records: Mapping[TopicPartition, Sequence[Record]], partitions: Iterable[TopicPartition]
) -> Mapping[TopicPartition, Sequence[Record]]:
    """Return the records of those partitions."""
    kept = set(partitions)
    return {partition: found for partition, found in records.items() if partition in kept}
