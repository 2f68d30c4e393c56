"""
What only the real client gets into: a group that is joined anew while polls are short.
"""

from collections.abc import Callable, Iterator

import pytest
from kafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    UnknownError,
)

from sandbox.kafka import KafkaCluster
from sinks.errors import ConnectError, RetryableError
from sinks.kafka_source import KafkaSource
from sinks.source import TopicPartition
from streams.contract.settings import CommonSettings
from tests.behaviour.sinks.kafka_topics import create_topics
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("attempt", range(3))
def test_new_metadata_and_short_polls_leave_no_member_without_partitions(
    kafka: KafkaCluster, topic_prefix: str, attempt: int
) -> None:
    """The group is joined anew when metadata change; a poll that ends before the answer must not lose it."""
    del attempt
    create_topics(kafka.bootstrap_servers, topic_prefix, 3)
    settings = CommonSettings(kafka_bootstrap_servers=kafka.bootstrap_servers, kafka_partitions=3)
    source = KafkaSource(settings, [f"{topic_prefix}sms.status"], f"{topic_prefix}group")
    try:
        eventually(lambda: source.poll(0.2, 10).assigned, 60)
        source._consumer._coordinator._metadata_snapshot = {"as": "it was before"}
        revoked: set[object] = set()

        def assigned_again() -> bool:
            polled = source.poll(0.0, 10)
            revoked.update(polled.revoked)
            return bool(revoked and polled.assigned)

        eventually(assigned_again, 60, every=0.001)
    finally:
        source.close()


@pytest.fixture
def source(kafka: KafkaCluster, topic_prefix: str) -> Iterator[KafkaSource]:
    create_topics(kafka.bootstrap_servers, topic_prefix, 3)
    settings = CommonSettings(kafka_bootstrap_servers=kafka.bootstrap_servers, kafka_partitions=3)
    opened = KafkaSource(settings, [f"{topic_prefix}sms.status"], f"{topic_prefix}group")
    yield opened
    opened.close()


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
