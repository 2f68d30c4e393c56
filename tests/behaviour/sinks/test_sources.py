"""
The promises of every source and of every lookup, tried on the twins in memory and on the real Kafka.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Protocol

import pytest

from sandbox.kafka import KafkaCluster
from sinks.errors import PositionError, TopicError
from sinks.kafka.source import KafkaSource
from sinks.kafka.topics import KafkaLookup
from sinks.source import Lookup, MemorySource, MemoryTopics, Source, TopicPartition
from streams.program.settings import CommonSettings
from tests.behaviour.sinks.kafka_topics import Topics, create_topics

PARTITIONS = 3
Positions = Mapping[int, int | None]
FROM_THE_GROUP: Positions = {}


class Broker(Protocol):
    """A topic of three partitions, and members of one group that read it."""

    topic: str

    def join(self) -> Source: ...
    def lookup(self) -> AbstractContextManager[Lookup]: ...
    def append(self, partition: int, *values: bytes | None) -> None: ...
    def expire(self, partition: int, before: int) -> None: ...
    def make_anew(self) -> None: ...
    def close(self) -> None: ...


class InMemory:
    topic = "t.sms.status"

    def __init__(self) -> None:
        self._topics = MemoryTopics({self.topic: PARTITIONS})

    def join(self) -> Source:
        return MemorySource(self._topics)

    def lookup(self) -> AbstractContextManager[Lookup]:
        return nullcontext(self._topics)

    def append(self, partition: int, *values: bytes | None) -> None:
        for value in values:
            self._topics.append(self.topic, partition, value)

    def expire(self, partition: int, before: int) -> None:
        self._topics.expire(self.topic, partition, before)

    def make_anew(self) -> None:
        self._topics.make_anew(self.topic)

    def close(self) -> None:
        pass


class OnKafka:
    def __init__(self, kafka: KafkaCluster, prefix: str) -> None:
        self.topic = f"{prefix}sms.status"
        self._prefix = prefix
        self._settings = CommonSettings(kafka_bootstrap_servers=kafka.bootstrap_servers, kafka_partitions=PARTITIONS)
        create_topics(kafka.bootstrap_servers, prefix, PARTITIONS)
        self._topics = Topics(kafka.bootstrap_servers, prefix)

    def join(self) -> Source:
        return KafkaSource(self._settings, [self.topic], f"{self._prefix}group")

    def lookup(self) -> AbstractContextManager[Lookup]:
        return closing(KafkaLookup(self._settings, [self.topic]))

    def append(self, partition: int, *values: bytes | None) -> None:
        self._topics.produce("sms.status", [(partition, value) for value in values])

    def expire(self, partition: int, before: int) -> None:
        self._topics.expire("sms.status", partition, before)

    def make_anew(self) -> None:
        self._topics.make_anew("sms.status", PARTITIONS)

    def close(self) -> None:
        self._topics.close()


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    made: Broker
    if request.param == "memory":
        made = InMemory()
    else:
        made = OnKafka(request.getfixturevalue("kafka"), request.getfixturevalue("topic_prefix"))
    yield made
    made.close()


class Member:
    """A source, and the records that it delivered. It begins every assigned partition except `waiting`."""

    def __init__(self, broker: Broker, positions: Positions = FROM_THE_GROUP) -> None:
        self.source = broker.join()
        self.positions = positions
        self.owned: set[TopicPartition] = set()
        self.waiting: set[int] = set()
        self.got: list[tuple[int, int, bytes | None]] = []
        self.expired: list[tuple[int, int, int]] = []

    def poll(self) -> None:
        polled = self.source.poll(0.1, 1_000)
        self.owned -= polled.revoked
        for partition in polled.assigned:
            if partition.partition in self.waiting:
                continue
            self.source.begin(partition, self.positions.get(partition.partition))
            self.owned.add(partition)
        self.expired.extend((partition.partition, first, following) for partition, first, following in polled.expired)
        for partition, records in polled.records.items():
            assert TopicPartition(*partition) in self.owned
            self.got.extend((record.partition, record.offset, record.value) for record in records)

    def commit(self) -> bool:
        ends: dict[TopicPartition, int] = {}
        for partition, offset, _ in self.got:
            found = next(owned for owned in self.owned if owned.partition == partition)
            ends[found] = max(offset + 1, ends.get(found, 0))
        return self.source.commit(ends)

    @property
    def values(self) -> list[bytes | None]:
        return [value for _, _, value in sorted(self.got, key=lambda found: found[:2])]


def until(condition: Callable[[], bool], *members: Member, seconds: float = 30) -> None:
    """Poll every member in turn until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, [member.got for member in members]
        for member in members:
            member.poll()


@pytest.fixture
def member(broker: Broker) -> Iterator[Member]:
    joined = Member(broker)
    yield joined
    joined.source.close()


