"""
The port for records from Kafka, and its twin in memory.

The consumer group assigns and revokes partitions. An assigned partition delivers nothing before `begin` says from
where; a revoked one delivers nothing more. Nothing is committed unless `commit` is called.

A position is an offset of one topic, told by its id: a topic that is deleted and made anew has the same name, another
id, and the same offsets again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from sinks.errors import PositionError, TopicError


class TopicPartition(NamedTuple):
    """One partition; equal to kafka-python's tuple of the same name."""

    topic: str
    partition: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """
    The parts of a Kafka record that the sinks need.

    Nothing in it points back to it, so Python's collector of cycles need not know it: going through the tuples that
    wait to be written took a tenth of a sink's time.
    """

    topic: str
    """The full name of its topic."""
    partition: int
    offset: int
    timestamp: int
    """Kafka's time, in milliseconds since 1970-01-01 UTC."""
    value: bytes | None
    """The bytes; None in a tombstone."""
    key: bytes | None = None
    """Its key, and below its headers: read from `callbacks.raw` alone, since no other table keeps them."""
    headers: Sequence[tuple[str, bytes | None]] = ()
    erasures: bytes | None = None
    """Which erasures hold in it, as streams says by the first record of its batch; None when it does not."""


class Origin(NamedTuple):
    """The topic whose offsets a position counts."""

    topic: str
    """Its full name."""
    topic_id: str | None
    """Kafka's id of it; None where Kafka tells none (before 2.8)."""
    cluster_id: str | None
    """The id of its Kafka."""

    def replaced_by(self, other: "Origin") -> bool:
        """Return whether `other` is known to be another topic. Unknown ids are no difference."""
        mine, theirs = (self.topic_id, other.topic_id)
        if None in {mine, theirs}:
            mine, theirs = (self.cluster_id, other.cluster_id)
        return self.topic != other.topic or (None not in {mine, theirs} and mine != theirs)


class Expired(NamedTuple):
    """Offsets that Kafka deleted before they were read: from `first` up to `next`, where reading goes on."""

    partition: TopicPartition
    first: int
    next: int


@dataclass(slots=True)
class Polled:
    """
    The result of one poll. Revocations come before assignments, both before expired offsets, and these before records.

    `rebalanced` says that a rebalance was completed, even if it assigned nothing to this member.
    """

    rebalanced: bool = False
    revoked: set[TopicPartition] = field(default_factory=set)
    assigned: set[TopicPartition] = field(default_factory=set)
    expired: list[Expired] = field(default_factory=list)
    records: Mapping[TopicPartition, Sequence[Record]] = field(default_factory=dict)


