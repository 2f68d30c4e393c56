"""
What only the real client gets into: a group that is joined anew while polls are short.
"""

import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack

import pytest
from kafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    UnknownError,
)
from kafka.structs import TopicPartition as KafkaPartition

from sandbox.kafka import KafkaCluster
from sinks.errors import ConnectError, RetryableError
from sinks.kafka.source import KafkaSource
from sinks.source import TopicPartition
from streams.program.settings import CommonSettings
from tests.behaviour.sinks.kafka_topics import create_topics
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
    """The group is joined anew when metadata change; what is answered between two polls must not be lost."""
    eventually(lambda: source.poll(0.2, 10).assigned, 60)
    coordinator = source._consumer._coordinator
    coordinator._assignment_snapshot = {"made of": "older metadata"}
    eventually(lambda: source.poll(0.0, 10).revoked, 60, every=0)
    # The last that kafka-python's own thread does; the rest is for the next poll.
    eventually(lambda: (join := coordinator._join_task) is None or join._answer.is_done, 60)
    eventually(lambda: source.poll(0.0, 10).assigned, 60)


def test_metadata_that_bring_nothing_new_leave_the_group_alone(source: KafkaSource) -> None:
    eventually(lambda: source.poll(0.2, 10).assigned, 60)
    updated = source._consumer._cluster.request_update()
    eventually(updated.succeeded, 60)
    assert not source._consumer._coordinator.need_rejoin()


def test_a_broker_that_was_away_for_long_is_tried_again_within_two_seconds(source: KafkaSource) -> None:
    """However often it could not be reached: else nobody would read for half a minute after Kafka is back."""
    manager = source._consumer._client._manager
    for _ in range(20):
        manager.update_backoff("a broker")
    assert 0.5 < manager.connection_delay("a broker") < 2


def test_the_leader_of_the_group_takes_an_answer_that_comes_between_its_polls(
    source: KafkaSource, open_source: Callable[[], KafkaSource]
) -> None:
    """Asked again, the group would be joined anew each time the other member has caught up, for ever."""
    other = open_source()
    owned: dict[KafkaSource, set[TopicPartition]] = {source: set(), other: set()}

    def shared_out() -> bool:
        # In turn: what one asks is answered when the other asks, while the first is not looking.
        for member, partitions in owned.items():
            polled = member.poll(0.1, 10)
            partitions.difference_update(polled.revoked)
            partitions.update(polled.assigned)
        return all(owned.values()) and sum(map(len, owned.values())) == PARTITIONS

    eventually(shared_out, 60)
    leader = next(member for member in owned if member._consumer._coordinator._is_leader)
    leader._consumer._coordinator.request_rejoin()
    owned[leader] -= leader.poll(0.1, 10).revoked
    assert not owned[leader]
    eventually(shared_out, 60)


def test_heartbeats_that_end_are_begun_again(source: KafkaSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them others would be given the partitions, and this member would not know."""
    eventually(lambda: source.poll(0.2, 10).assigned, 60)
    coordinator = source._consumer._coordinator
    with monkeypatch.context() as patch:
        patch.setattr(coordinator, "_do_heartbeat", failing(KafkaConnectionError("111 ECONNREFUSED")))
        ended = eventually(lambda: (loop := coordinator._heartbeat_loop_future).failed() and loop, 60)
    last = coordinator.heartbeat.last_receive
    eventually(lambda: source.poll(0.1, 10).records == {} and coordinator.heartbeat.last_receive > last, 60)
    assert coordinator._heartbeat_loop_future is not ended


def test_a_leader_that_is_away_is_silence_though_the_group_answers(
    source: KafkaSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading: set[TopicPartition] = set()

    def silence() -> float:
        polled = source.poll(0.1, 10)
        for partition in polled.assigned:
            source.begin(partition, None)
        reading.update(polled.assigned)
        return source.silence()

    eventually(lambda: silence() < 1.5 and reading, 60)
    with monkeypatch.context() as patch:
        # What the metadata say of a partition without a leader.
        patch.setattr(source._consumer._cluster, "leader_for_partition", lambda _: -1)
        eventually(lambda: silence() > 2, 60)
    assert time.monotonic() - source._consumer._coordinator.heartbeat.last_receive < 2
    eventually(lambda: silence() < 1.5, 60)


def test_a_leader_that_is_frozen_counts_as_away_while_its_connection_is_open(
    source: KafkaSource, kafka: KafkaCluster
) -> None:
    reading: set[TopicPartition] = set()

    def reached() -> bool:
        assigned = source.poll(0.1, 10).assigned
        for partition in assigned:
            source.begin(partition, None)
        reading.update(assigned)
        return len(reading) == PARTITIONS and source._reaches_leaders()

    eventually(reached, 60)
    (broker,) = kafka.pids.values()
    leader = source._consumer._cluster.leader_for_partition(KafkaPartition(*next(iter(reading))))
    os.kill(broker, signal.SIGSTOP)
    try:
        eventually(lambda: not reached(), 60)
        assert source._consumer._client.connected(leader)
    finally:
        os.kill(broker, signal.SIGCONT)
    eventually(reached, 60)


def failing(error: KafkaError) -> Callable[..., Awaitable[object]]:
    async def fail() -> object:
        raise error

    return fail


def raising(error: KafkaError) -> Callable[..., object]:
    def poll(*_: object) -> object:
        raise error

    return poll


def test_a_broker_that_does_not_answer_is_waited_for(source: KafkaSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client tells by raising from a poll, which must not end the program."""
    with monkeypatch.context() as patch:
        patch.setattr(source._consumer, "poll", raising(KafkaConnectionError("111 ECONNREFUSED")))
        assert source.poll(0.01, 10).records == {}
    eventually(lambda: source.poll(0.2, 10).assigned, 60)


def test_what_waiting_does_not_mend_is_one_line(source: KafkaSource, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(source._consumer, "poll", raising(GroupAuthorizationFailedError("routee")))
        with pytest.raises(ConnectError, match=r"KAFKA_SASL_USERNAME.* READ the group .*group and .*sms\.status"):
            source.poll(0.01, 10)


def test_an_error_that_the_client_would_not_retry_is_waited_for(
    source: KafkaSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(source._consumer, "poll", raising(UnknownError()))
        assert source.poll(0.01, 10).records == {}
    eventually(lambda: source.poll(0.2, 10).assigned, 60)


@pytest.mark.parametrize("question", ["committed", "end_offsets", "beginning_offsets"])
def test_every_question_about_offsets_is_given_up_in_time(
    source: KafkaSource, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    """Asked for ever, a broker that hangs would hold the loop, and the member would be put out of its group."""
    eventually(lambda: source.poll(0.2, 10).assigned, 60)
    (partition, *_) = source._consumer.assignment()

    def no_answer(*_: object, timeout_ms: int | None = None) -> object:
        assert timeout_ms is not None
        assert timeout_ms <= 10_000
        raise KafkaTimeoutError

    monkeypatch.setattr(source._consumer, question, no_answer)
    with pytest.raises(RetryableError, match="does not tell the offsets"):
        source.begin(TopicPartition(*partition), None)