def test_records_come_in_order_from_the_oldest_on(broker: Broker, member: Member) -> None:
    broker.append(0, b"a", b"b", None)
    broker.append(1, b"c")
    until(lambda: len(member.got) == 4, member)
    assert member.values == [b"a", b"b", None, b"c"]


def test_an_assigned_partition_delivers_nothing_before_it_is_begun(broker: Broker) -> None:
    broker.append(0, b"a")
    member = Member(broker)
    member.waiting = {0}
    # A later record of another partition, which is begun, is the sentinel: the earlier one would have come before.
    broker.append(1, b"sentinel")
    until(lambda: bool(member.got), member)
    assert member.values == [b"sentinel"]
    member.waiting.clear()
    member.source.begin(TopicPartition(broker.topic, 0), None)
    member.owned.add(TopicPartition(broker.topic, 0))
    until(lambda: b"a" in member.values, member)
    member.source.close()


def test_a_successor_goes_on_after_the_commit(broker: Broker, member: Member) -> None:
    broker.append(0, b"a", b"b")
    until(lambda: len(member.got) == 2, member)
    assert member.commit()
    broker.append(0, b"c")
    until(lambda: len(member.got) == 3, member)
    member.source.close()
    successor = Member(broker)
    until(lambda: successor.values == [b"c"], successor)
    successor.source.close()
    member.source = broker.join()


@pytest.mark.parametrize(("position", "first"), [(1, b"c"), (3, b"d")])
def test_it_begins_at_the_further_of_the_position_and_the_commit(
    broker: Broker, member: Member, position: int, first: bytes
) -> None:
    broker.append(0, b"a", b"b")
    until(lambda: len(member.got) == 2, member)
    member.commit()
    member.source.close()
    broker.append(0, b"c", b"d")
    successor = Member(broker, {0: position})
    until(lambda: b"d" in successor.values, successor)
    assert successor.values[0] == first
    successor.source.close()
    member.source = broker.join()


def test_a_position_beyond_the_end_is_an_error_that_says_so(broker: Broker, member: Member) -> None:
    broker.append(0, b"a")
    member.positions = {0: 5}
    with pytest.raises(PositionError, match="written up to offset 5, but the topic ends at 1"):
        until(lambda: False, member)


def test_nothing_comes_while_it_is_paused_and_nothing_is_lost(broker: Broker, member: Member) -> None:
    broker.append(0, b"a")
    until(lambda: len(member.got) == 1, member)
    member.source.pause()
    broker.append(0, b"b", b"c")
    for _ in range(8):
        member.poll()
    assert member.values == [b"a"]
    member.source.resume()
    until(lambda: member.values == [b"a", b"b", b"c"], member)


def test_members_share_the_partitions_and_one_that_leaves_hands_them_over(broker: Broker, member: Member) -> None:
    until(lambda: len(member.owned) == PARTITIONS, member)
    other = Member(broker)
    until(lambda: len(member.owned) + len(other.owned) == PARTITIONS and bool(other.owned), member, other)
    for partition in range(PARTITIONS):
        broker.append(partition, b"%d" % partition)
    until(lambda: len(member.got) + len(other.got) == PARTITIONS, member, other)
    assert sorted([*member.values, *other.values], key=str) == [b"0", b"1", b"2"]
    member.commit()
    other.commit()
    other.source.close()
    until(lambda: len(member.owned) == PARTITIONS, member)
    broker.append(0, b"sentinel")
    broker.append(1, b"sentinel")
    broker.append(2, b"sentinel")
    until(lambda: member.values.count(b"sentinel") == PARTITIONS, member)
    assert len(member.got) + len(other.got) == 2 * PARTITIONS


def test_it_knows_the_ends_of_the_partitions_that_it_delivers(broker: Broker, member: Member) -> None:
    broker.append(0, b"a", b"b")
    until(lambda: len(member.got) == 2, member)
    assert member.source.ends()[TopicPartition(broker.topic, 0)] == 2


def test_records_that_expired_since_the_commit_are_told_and_it_goes_on_at_the_oldest(
    broker: Broker, member: Member
) -> None:
    broker.append(0, b"a")
    until(lambda: len(member.got) == 1, member)
    assert member.commit()
    member.source.close()
    broker.append(0, b"b", b"c", b"d")
    broker.expire(0, 3)
    successor = Member(broker)
    until(lambda: successor.values == [b"d"], successor)
    assert successor.expired == [(0, 1, 3)]
    successor.source.close()
    member.source = broker.join()


def test_all_records_since_the_commit_may_have_expired(broker: Broker, member: Member) -> None:
    broker.append(0, b"a")
    until(lambda: len(member.got) == 1, member)
    assert member.commit()
    member.source.close()
    broker.append(0, b"b", b"c")
    broker.expire(0, 3)
    successor = Member(broker)
    until(lambda: successor.expired == [(0, 1, 3)], successor)
    broker.append(0, b"d")
    until(lambda: successor.values == [b"d"], successor)
    successor.source.close()
    member.source = broker.join()


