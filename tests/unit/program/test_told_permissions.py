"""
The permissions on groups, transactional ids and the cluster, over an admin client that does not connect.
"""

from typing import Any

import pytest
from kafka.errors import (
    ClusterAuthorizationFailedError,
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidTransactionTimeoutError,
    KafkaError,
    TransactionalIdAuthorizationFailedError,
)
from kafka.protocol.api_key import ApiKey

from streams.contract.permissions import CLUSTER, Kind, Operation, Permission, Resource, rebuild, worker
from streams.program import private_names, told_permissions
from streams.program.found_topics import ToldTopics
from streams.program.kafka_problems import Told

GROUP = Resource(Kind.GROUP, "r.streams")
IDS = Resource(Kind.TRANSACTIONAL_ID, "r.streams:", is_prefix=True)
CHANGELOG = Resource(Kind.TOPIC, "r.streams-sms-changelog")


class Admin:
    """The admin client of a Kafka that answers for its cluster."""

    def __init__(self, *of_cluster: str, knows: tuple[ApiKey, ...] = (ApiKey.DescribeCluster,)) -> None:
        self.of_cluster: list[str] | None = [*of_cluster]
        self.knows = knows

    def api_versions(self) -> dict[ApiKey, tuple[int, int]]:
        return dict.fromkeys(self.knows, (0, 1))

    def describe_cluster(self) -> dict[str, Any]:
        return {"authorized_operations": self.of_cluster}


class Asked:
    """Answers a question with each of the given answers in turn, the last one for ever."""

    def __init__(self, *answers: object) -> None:
        self.answers = [*answers]
        self.asked: list[str] = []

    def __call__(self, _: Admin, name: str) -> object:
        self.asked.append(name)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def told(
    monkeypatch: pytest.MonkeyPatch,
    *,
    group: Asked | None = None,
    producer: Asked | None = None,
    admin: Admin | None = None,
    needed: tuple[Permission, ...] = worker("r."),
    topics: ToldTopics | None = None,
) -> Told:
    monkeypatch.setattr(private_names, "group_operations", group or Asked({*Operation}))
    monkeypatch.setattr(private_names, "begin_producer", producer or Asked(None))
    return told_permissions.told_permissions(admin or Admin(), needed, topics or ToldTopics())


def test_kafka_tells_the_operations_on_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, group=Asked({3, 8, 99}))[GROUP] == {Operation.READ, Operation.DESCRIBE}
    assert told(monkeypatch, group=Asked(None))[GROUP] is None


def test_a_coordinator_that_comes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    group = Asked(CoordinatorNotAvailableError(), {Operation.READ})
    assert told(monkeypatch, group=group)[GROUP] == {Operation.READ}


@pytest.mark.parametrize(
    "error", [CoordinatorNotAvailableError(), InvalidTransactionTimeoutError(), IncompatibleBrokerVersion()]
)
def test_a_coordinator_that_does_not_tell_is_no_refusal(monkeypatch: pytest.MonkeyPatch, error: KafkaError) -> None:
    monkeypatch.setattr(told_permissions, "_PATIENCE_SECONDS", 0.0)
    assert told(monkeypatch, group=Asked(error))[GROUP] is None
    assert told(monkeypatch, producer=Asked(error))[IDS] is None


def test_a_refusal_is_no_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, group=Asked(GroupAuthorizationFailedError()))[GROUP] == set()
    assert told(monkeypatch, producer=Asked(TransactionalIdAuthorizationFailedError()))[IDS] == set()


def test_an_id_that_no_worker_has_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's id ends with a number; its owner would be fenced."""
    producer = Asked(None)
    assert told(monkeypatch, producer=producer)[IDS] == {Operation.WRITE}
    assert producer.asked == ["r.streams:check"]


def test_only_brokers_before_2_8_are_asked_for_the_permission_to_write_idempotently(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert CLUSTER not in told(monkeypatch, admin=Admin())
    assert told(monkeypatch, admin=Admin("DESCRIBE", knows=()))[CLUSTER] == {Operation.DESCRIBE}
    assert told(monkeypatch, admin=Admin("IDEMPOTENT_WRITE", knows=()))[CLUSTER] == {Operation.IDEMPOTENT_WRITE}


@pytest.mark.parametrize(("of_cluster", "may_create"), [(["CREATE"], True), (["DESCRIBE"], False), ([], False)])
def test_the_permission_to_create_on_the_cluster_is_one_for_each_topic(
    monkeypatch: pytest.MonkeyPatch, of_cluster: list[str], *, may_create: bool
) -> None:
    topics = ToldTopics(allowed={CHANGELOG.name: {Operation.DESCRIBE}, "r.unseen": frozenset(), "r.untold": None})
    found = told(monkeypatch, admin=Admin(*of_cluster), needed=rebuild("r."), topics=topics)
    assert (Operation.CREATE in (found[CHANGELOG] or ())) is may_create
    assert found[Resource(Kind.TOPIC, "r.unseen")] == set()
    assert found[Resource(Kind.TOPIC, "r.untold")] is None


def test_a_cluster_that_refuses_to_tell_is_an_error_of_the_client() -> None:
    with pytest.raises(ClusterAuthorizationFailedError):
        private_names._raise(ClusterAuthorizationFailedError.errno)