class Source(Protocol):
    """Records of several topics, whose partitions the members of a group share."""

    def poll(self, seconds: float, max_records: int) -> Polled:
        """
        Wait at most `seconds` for news or records, and return them. Call it often: it keeps the membership alive.

        TopicError when a topic was deleted and made anew since the source was opened. PositionError when a partition
        ends before its position.
        """

    def begin(self, partition: TopicPartition, position: int | None) -> int | None:
        """
        Deliver an assigned partition, and return the first offset; None when it was revoked in the meantime.

        It begins at `position`, or at the group's commit if that is further, or at the oldest record in Kafka. Offsets
        from the first two up to the oldest are expired, and the next poll says so. PositionError when `position` is
        beyond the end of the partition. RetryableError when Kafka cannot tell now.
        """

    def confirm(self) -> None:
        """
        Return when Kafka has said, since the call, that every topic is the one that was opened. TopicError if not.

        So the records that were returned before the call are of these topics. For any thread; it waits for Kafka.
        """

    def pause(self) -> None:
        """Deliver nothing until `resume`, and stay a member."""

    def resume(self) -> None:
        """Deliver again."""

    def commit(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Commit the positions for the group. False when Kafka did not take them."""

    def ends(self) -> dict[TopicPartition, int]:
        """Return the end offset of each partition that delivers, as of its last fetch."""

    def missing(self) -> list[str]:
        """Return the topics that Kafka does not have any more, or not for this user, as of its last answer."""

    def silence(self) -> float:
        """Return the seconds since the group, or a broker that is read from, was last known to answer."""

    def close(self) -> None:
        """Leave the group, so that other members take over at once. Nothing is committed."""


class Lookup(Protocol):
    """Answers about offsets and single records of topics, without a part in the group."""

    def bounds(self, partition: TopicPartition) -> tuple[int, int] | None:
        """Return the oldest offset and the end of a partition, None when there is no such partition."""

    def latest(self, partition: TopicPartition, first: int, last: int) -> Record | None:
        """Return the last record that is left of these offsets; None when there is none, or none near `last`."""


class MemoryTopics:
    """Topics in memory with one consumer group, for several `MemorySource`. Implements `Lookup`."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self.logs: dict[TopicPartition, list[Record]] = {
            TopicPartition(topic, number): [] for topic, count in partitions.items() for number in range(count)
        }
        self.oldest: dict[TopicPartition, int] = dict.fromkeys(self.logs, 0)
        self.ids = {topic: f"{topic}, made once" for topic in partitions}
        self.committed: dict[TopicPartition, int] = {}
        self.members: list[MemorySource] = []

    def append(self, topic: str, partition: int, value: bytes | None, timestamp: int = 0) -> Record:
        """Append one record and return it."""
        log = self.logs[TopicPartition(topic, partition)]
        record = Record(topic, partition, len(log), timestamp, value)
        log.append(record)
        return record

    def bounds(self, partition: TopicPartition) -> tuple[int, int] | None:
        """Return the oldest offset and the end."""
        log = self.logs.get(partition)
        return None if log is None else (self.oldest[partition], len(log))

    def latest(self, partition: TopicPartition, first: int, last: int) -> Record | None:
        """Return the last record of these offsets."""
        found = self.logs[partition][max(first, self.oldest[partition]) : last + 1]
        return found[-1] if found else None

    def expire(self, topic: str, partition: int, before: int) -> None:
        """Delete the records below an offset."""
        self.oldest[TopicPartition(topic, partition)] = before

    def make_anew(self, topic: str) -> None:
        """Delete a topic, with the group's commits in it, and make one of that name."""
        self.ids[topic] += " more"
        for partition in [partition for partition in self.logs if partition.topic == topic]:
            self.logs[partition], self.oldest[partition] = [], 0
            self.committed.pop(partition, None)

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
        self._ids = dict(topics.ids)
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
        self.confirm()
        if not self.paused:
            for partition, position in self._positions.items():
                self._positions[partition] = self._unexpired(partition, position)
            self._news.records = self._take(max_records)
        news, self._news = self._news, Polled()
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
        wanted = first_position(partition, position, self._topics.committed.get(partition), end)
        oldest = self._topics.oldest[partition]
        self._positions[partition] = first = oldest if wanted is None else self._unexpired(partition, wanted)
        return first

    def _unexpired(self, partition: TopicPartition, position: int) -> int:
        """Return the position or the oldest record's, if that is further: then the offsets between are expired."""
        oldest = self._topics.oldest[partition]
        if position < oldest:
            self._news.expired.append(Expired(partition, position, oldest))
        return max(position, oldest)

    def confirm(self) -> None:
        """Look whether each topic is still the one that was opened."""
        for topic, known in self._ids.items():
            if known != self._topics.ids[topic]:
                raise TopicError(made_anew(topic, known, self._topics.ids[topic]))

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

    def missing(self) -> list[str]:
        """Return none: no topic goes from memory."""
        return []

    def silence(self) -> float:
        """Return 0: memory always answers."""
        return 0.0

    def close(self) -> None:
        """Leave the group."""
        self._topics.leave(self)


def made_anew(topic: str, before: str, now: str) -> str:
    """Return the line for a topic that has another id than when the source was opened."""
    return (
        f"topic {topic} was deleted and made anew while the sink read it (its id was {before} and is {now}): "
        "nothing of the new topic was written. Start the sink again: it says what to do, or begins at the oldest record"
    )


def first_position(partition: TopicPartition, position: int | None, committed: int | None, end: int) -> int | None:
    """
    Return where to begin: at the store's position or the group's commit, the further of the two; None without either.

    The group is ahead of the store after records without a row; the store is ahead when a process died between writing
    and committing. PositionError when the store is ahead of the end of the topic.
    """
    if position is not None and position > end:
        raise PositionError(
            f"{partition.topic}, partition {partition.partition}: written up to offset {position}, but the topic ends "
            f"at {end}: the files come from another topic of that name"
        )
    # A commit beyond the end was made on an earlier topic of that name.
    believed = committed if committed is not None and committed <= end else None
    return max((offset for offset in (position, believed) if offset is not None), default=None)


def assigned_only(
    records: Mapping[TopicPartition, Sequence[Record]], partitions: Iterable[TopicPartition]
) -> Mapping[TopicPartition, Sequence[Record]]:
    """Return the records of the given partitions."""
    kept = set(partitions)
    return {partition: found for partition, found in records.items() if partition in kept}