def test_records_that_expired_before_the_group_ever_read_are_not_told(broker: Broker) -> None:
    broker.append(0, b"a", b"b", b"c")
    broker.expire(0, 2)
    member = Member(broker)
    until(lambda: member.values == [b"c"], member)
    assert member.expired == []
    member.source.close()


def test_records_that_expired_beyond_the_stores_position_are_told(broker: Broker, member: Member) -> None:
    member.source.close()
    broker.append(0, b"a", b"b", b"c", b"d")
    broker.expire(0, 3)
    successor = Member(broker, {0: 2})
    until(lambda: successor.values == [b"d"], successor)
    assert successor.expired == [(0, 2, 3)]
    successor.source.close()
    member.source = broker.join()


def test_records_that_expire_while_it_is_paused_are_told(broker: Broker, member: Member) -> None:
    broker.append(0, b"a")
    broker.append(1, b"b")
    until(lambda: len(member.got) == 2, member)
    member.source.pause()
    # A fetch that was under way ends in this time, without a record.
    for _ in range(8):
        member.poll()
    broker.append(0, b"c", b"d", b"e")
    broker.append(1, b"f")
    broker.expire(0, 3)
    member.source.resume()
    until(lambda: {b"e", b"f"} <= {*member.values}, member)
    assert member.expired == [(0, 1, 3)]
    assert member.values == [b"a", b"e", b"b", b"f"]


def test_records_that_expired_after_they_were_read_are_no_loss(broker: Broker, member: Member) -> None:
    broker.append(0, b"a", b"b")
    until(lambda: len(member.got) == 2, member)
    broker.expire(0, 2)
    broker.append(0, b"c")
    until(lambda: len(member.got) == 3, member)
    assert member.commit()
    assert member.expired == []


@pytest.mark.parametrize("records", [0, 1, 5])
def test_a_topic_that_was_made_anew_is_an_error_however_far_it_has_grown(
    broker: Broker, member: Member, records: int
) -> None:
    broker.append(0, b"a", b"b", b"c")
    until(lambda: len(member.got) == 3, member)
    member.source.pause()
    broker.make_anew()
    broker.append(0, *[b"new"] * records)
    with pytest.raises(TopicError, match=rf"topic {broker.topic} was deleted and made anew while the sink read it"):
        member.source.confirm()
    with pytest.raises(TopicError):
        member.poll()
    assert member.values == [b"a", b"b", b"c"]


def test_a_topic_that_was_made_anew_is_noticed_by_a_member_that_goes_on_reading(broker: Broker, member: Member) -> None:
    broker.append(0, b"a")
    until(lambda: len(member.got) == 1, member)
    broker.make_anew()
    broker.append(0, b"new")
    with pytest.raises(TopicError, match="was deleted and made anew"):
        until(lambda: False, member)
    assert member.values == [b"a"]


def test_the_same_topics_are_confirmed(broker: Broker, member: Member) -> None:
    for _ in range(3):
        member.source.confirm()
    broker.append(0, b"a")
    until(lambda: len(member.got) == 1, member)
    member.source.confirm()


def test_a_new_topic_is_read_from_its_beginning_after_commits_on_the_former(broker: Broker, member: Member) -> None:
    broker.append(0, b"a", b"b", b"c")
    until(lambda: len(member.got) == 3, member)
    assert member.commit()
    member.source.close()
    broker.make_anew()
    broker.append(0, b"d", b"e", b"f", b"g")
    successor = Member(broker)
    until(lambda: successor.values == [b"d", b"e", b"f", b"g"], successor)
    assert successor.expired == []
    successor.source.close()
    member.source = broker.join()


def test_a_lookup_tells_the_bounds_of_a_partition(broker: Broker) -> None:
    broker.append(1, b"a", b"b", b"c")
    broker.expire(1, 2)
    with broker.lookup() as lookup:
        found = [lookup.bounds(TopicPartition(broker.topic, number)) for number in range(PARTITIONS + 1)]
    assert found == [(0, 0), (2, 3), (0, 0), None]


@pytest.mark.parametrize(
    ("first", "last", "found"), [(0, 2, b"c"), (0, 1, b"b"), (2, 2, b"c"), (0, 4, b"e"), (0, 0, None)]
)
def test_a_lookup_finds_the_last_record_of_some_offsets(
    broker: Broker, first: int, last: int, found: bytes | None
) -> None:
    partition = TopicPartition(broker.topic, 1)
    broker.append(1, b"a", b"b", b"c", b"d", b"e")
    broker.expire(1, 1)
    with broker.lookup() as lookup:
        record = lookup.latest(partition, first, last)
        if record is not None:
            assert (record.topic, record.partition, record.offset) == (*partition, last)
        assert (record and record.value) == found
        assert lookup.latest(TopicPartition(broker.topic, 1), 3, 3) is not None, "it can be asked again"
