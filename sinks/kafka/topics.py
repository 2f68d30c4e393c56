"""
Topics as Kafka has them: their problems, their ids, and single records of them.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kafka.errors import KafkaError
from kafka.structs import TopicPartition as KafkaPartition

from sinks.errors import ConnectError, TopicError
from sinks.kafka import private_names
from sinks.kafka.client import ASK_MS, CLOSE_MS, open_consumer
from sinks.source import Origin, Record, TopicPartition
from streams.program.kafka_problems import topic_problem
from streams.program.settings import CommonSettings

_FURTHEST_BACK: Final = 1_000
_FIND_SECONDS: Final = 5.0
_POLL_MS: Final = 200


def topic_problems(consumer: Any, topics: Sequence[str], settings: CommonSettings) -> list[str]:  # noqa: ANN401 - no types
    """Return a line for each topic that does not exist or has another number of partitions."""
    found = [topic_problem(topic, len(consumer.partitions_for_topic(topic)), settings) for topic in topics]
    return [problem for problem in found if problem]


def origins_of(consumer: Any, topics: Sequence[str]) -> dict[str, Origin]:  # noqa: ANN401 - same
    """Return the topics by name, as the consumer's metadata have them; `topic_problems` asks for these."""
    cluster = private_names.cluster_id(consumer)
    return {topic: Origin(topic, private_names.topic_id(consumer, topic), cluster) for topic in topics}


class KafkaLookup:
    """
    Implements `Lookup`: asks Kafka, outside of the group.

    ConnectError when it does not answer, TopicError when a topic is not as the settings say.
    """

    def __init__(self, settings: CommonSettings, topics: Sequence[str]) -> None:
        self._consumer = open_consumer(settings, group=None)
        if problems := topic_problems(self._consumer, topics, settings):
            self.close()
            raise TopicError("; ".join(problems))
        self.origins: Final[Mapping[str, Origin]] = origins_of(self._consumer, topics)

    def bounds(self, partition: TopicPartition) -> tuple[int, int] | None:
        """Return the oldest offset and the end of a partition, None when there is no such partition."""
        theirs = KafkaPartition(*partition)
        if partition.partition not in self._consumer.partitions_for_topic(partition.topic):
            return None
        try:
            return (
                self._consumer.beginning_offsets([theirs], timeout_ms=ASK_MS)[theirs],
                self._consumer.end_offsets([theirs], timeout_ms=ASK_MS)[theirs],
            )
        except KafkaError as error:
            raise ConnectError(f"Kafka does not tell the offsets of {partition.topic}: {error!r}") from error

    def latest(self, partition: TopicPartition, first: int, last: int) -> Record | None:
        """Return the last record that Kafka still has of these offsets; None when a thousand before `last` are gone."""
        theirs = KafkaPartition(*partition)
        found: Record | None = None
        deadline = time.monotonic() + _FIND_SECONDS
        try:
            oldest = self._consumer.beginning_offsets([theirs], timeout_ms=ASK_MS)[theirs]
            self._consumer.assign([theirs])
            self._consumer.seek(theirs, max(first, last - _FURTHEST_BACK, oldest))
            while self._consumer.position(theirs, timeout_ms=ASK_MS) <= last and time.monotonic() < deadline:
                for record in self._consumer.poll(_POLL_MS).get(theirs, ()):
                    found = record if record.offset <= last else found
        except KafkaError as error:
            raise ConnectError(f"Kafka does not tell the records of {partition.topic}: {error!r}") from error
        return found

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close(timeout_ms=CLOSE_MS)
