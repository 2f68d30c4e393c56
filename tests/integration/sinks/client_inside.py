"""
The inside of kafka-python's client in a source, for its tests: states to see and faults to make, by private names.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka.errors import KafkaError
from kafka.structs import TopicPartition as KafkaPartition

from sinks.kafka import private_names
from sinks.kafka.source import KafkaSource
from sinks.source import TopicPartition


class Inside:
    """The client of one source. Faults last as long as their block."""

    def __init__(self, source: KafkaSource) -> None:
        self._source = source
        self._consumer = source._consumer
        self._coordinator = self._consumer._coordinator

    @property
    def is_leader(self) -> bool:
        """Whether this member of the group shares out the partitions."""
        return bool(self._coordinator._is_leader)

    @property
    def needs_rejoin(self) -> bool:
        return bool(self._coordinator.need_rejoin())

    @property
    def join_is_answered(self) -> bool:
        """Whether no join is waiting for the group: the rest is for the next poll."""
        join = self._coordinator._join_task
        return join is None or bool(join._answer.is_done)

    @property
    def last_heartbeat(self) -> float:
        return private_names.last_heartbeat(self._consumer)

    @property
    def heartbeats(self) -> Any:  # noqa: ANN401 - kafka-python has no types
        """The heartbeat loop under way."""
        return self._coordinator._heartbeat_loop_future

    @property
    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(*partition) for partition in self._consumer.assignment()}

    @property
    def reaches_leaders(self) -> bool:
        return self._source._reaches_leaders()

    def leader_of(self, partition: TopicPartition) -> int | None:
        return private_names.leader_of(self._consumer, KafkaPartition(*partition))

    def is_connected(self, broker: int | None) -> bool:
        return private_names.is_connected(self._consumer, broker)

    def reconnect_delay_after(self, failures: int) -> float:
        """Return the seconds for which a broker that could not be reached so often is left alone."""
        manager = self._consumer._client._manager
        for _ in range(failures):
            manager.update_backoff("a broker")
        return float(manager.connection_delay("a broker"))

    def take_metadata_for_changed(self) -> None:
        """Let the leader believe that it shared out partitions by older metadata."""
        self._coordinator._assignment_snapshot = {"made of": "older metadata"}

    def update_metadata(self) -> Any:  # noqa: ANN401 - kafka-python has no types
        """Ask for metadata, and return the future of the answer."""
        return self._consumer._cluster.request_update()

    def request_rejoin(self) -> None:
        self._coordinator.request_rejoin()

    @contextmanager
    def failing_heartbeats(self, error: KafkaError) -> Iterator[None]:
        async def fail() -> object:
            raise error

        with self._patched(self._coordinator, "_do_heartbeat", fail):
            yield

    @contextmanager
    def no_leaders(self) -> Iterator[None]:
        """Let the metadata say that no partition has a leader."""
        with self._patched(self._consumer._cluster, "leader_for_partition", lambda _: -1):
            yield

    @contextmanager
    def failing_polls(self, error: KafkaError) -> Iterator[None]:
        def poll(*_: object) -> object:
            raise error

        with self._patched(self._consumer, "poll", poll):
            yield

    @contextmanager
    def failing_leaves(self, error: KafkaError) -> Iterator[None]:
        def close(**_: object) -> object:
            raise error

        with self._patched(self._coordinator, "close", close):
            yield

    @contextmanager
    def answering(self, question: str, answer: Callable[..., object]) -> Iterator[None]:
        """Answer a question about offsets by a function."""
        with self._patched(self._consumer, question, answer):
            yield

    @staticmethod
    @contextmanager
    def _patched(
        owner: object, name: str, replacement: Callable[..., object] | Callable[..., Awaitable[object]]
    ) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, replacement)
            yield
