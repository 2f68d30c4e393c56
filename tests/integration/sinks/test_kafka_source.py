"""
The real client: rebalances while polls are short, heartbeats, brokers that are away or refuse.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    UnknownError,
)

from sandbox.kafka import KafkaCluster
from sinks.errors import ConnectError, RetryableError
from sinks.kafka.large_reads import LargeReads
from sinks.kafka.record_batches import DamagedBatchError
from sinks.kafka.source import KafkaSource
from sinks.source import TopicPartition
from streams.program.settings import CommonSettings
from tests.behaviour.sinks.kafka_topics import Topics, create_topics
from tests.integration.sinks.client_inside import Inside
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka

PARTITIONS = 3


@pytest.fixture
def open_source(kafka: KafkaCluster, topic_prefix: str) -> Iterator[Callable[[], KafkaSource]]:
    """Give a way to open members of one group; they are closed at the end."""
    create_topics(kafka.bootstrap_servers, topic_prefix, PARTITIONS)
    settings = CommonSettings(kafka_bootstrap_servers=kafka.bootstrap_servers, kafka_partitions=PARTITIONS)
    with ExitStack() as opened:

        def open_one() -> KafkaSource:
            source = KafkaSource(settings, [f"{topic_prefix}sms.status"], f"{topic_prefix}group")
            opened.callback(source.close)
            return source

        yield open_one


@pytest.fixture
def source(open_source: Callable[[], KafkaSource]) -> KafkaSource:
    return open_source()


def test_new_metadata_and_short_polls_leave_no_member_without_partitions(source: KafkaSource) -> None:
    """The group rebalances when metadata change; an answer that comes between two polls must not be lost."""
    inside = Inside(source)
    eventually(lambda: source.poll(0.2, 10).assigned, 60)
    inside.take_metadata_for_changed()
    eventually(lambda: source.poll(0.0, 10).revoked, 60, every=0)
    eventually(lambda: inside.join_is_answered, 60)
    eventually(lambda: source.poll(0.0, 10).assigned, 60)


def test_metadata_that_bring_nothing_new_leave_the_group_alone(source: KafkaSource) -> None:
    inside = Inside(source)
    eventually(lambda: source.poll(0.2, 10).assigned, 60)
    updated = inside.update_metadata()
    eventually(updated.succeeded, 60)
    assert not inside.needs_rejoin


def test_a_broker_that_was_away_for_long_is_tried_again_within_two_seconds(source: KafkaSource) -> None:
    """After any number of failures: else no record would be read for half a minute after Kafka is back."""
    assert 0.5 < Inside(source).reconnect_delay_after(20) < 2


def test_the_leader_of_the_group_takes_an_answer_that_comes_between_its_polls(
    source: KafkaSource, open_source: Callable[[], KafkaSource]
) -> None:
    """Asked again, the group would be joined anew each time the other member has caught up, for ever."""
    other = open_source()
    owned: dict[KafkaSource, set[TopicPartition]] = {source: set(), other: set()}

    def all_assigned() -> bool:
        # In turn: the join of one is answered when the other joins, while the first does not poll.
        for member, partitions in owned.items():
            polled = member.poll(0.1, 10)
            partitions.difference_update(polled.revoked)
            partitions.update(polled.assigned)
        return all(owned.values()) and sum(map(len, owned.values())) == PARTITIONS

    eventually(all_assigned, 60)
    leader = next(member for member in owned if Inside(member).is_leader)
    Inside(leader).request_rejoin()
    owned[leader] -= leader.poll(0.1, 10).revoked
    assert not owned[leader]
    eventually(all_assigned, 60)


def test_heartbeats_that_end_are_begun_again(source: KafkaSource) -> None:
    """Without them the broker gives the partitions to others, and this member does not know."""
    inside = Inside(source)
    eventually(lambda: source.poll(0.2, 10).assigned, 60)
    with inside.failing_heartbeats(KafkaConnectionError("111 ECONNREFUSED")):
        ended = eventually(lambda: (loop := inside.heartbeats).failed() and loop, 60)
    last = inside.last_heartbeat
    eventually(lambda: source.poll(0.1, 10).records == {} and inside.last_heartbeat > last, 60)
    assert inside.heartbeats is not ended


def test_a_leader_that_is_away_is_silence_though_the_group_answers(source: KafkaSource) -> None:
    inside = Inside(source)
    reading = set[TopicPartition]()

    def silence() -> float:
        polled = source.poll(0.1, 10)
        for partition in polled.assigned:
            source.begin(partition, None)
        reading.update(polled.assigned)
        return source.silence()

    eventually(lambda: silence() < 1.5 and reading, 60)
    with inside.no_leaders():
        eventually(lambda: silence() > 2, 60)
    assert time.monotonic() - inside.last_heartbeat < 2
    eventually(lambda: silence() < 1.5, 60)


def test_a_leader_that_is_frozen_counts_as_away_while_its_connection_is_open(
    source: KafkaSource, kafka: KafkaCluster
) -> None:
    inside = Inside(source)
    reading = set[TopicPartition]()

    def reached() -> bool:
        assigned = source.poll(0.1, 10).assigned
        for partition in assigned:
            source.begin(partition, None)
        reading.update(assigned)
        return len(reading) == PARTITIONS and inside.reaches_leaders

    eventually(reached, 60)
    (broker,) = kafka.pids.values()
    leader = inside.leader_of(next(iter(reading)))
    os.kill(broker, signal.SIGSTOP)
    try:
        eventually(lambda: not reached(), 60)
        assert inside.is_connected(leader)
    finally:
        os.kill(broker, signal.SIGCONT)
    eventually(reached, 60)


def test_a_broker_that_does_not_answer_is_waited_for(source: KafkaSource) -> None:
    """The client reports it by raising from a poll, which must not end the program."""
    with Inside(source).failing_polls(KafkaConnectionError("111 ECONNREFUSED")):
        assert source.poll(0.01, 10).records == {}
    eventually(lambda: source.poll(0.2, 10).assigned, 60)


def test_a_damaged_batch_is_told_by_its_place_and_once_a_minute(
    source: KafkaSource, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told as a Kafka that does not answer."""
    damaged = DamagedBatchError(TopicPartition("x.sms.status", 2), 17, "its checksum is wrong")
    other = DamagedBatchError(TopicPartition("x.sms.status", 1), 4, "it is cut")
    for error in (damaged, damaged, other, damaged, other):
        with Inside(source).failing_polls(error):
            assert source.poll(0.01, 10).records == {}
    monkeypatch.setattr("sinks.kafka.source._DAMAGE_SECONDS", 0)
    with Inside(source).failing_polls(damaged):
        source.poll(0.01, 10)
    told = [vars(record) for record in caplog.records if record.name == "sinks.kafka.source"]
    assert [(one["topic"], one["partition"], one["offset"], one["damage"]) for one in told] == [
        ("x.sms.status", 2, 17, damaged.damage),
        ("x.sms.status", 1, 4, other.damage),
        ("x.sms.status", 2, 17, damaged.damage),
    ]
    assert all("damaged record batch" in one["message"] for one in told)


