"""
The private names of kafka-python that the source rests on are still there, and mean the same.
"""

import inspect
import time
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from kafka import KafkaConsumer
from kafka.cluster import ClusterMetadata
from kafka.consumer.fetcher import Fetcher
from kafka.coordinator.base import BaseCoordinator
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.errors import KafkaConnectionError, KafkaError, UnknownTopicOrPartitionError
from kafka.future import Future
from kafka.net.connection import KafkaConnection

from sinks.kafka import private_names
from sinks.kafka.membership import Membership
from sinks.kafka.private_names import PRIVATE_NAMES
from sinks.kafka.record_batches import QuickRecords
from tests.support.markdown import ROOT


def test_no_other_file_of_the_sinks_reaches_for_a_private_name() -> None:
    """The linter refuses such a reach everywhere; this finds a line that switches the linter off."""
    files = [file for file in (ROOT / "sinks").rglob("*.py") if file.name != "private_names.py"]
    assert files
    assert [file.name for file in files if "SLF001" in file.read_text()] == []


class Request:
    """A request, as far as the connection looks at it."""

    API_VERSION = 0

    def expect_response(self) -> bool:
        return True


def connected() -> KafkaConnection:
    """Return a connection that writes nowhere."""
    connection = KafkaConnection(SimpleNamespace(call_at=lambda *_: None))
    connection.initializing, connection.connected = False, True
    connection.parser = SimpleNamespace(send_request=lambda _: 1, send_bytes=lambda: b"")
    connection.transport = SimpleNamespace(write=lambda _: None, host_port=lambda: "nowhere")
    return connection


def consumer_of(connections: dict[int, KafkaConnection]) -> Any:  # noqa: ANN401 - kafka-python has no types
    return SimpleNamespace(_client=SimpleNamespace(_manager=SimpleNamespace(_conns=connections)))


def test_requests_without_an_answer_are_found_with_the_time_at_which_they_were_sent() -> None:
    connection = connected()
    before = time.monotonic()
    connection.send_request(Request())
    connection.send_request(Request())
    first, second = private_names.unanswered_since(consumer_of({1: connection}), 1)
    assert before <= first <= second <= time.monotonic()


def test_a_broker_without_a_connection_owes_no_answer() -> None:
    assert private_names.unanswered_since(consumer_of({}), 1) == []


def test_a_coordinator_can_become_a_member_and_its_join_is_kept_in_the_property() -> None:
    coordinator = object.__new__(ConsumerCoordinator)
    coordinator._join_task = Future()
    private_names.join_as(SimpleNamespace(_coordinator=coordinator), Membership)
    assert coordinator._join_task is None
    coordinator._join_task = Future().success(b"assignment")
    assert not coordinator._join_task.is_done, "the answer is still to be awaited"
    coordinator._join_task = Future().failure(OSError())
    assert coordinator._join_task.is_done


def test_a_join_is_sent_anew_only_when_the_kept_one_is_done() -> None:
    source = inspect.getsource(BaseCoordinator.join_group_async)
    assert "if self._join_task is None or self._join_task.is_done:" in source
    assert "wait_for(\n                    self._join_task, timer.timeout_ms)" in source


def test_the_reader_is_made_with_the_arguments_that_it_takes() -> None:
    theirs = inspect.signature(Fetcher.PartitionRecords._unpack_records).parameters
    ours = inspect.signature(QuickRecords._unpack_records).parameters
    assert list(theirs)[:3] == list(ours)[:3] == ["self", "tp", "records"]
    assert "self.PartitionRecords(" in inspect.getsource(Fetcher)


class Metadata(ClusterMetadata):  # type: ignore[misc]  # kafka-python has no type information
    """The client's metadata, which are answered at once, or fail so."""

    def __init__(self, error: KafkaError | None = None) -> None:
        super().__init__()
        self.asked = 0
        self._error = error

    def request_update(self) -> Future:
        self.asked += 1
        answer = super().request_update()
        return answer.failure(self._error) if self._error else answer.success(self)


@pytest.mark.parametrize(
    ("error", "told"), [(None, True), (UnknownTopicOrPartitionError("t"), True), (KafkaConnectionError(), False)]
)
def test_metadata_are_told_by_any_answer_of_a_broker(error: KafkaError | None, *, told: bool) -> None:
    metadata = Metadata(error)
    assert private_names.metadata_told(SimpleNamespace(_cluster=metadata), 5) == told
    assert metadata.asked == 1


def test_an_answer_that_was_under_way_is_not_taken_for_one_that_was_asked_for() -> None:
    metadata = Metadata()
    metadata._refresh_future = Future()
    assert private_names.metadata_told(SimpleNamespace(_cluster=metadata), 5)
    assert metadata.asked == 2


def test_metadata_that_do_not_come_in_time_are_not_told() -> None:
    assert not private_names.metadata_told(SimpleNamespace(_cluster=ClusterMetadata()), 0.01)


@pytest.mark.parametrize(("found", "told"), [(None, None), (UUID(int=0), None), (UUID(int=7), str(UUID(int=7)))])
def test_a_topic_without_an_id_has_none(found: UUID | None, told: str | None) -> None:
    metadata = ClusterMetadata()
    metadata._topic_ids["t"] = found
    assert private_names.topic_id(SimpleNamespace(_cluster=metadata), "t") == told
    assert private_names.topic_id(SimpleNamespace(_cluster=metadata), "another") is None


def test_every_name_of_the_consumer_is_one_that_it_sets_when_it_is_made() -> None:
    source = inspect.getsource(KafkaConsumer.__init__)
    names = next(names for _, owner, names in PRIVATE_NAMES if owner == "KafkaConsumer")
    assert [name for name in names if f"self.{name} = " not in source] == []