def test_a_batch_that_is_damaged_on_the_brokers_disk_is_read_once_it_is_whole_again(
    source: KafkaSource,
    kafka: KafkaCluster,
    topic_prefix: str,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its place is told, and no record is passed over: neither its own nor the ones behind it."""
    topic = f"{topic_prefix}sms.status"
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    for value in (b"first", b"damaged", b"last"):
        producer.send(topic, value, b"key", partition=0).get(30)
    producer.close()
    (segment,) = tmp_path_factory.getbasetemp().rglob(f"{topic}-0/*.log")
    content = segment.read_bytes()
    at = content.index(b"damaged")

    _overwrite(segment, at, b"D")
    read: list[bytes | None] = []

    def poll() -> list[bytes | None]:
        news = source.poll(0.2, 10)
        for partition in news.assigned:
            source.begin(partition, None)
        read.extend(record.value for records in news.records.values() for record in records)
        return read

    eventually(lambda: poll() and "damaged record batch" in caplog.text, 60)
    assert read == [b"first"]
    (told,) = [vars(record) for record in caplog.records if "damaged record batch" in record.message]
    assert (told["topic"], told["partition"], told["offset"]) == (topic, 0, 1)

    _overwrite(segment, at, b"d")
    eventually(lambda: len(poll()) == 3, 60)
    assert read == [b"first", b"damaged", b"last"]


def _overwrite(file: Path, at: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)


def test_a_refusal_that_waiting_does_not_mend_is_one_line(source: KafkaSource) -> None:
    with (
        Inside(source).failing_polls(GroupAuthorizationFailedError("routee")),
        pytest.raises(ConnectError, match=r"^this user needs Read on group \S+\.group: grant it$"),
    ):
        source.poll(0.01, 10)


def test_connections_are_closed_although_the_group_does_not_answer_the_leave(source: KafkaSource) -> None:
    inside = Inside(source)
    eventually(lambda: source.poll(0.2, 10).assigned, 60)
    leader = inside.leader_of(next(iter(inside.assignment)))
    assert inside.is_connected(leader)
    with inside.failing_leaves(KafkaTimeoutError()):
        source.close()
    eventually(lambda: not inside.is_connected(leader), 60)


def test_an_error_that_the_client_would_not_retry_is_waited_for(source: KafkaSource) -> None:
    with Inside(source).failing_polls(UnknownError()):
        assert source.poll(0.01, 10).records == {}
    eventually(lambda: source.poll(0.2, 10).assigned, 60)


@pytest.mark.parametrize("question", ["committed", "end_offsets", "beginning_offsets"])
def test_every_question_about_offsets_is_given_up_in_time(source: KafkaSource, question: str) -> None:
    """Without a bound, a broker that hangs would hold the loop until the group puts the member out."""
    inside = Inside(source)
    eventually(lambda: source.poll(0.2, 10).assigned, 60)
    partition = next(iter(inside.assignment))

    def no_answer(*_: object, timeout_ms: int | None = None, **__: object) -> object:
        assert timeout_ms is not None
        assert timeout_ms <= 10_000
        raise KafkaTimeoutError

    with inside.answering(question, no_answer), pytest.raises(RetryableError, match="does not tell the offsets"):
        source.begin(partition, None)


@pytest.fixture
def topics(kafka: KafkaCluster, topic_prefix: str) -> Iterator[Topics]:
    opened = Topics(kafka.bootstrap_servers, topic_prefix)
    yield opened
    opened.close()


def first_offset(source: KafkaSource) -> int | None:
    """Join the group, and return where partition 0 begins."""
    begun: dict[int, int | None] = {}

    def settled() -> bool:
        for partition in source.poll(0.1, 10).assigned:
            begun[partition.partition] = source.begin(partition, None)
        return len(begun) == PARTITIONS

    eventually(settled, 60)
    return begun[0]


@pytest.mark.parametrize(
    ("note", "first"),
    [
        ("topic-id 3f1d2c4e-0000-4000-8000-000000000001", 0),
        ("", 2),
        ("by another tool", 2),
    ],
    ids=["made on another topic", "made by 0.1.0", "made by another tool"],
)
def test_a_commit_that_was_made_on_another_topic_of_that_name_is_not_used(
    open_source: Callable[[], KafkaSource], topics: Topics, note: str, first: int
) -> None:
    """One that was under way when the former topic was deleted comes after the new one was made."""
    topics.produce("sms.status", [(0, b"a"), (0, b"b"), (0, b"c")])
    topics.commit("group", "sms.status", 2, note)
    assert first_offset(open_source()) == first


def test_a_commit_carries_the_id_of_its_topic_and_is_used_on_it(
    open_source: Callable[[], KafkaSource], topics: Topics
) -> None:
    topics.produce("sms.status", [(0, b"a"), (0, b"b"), (0, b"c")])
    source = open_source()
    assert first_offset(source) == 0
    topic = f"{topics.prefix}sms.status"
    assert source.commit({TopicPartition(topic, 0): 2})
    source.close()
    assert topics.committed("group", "sms.status")[0].metadata == f"topic-id {source.origins[topic].topic_id}"
    assert first_offset(open_source()) == 2


def test_kafka_deletes_the_commits_of_a_topic_with_the_topic(
    open_source: Callable[[], KafkaSource], topics: Topics
) -> None:
    """A commit of version 0.1.0 says no topic: so it can be used all the same."""
    topics.produce("sms.status", [(0, b"a"), (0, b"b")])
    topics.commit("group", "sms.status", 2, "")
    topics.make_anew("sms.status", PARTITIONS)
    eventually(lambda: topics.committed("group", "sms.status") == {}, 60)
    topics.produce("sms.status", [(0, b"c"), (0, b"d"), (0, b"e")])
    assert first_offset(open_source()) == 0


def test_brokers_that_tell_no_ids_are_warned_of_and_nothing_is_waited_for(
    open_source: Callable[[], KafkaSource], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sinks.kafka.private_names.topic_id", lambda *_: None)
    source = open_source()
    assert "Kafka tells no topic ids" in caplog.text
    source.confirm()
    assert first_offset(source) == 0
    assert source.commit({TopicPartition(next(iter(source.origins)), 0): 0})


def test_a_broker_that_does_not_answer_is_waited_for_before_a_batch_is_written(
    source: KafkaSource, kafka: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.kafka.source._CONFIRM_SECONDS", 0.1)
    (broker,) = kafka.pids.values()
    confirmed = threading.Thread(target=source.confirm)
    os.kill(broker, signal.SIGSTOP)
    try:
        confirmed.start()
        confirmed.join(1)
        assert confirmed.is_alive()
    finally:
        os.kill(broker, signal.SIGCONT)
    confirmed.join(60)
    assert not confirmed.is_alive()


def test_hardly_a_byte_of_a_lag_in_one_partition_is_fetched_twice(
    source: KafkaSource, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka cuts the last record batch of an answer. In small answers the cut bytes are as many as the others."""
    values = [bytes([number]) * 560_000 for number in range(16)]
    topics.produce("sms.status", [(0, value) for value in values])
    received = 0
    read_socket = LargeReads._sock_recv

    def counted(transport: LargeReads) -> tuple[bytes, KafkaError | None]:
        nonlocal received
        found = read_socket(transport)
        received += len(found[0])
        return found

    monkeypatch.setattr(LargeReads, "_sock_recv", counted)
    assert first_offset(source) == 0
    read: list[bytes | None] = []

    def are_read() -> bool:
        for records in source.poll(0.1, 5_000).records.values():
            read.extend(record.value for record in records)
        return len(read) == len(values)

    eventually(are_read, 60, every=0)
    assert read == values
    assert received < 1.2 * sum(map(len, values))


@pytest.mark.full
def test_the_gaps_of_a_compacted_topic_are_no_expired_records(
    open_source: Callable[[], KafkaSource], topics: Topics
) -> None:
    """Kafka looks for something to compact every 15 s."""
    lags = {"min.compaction.lag.ms": "0", "max.compaction.lag.ms": "1"}
    at_once = {"segment.ms": "1", "min.cleanable.dirty.ratio": "0.001", **lags}
    topics.configure("sms.status", {"cleanup.policy": "compact", **at_once})
    for value in (b"a", b"b", b"c", b"d", b"e", b"f"):
        topics.produce("sms.status", [(0, value)])
    eventually(lambda: (0, 3) not in topics.everything("sms.status"), 120, every=1)
    topics.commit("group", "sms.status", 1, "")
    source = open_source()
    assert first_offset(source) == 1
    offsets: list[int] = []

    def read() -> bool:
        polled = source.poll(0.1, 10)
        assert polled.expired == []
        offsets.extend(record.offset for records in polled.records.values() for record in records)
        return 5 in offsets

    eventually(read, 60)
    assert min(offsets) > 3
